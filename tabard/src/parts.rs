//! Gateway and node agent as parts of a process: what `tabard dev` starts together and `tabard gateway` and
//! `tabard node` start alone.

use broker::world::MemberRole;
use gateway::member::OwnWord;
use gateway::{Gateway, GatewayParts, NameKeys, Settings as GatewaySettings};
use identity::UnixTime;
use node::calls::{GatewayAddress, GatewayCalls, TokenEndpoint};
use node::identities::RunIdentities;
use node::launch::{Helper, Launcher};
use node::runs::Runs;
use node::server_link::ServerLink;
use peer::{ExecutableDigests, Listener};
use server::keys::LogKey;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};
use store::{Settings, Store};
use sync::link::Own;
use sync::{Ended, Link, OwnCertificate, Pinned, Replica};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long a part waits for its first word from the server.
const FIRST_WORD: Duration = Duration::from_secs(10);
/// How long parts get to end what they do.
const FAREWELL: Duration = Duration::from_secs(8);

/// What runs in the background: parts that end when they are told to, and loops that end with the process.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    pub(crate) parts: JoinSet<()>,
    loops: JoinSet<()>,
    /// Why a part cannot go on by itself.
    pub(crate) ended: watch::Sender<Option<Arc<Ended>>>,
}

impl Tasks {
    /// Waits for the parts, which were told to stop; the loops are cut off.
    pub(crate) async fn end(mut self) {
        self.loops.abort_all();
        let all = async { while self.parts.join_next().await.is_some() {} };
        if tokio::time::timeout(FAREWELL, all).await.is_err() {
            tracing::warn!("some parts did not end in time");
        }
    }
}

/// A member of this very process, admitted.
pub(crate) async fn link(server: &server::Running, role: MemberRole) -> Result<Link, String> {
    let installation = server.installation();
    let pinned = Pinned {
        trust_domain: installation.config.trust_domain.clone(),
        authorities: vec![installation.keys.authority().root().to_vec().into()],
    };
    let link = Link::new(server.address(), pinned).map_err(|error| error.to_string())?;
    let csr = link.csr().map_err(|error| error.to_string())?;
    let membership = server
        .admit(role, &csr)
        .await
        .map_err(|error| error.to_string())?;
    link.admit(&membership).map_err(|error| error.to_string())?;
    Ok(link)
}

/// What a gateway is started with.
pub(crate) struct GatewayOptions {
    pub(crate) listener: TcpListener,
    pub(crate) public_url: String,
    pub(crate) journal: PathBuf,
    pub(crate) log_key: Arc<LogKey>,
    pub(crate) names: NameKeys,
    pub(crate) upstream_tls: Arc<rustls::ClientConfig>,
    /// Without it the listener is on loopback.
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    /// Where services' own proxies ask for decisions.
    pub(crate) ext_authz: Option<TcpListener>,
}

/// A replica that follows `link`, with its first World.
async fn follow(link: &Link, own: impl Own + 'static, tasks: &mut Tasks) -> Result<Replica, String> {
    let replica = Replica::new();
    let (feed, fresh) = (replica.clone(), replica.clone());
    let (follower, ended) = (link.clone(), tasks.ended.clone());
    tasks.loops.spawn(async move {
        let why = follower.follow(feed, own).await;
        tracing::error!(error = %why, "this part can no longer follow its server");
        ended.send_replace(Some(Arc::new(why)));
    });
    tasks.loops.spawn(async move { fresh.watch_freshness().await });
    let mut revisions = replica.revisions();
    let first = revisions.wait_for(|revision| revision.0 > 0);
    match tokio::time::timeout(FIRST_WORD, first).await {
        Ok(Ok(_)) => {}
        _ => return Err("the server did not send its state within 10 s".to_owned()),
    }
    Ok(replica)
}

/// Starts a gateway; gives its journal.
pub(crate) async fn start_gateway(
    link: &Link,
    options: GatewayOptions,
    stopped: watch::Receiver<bool>,
    tasks: &mut Tasks,
) -> Result<Arc<Store>, String> {
    let identity = link.identity().ok_or("the gateway has not joined")?;
    let settings = Settings::new(&options.journal, identity.log, options.log_key);
    let journal =
        Arc::new(Store::open(&settings).map_err(|error| format!("the gateway's journal: {error}"))?);
    let ledger = Arc::new(OnceLock::new());
    let own = OwnWord::new(journal.clone(), ledger.clone(), wall_clock);
    let replica = follow(link, own, tasks).await?;
    let parts = GatewayParts {
        settings: GatewaySettings::new(identity.issuer.clone(), vec![options.public_url], identity.log),
        worlds: replica.worlds(),
        feed: gateway::member::feed_health(&replica),
        journal: journal.clone(),
        secrets: Arc::new(gateway::member::ServerSecrets::new(link.clone())),
        approvals: Arc::new(gateway::member::ServerApprovals::new(link.clone())),
        homes: Arc::new(gateway::member::ServerHomes::new(link.clone())),
        names: options.names,
        upstream_tls: options.upstream_tls,
        clock: Arc::new(wall_clock),
        random: Arc::new(|| server::entropy::random().unwrap_or_default()),
    };
    let gateway = Gateway::new(parts).map_err(|error| error.to_string())?;
    gateway
        .recover()
        .map_err(|error| format!("the gateway's journal: {error}"))?;
    ledger
        .set(gateway.ledger())
        .map_err(|_| "the gateway was started twice".to_owned())?;
    let (listener, tls, ext_authz) = (options.listener, options.tls, options.ext_authz);
    let own = Arc::new(OwnCertificate::of(link));
    tasks.parts.spawn(async move {
        let checks = async {
            let Some(listener) = ext_authz else { return };
            let told = told(stopped.clone());
            if let Err(error) = gateway.serve_ext_authz(listener, own, told).await {
                tracing::error!(%error, "the gateway answers no more checks");
            }
        };
        let (served, ()) = tokio::join!(gateway.serve(listener, tls, told(stopped.clone())), checks);
        if let Err(error) = served {
            tracing::error!(%error, "the gateway ended");
        }
        drop(replica);
    });
    Ok(journal)
}

/// Ready once a part is told to stop.
async fn told(mut stopped: watch::Receiver<bool>) {
    if stopped.wait_for(|stop| *stop).await.is_err() {
        tracing::debug!("nobody is left to stop the gateway");
    }
}

/// A listener, or why there is none.
pub(crate) async fn listen(address: SocketAddr, option: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| {
        format!("cannot listen on {address}: {error}. Choose another {option}, or stop what listens there")
    })
}

/// What a node agent is started with.
pub(crate) struct NodeOptions {
    pub(crate) launch_socket: PathBuf,
    pub(crate) workload_socket: PathBuf,
    pub(crate) runs: PathBuf,
    pub(crate) secret: Vec<PathBuf>,
    /// `host:port`.
    pub(crate) server: String,
    pub(crate) gateway: GatewayAddress,
}

/// Starts a node agent.
pub(crate) async fn start_node(
    link: &Link,
    options: NodeOptions,
    stopped: watch::Receiver<bool>,
    tasks: &mut Tasks,
) -> Result<(), String> {
    let identity = link.identity().ok_or("the node agent has not joined")?;
    let replica = follow(link, String::new, tasks).await?;
    let (authority, keeper) = ServerLink::new(link.clone(), replica.clone());
    tasks.loops.spawn(keeper);
    let tls = sync::tls::client(&identity.trust_domain, &identity.authorities, None)
        .map_err(|error| error.to_string())?;
    let endpoint = TokenEndpoint::new(&identity.issuer, options.server, Arc::new(tls))
        .map_err(|error| error.to_string())?;
    let calls = Arc::new(GatewayCalls::new(
        authority.clone(),
        replica,
        endpoint,
        options.gateway,
    ));
    let runs = Arc::new(Runs::default());
    let bind = |path: &PathBuf| Listener::bind(path).map_err(|error| format!("{}: {error}", path.display()));
    let workload = bind(&options.workload_socket)?;
    let launches = bind(&options.launch_socket)?;
    let launcher = Arc::new(Launcher {
        authority: authority.clone(),
        calls,
        runs: runs.clone(),
        digests: Arc::new(ExecutableDigests::default()),
        helper: Helper::default(),
        places: node::launch::Places {
            workload_socket: options.workload_socket,
            launch_socket: options.launch_socket,
            runs: options.runs,
            secret: options.secret,
        },
    });
    let identities = Arc::new(RunIdentities { authority, runs });
    let (stop_api, stop_launches) = (until(stopped.clone()), until(stopped));
    tasks
        .parts
        .spawn(async move { node::workload_api::serve(workload, identities, stop_api).await });
    tasks
        .parts
        .spawn(async move { launcher.serve(launches, stop_launches).await });
    Ok(())
}

/// Starts the admin plane.
pub(crate) fn start_admin(
    parts: server::admin::AdminParts,
    stopped: watch::Receiver<bool>,
    tasks: &mut Tasks,
) -> Result<(), String> {
    let serving = server::admin::serve(parts, stopped).map_err(|error| error.to_string())?;
    tasks.parts.spawn(async move {
        if serving.await.is_err() {
            tracing::error!("the admin plane ended by a panic");
        }
    });
    Ok(())
}

/// TLS towards upstreams: the system's roots where there are any.
pub(crate) fn outside_tls() -> Result<Arc<rustls::ClientConfig>, String> {
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        tracing::info!("the system has no root certificates: upstreams over https cannot be verified");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

async fn until(mut stopped: watch::Receiver<bool>) {
    if stopped.wait_for(|stop| *stop).await.is_err() {
        tracing::debug!("nobody is left to stop this part");
    }
}

/// Now.
pub(crate) fn wall_clock() -> UnixTime {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    UnixTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

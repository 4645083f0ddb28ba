//! One suite with its contract: a server, a gateway with its journal, and the suite's service behind it.

use super::request::Wanted;
use super::suite::{Files, Variant};
use crate::client::{self, Connection};
use crate::fault::{Fault, fault};
use crate::instance::Instance;
use crate::key::ClientKey;
use crate::log_key::LogKey;
use crate::part::exchange_load::now;
use crate::place::Place;
use audit::event::CommitmentKey;
use broker::inventory::publish_upstream;
use broker::task::TaskRequest;
use broker::upstream::Route;
use broker::world::Directory;
use broker::{Change, World};
use credential::dpop::RequestTarget;
use futures_util::future::BoxFuture;
use gateway::{FeedHealth, Gateway, GatewayParts, NobodyToAsk, SecretError, Secrets, Settings};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use identity::{LogId, Name, Secret, UpstreamId};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::Store;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;

const LOG: LogId = LogId(7);
/// The one tenant: whose account, mailbox or workspace it is.
const TENANT: &str = "own";

/// The service takes no credential.
struct NoSecrets;

impl Secrets for NoSecrets {
    fn secret(&self, _: UpstreamId, _: u64) -> BoxFuture<'_, Result<Arc<Secret<String>>, SecretError>> {
        Box::pin(async { Err(SecretError::Unknown) })
    }
}

/// How somebody opens a task.
pub(super) struct Opening {
    pub(super) template: Name,
    /// The destinations that are named.
    pub(super) trusted: BTreeSet<String>,
    /// Whether a human can be asked for others.
    pub(super) asks: bool,
}

/// A place to run traces in.
pub(super) struct Setting {
    place: Place,
    service: &'static str,
    agent: Name,
    pub(super) routes: Vec<Route>,
    directory: Option<Directory>,
    /// The same agent under the contract in which nobody is asked.
    closed: Name,
    has_flow: bool,
    worlds: watch::Sender<Arc<World>>,
    gateway: SocketAddr,
    root: Vec<u8>,
    served: Arc<AtomicU64>,
    _feed: watch::Sender<FeedHealth>,
    _folder: TempDir,
}

impl Setting {
    pub(super) async fn new(
        files: &Files,
        variant: Variant,
        destinations: &BTreeSet<String>,
    ) -> Result<Self, Fault> {
        // In memory where there is some: thousands of small commits, and nothing here is about disks.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
        let place = Place::new(folder.path(), 0).await?;
        let agent: Name = files.name.parse()?;
        let contract = files.contract(variant)?;
        let closed: Name = format!("{}-closed", files.name).parse()?;
        if variant.has_flow() {
            let contract = Files::closed(&contract)?;
            let hash = place
                .publish_contract(closed.clone(), files.name, contract)
                .await?;
            place.register(closed.as_str(), hash, true).await?;
        }
        let hash = place
            .publish_contract(agent.clone(), files.name, contract)
            .await?;
        place.register(agent.as_str(), hash, true).await?;
        let served = Arc::new(AtomicU64::new(0));
        let base_url = format!("http://{}", service(served.clone()).await?);
        let upstream = files
            .manifest(&base_url)?
            .upstream(UpstreamId::from_u128(0), place.org, 0);
        let routes = upstream.routes.clone();
        let admin = place.admin()?;
        drop(
            place
                .act(|world, draw| publish_upstream(world, &admin, upstream, draw))
                .await?,
        );
        let directory = (variant.trusts() && !destinations.is_empty())
            .then(|| {
                Ok::<_, Fault>(Directory {
                    org: place.org,
                    tenant: TENANT.parse()?,
                    destinations: destinations.clone(),
                })
            })
            .transpose()?;
        let settings = store::Settings::new(folder.path().join("journal"), LOG, Arc::new(LogKey::new()?));
        let journal = Arc::new(Store::open(&settings)?);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let gateway = listener.local_addr()?;
        let (worlds, world_of) = watch::channel(place.world());
        let (feed, feed_of) = watch::channel(FeedHealth::Local);
        let names = Arc::new(CommitmentKey::new(Secret::new([9; 32])));
        let serving = Gateway::new(GatewayParts {
            settings: Settings::new(place.running.issuer(), vec![format!("http://{gateway}")], LOG),
            worlds: world_of,
            feed: feed_of,
            journal,
            secrets: Arc::new(NoSecrets),
            approvals: Arc::new(NobodyToAsk),
            homes: Arc::new(gateway::LocalHomes {
                worlds: worlds.clone(),
                log: LOG,
            }),
            names: Arc::new(move |_| names.clone()),
            upstream_tls: to_upstreams()?,
            clock: Arc::new(now),
            random: Arc::new(random),
        })?;
        drop(tokio::spawn(async move {
            serving.serve(listener, None, std::future::pending()).await
        }));
        let root = CertificateDer::from_pem_file(place.root_pem())?.to_vec();
        Ok(Self {
            place,
            service: files.name,
            agent,
            routes,
            directory,
            closed,
            has_flow: variant.has_flow(),
            worlds,
            gateway,
            root,
            served,
            _feed: feed,
            _folder: folder,
        })
    }

    /// The service's name at the gateway.
    pub(super) const fn service(&self) -> &'static str {
        self.service
    }

    /// How many requests the service itself has seen.
    pub(super) fn served(&self) -> u64 {
        self.served.load(Ordering::SeqCst)
    }

    /// Opens a task from `template`, runs the agent in it, and exchanges for a token for the service.
    pub(super) async fn open(&self, opening: Opening) -> Result<Caller<'_>, Fault> {
        let Opening {
            template,
            trusted,
            asks,
        } = opening;
        let agent = if asks || !self.has_flow {
            &self.agent
        } else {
            &self.closed
        };
        let request = TaskRequest {
            kind: Some(template),
            tenant: Some(TENANT.parse()?),
            ttl_secs: None,
            trusted,
        };
        let instance = Instance::launch_for(&self.place, agent.clone(), &request).await?;
        let token = self.exchange(&instance).await?;
        let world = self.place.world();
        let changes: Vec<Change> = self.directory.iter().cloned().map(Change::DirectorySet).collect();
        // The gateway's World is the server's and what the gateway claimed as at home with it; its revision never goes back.
        self.worlds.send_modify(|known| {
            let homed = known.at_home(LOG).map(|(of, home)| Change::Homed {
                org: home.org,
                log: LOG,
                since: home.since,
                of: vec![of],
            });
            let changes: Vec<Change> = changes.into_iter().chain(homed).collect();
            let revision = known.revision().next().max(world.revision());
            *known = Arc::new(world.apply(&changes, revision));
        });
        Ok(Caller {
            setting: self,
            connection: Connection::open(self.gateway, None).await?,
            key: instance.key,
            token,
            number: 0,
        })
    }

    async fn exchange(&self, instance: &Instance) -> Result<String, Fault> {
        let place = &self.place;
        let tls = client::tls(self.root.clone(), None)?;
        let mut connection = Connection::open(place.address(), Some(tls)).await?;
        let subject = instance.jwt_svid(place).await?;
        let form = format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={subject}\
             &subject_token_type=urn:ietf:params:oauth:token-type:jwt&audience={}",
            self.service
        );
        let installation = place.installation();
        let nonce = installation.keys.nonces().make(installation.clock.now());
        let target = RequestTarget::parse(&place.token_url())?;
        let jti = format!("exchange-{}", instance.id);
        let proof = instance
            .key
            .proof_of("POST", &target, &jti, Some(&nonce), None, now())?;
        let request = Request::post("/oauth/token")
            .header("host", place.address().to_string())
            .header("content-type", "application/x-www-form-urlencoded")
            .header("dpop", proof)
            .body(Full::from(form))?;
        let (_, body) = connection.send(request).await?;
        let answer: Value = serde_json::from_slice(&body)?;
        let token = answer.get("access_token").and_then(Value::as_str);
        Ok(token.ok_or_else(|| fault("no access token"))?.to_owned())
    }
}

/// An agent with a token, on a connection to the gateway.
pub(super) struct Caller<'s> {
    setting: &'s Setting,
    connection: Connection,
    key: ClientKey,
    token: String,
    number: u64,
}

impl Caller<'_> {
    /// Makes one call: `None` when it ran, else the code of its refusal. Anything else is a fault of the experiment.
    pub(super) async fn call(&mut self, wanted: &Wanted) -> Result<Option<String>, Fault> {
        self.number += 1;
        let at = self.setting.gateway;
        let target = RequestTarget::parse(&format!("http://{at}{}", wanted.path))?;
        let jti = format!("call-{}", self.number);
        let method = wanted.method.as_str();
        let proof = self
            .key
            .proof_of(method, &target, &jti, None, Some(&self.token), now())?;
        let mut request = Request::builder()
            .method(&wanted.method)
            .uri(format!("{}{}", wanted.path, wanted.query))
            .header("host", at.to_string())
            .header("authorization", format!("DPoP {}", self.token))
            .header("dpop", proof);
        if !wanted.body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(Full::from(wanted.body.clone()))?;
        let (status, headers, body) = self.connection.answer(request).await?;
        match (status, headers.get("tabard-code")) {
            (StatusCode::OK, None) => Ok(None),
            (StatusCode::FORBIDDEN, Some(code)) => Ok(Some(code.to_str()?.to_owned())),
            _ => {
                let text = String::from_utf8_lossy(&body);
                Err(fault(format!("{wanted:?}: {status}: {text}")))
            }
        }
    }
}

/// The service: answers every request, and counts them.
async fn service(served: Arc<AtomicU64>) -> Result<SocketAddr, Fault> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    drop(tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let served = served.clone();
            let answer = service_fn(move |request: Request<Incoming>| {
                let served = served.clone();
                async move {
                    request.into_body().collect().await?;
                    served.fetch_add(1, Ordering::SeqCst);
                    Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from_static(b"{}"))))
                }
            });
            drop(tokio::spawn(
                http1::Builder::new().serve_connection(TokioIo::new(stream), answer),
            ));
        }
    }));
    Ok(address)
}

/// 32 fresh bytes. Without a random source there is no id that is safe to use: the experiment ends.
fn random() -> [u8; 32] {
    let mut seed = [0; 32];
    if aws_lc_rs::rand::fill(&mut seed).is_err() {
        std::process::abort();
    }
    seed
}

fn to_upstreams() -> Result<Arc<ClientConfig>, Fault> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Ok(Arc::new(config))
}

//! `tabard dev`: server, gateway and node agent in one process, on loopback, on disk, with a demo to try.
//!
//! The parts are the ones that run apart in production, and they speak with each other as they do there: over
//! `tabard.sync.v1` on mutual TLS. Never expose it: its administrator is whoever has the owner's uid.

mod inventory;
mod places;
mod upstreams;

use crate::cli::Failure;
use crate::context::{self, Context};
use crate::parts::{self, GatewayOptions};
use broker::succession::FourEyes;
use broker::world::{MemberRole, Principal, Role};
use identity::{LogId, Name, Secret};
use inventory::Demo;
use node::calls::GatewayAddress;
use places::Places;
use server::config::People;
use server::keys::{Kek, LogKey};
use server::{Config, Founder, Opening, Server};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// Preferred ports of the demo's upstreams.
const INVOICES_PORT: u16 = 7481;
const PAYROLL_PORT: u16 = 7482;

/// Everything in one process, on loopback, with a demo.
#[derive(Debug, clap::Args)]
pub(crate) struct DevArgs {
    /// Where everything is kept [default: ~/.local/share/tabard/dev]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the server listens; part of the issuer, so chosen once
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7443")]
    listen: SocketAddr,
    /// Where the gateway listens
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7480")]
    gateway: SocketAddr,
    /// Where services' own proxies ask for decisions (Envoy's ext_authz); nowhere if missing
    #[arg(long, value_name = "ADDR")]
    ext_authz: Option<SocketAddr>,
    /// Where people come in, under the name localhost
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7444")]
    people: SocketAddr,
    /// Forget everything and begin anew
    #[arg(long)]
    reset: bool,
}

/// Runs until it is told to stop.
pub(crate) fn dev(args: &DevArgs) -> Result<(), Failure> {
    let filter = tracing_subscriber::EnvFilter::try_from_env("TABARD_LOG").unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Failure::new("DEV_RUNTIME", "no threads can be started").because(error.to_string())
    })?;
    runtime
        .block_on(serve(args))
        .map_err(|message| Failure::new("DEV_START", message))
}

async fn serve(args: &DevArgs) -> Result<(), String> {
    let begun = Instant::now();
    let open = [args.listen, args.gateway, args.people];
    for address in open.into_iter().chain(args.ext_authz) {
        if !address.ip().is_loopback() {
            return Err(format!(
                "{address} is not loopback: `tabard dev` is never exposed; use `tabard server`"
            ));
        }
    }
    let places = Places::of(args.data.clone())?;
    if args.reset {
        reset(&places)?;
    }
    places
        .make()
        .map_err(|error| format!("{}: {error}", places.data.display()))?;
    let running = start(args, &places).await?;
    banner(args, &places, &running, begun);
    crate::signals::stop().await;
    running.stop().await;
    Ok(())
}

fn reset(places: &Places) -> Result<(), String> {
    for folder in [&places.server(), &places.gateway(), &places.run] {
        match std::fs::remove_dir_all(folder) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("{}: {error}", folder.display())),
        }
    }
    for file in [&places.kek, &places.checkpoint] {
        match std::fs::remove_file(file) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("{}: {error}", file.display())),
        }
    }
    Ok(())
}

struct Running {
    server: server::Running,
    published: inventory::Published,
    stop: watch::Sender<bool>,
    tasks: parts::Tasks,
}

impl Running {
    async fn stop(self) {
        self.stop.send_replace(true);
        self.tasks.end().await;
        self.server.stop().await;
    }
}

async fn start(args: &DevArgs, places: &Places) -> Result<Running, String> {
    let say = |error: &dyn std::fmt::Display| error.to_string();
    let kek = |data: &std::path::Path| Kek::read_or_create(&places.kek, data).map_err(|error| say(&error));
    let uid = rustix::process::getuid().as_raw();
    let config = Config {
        data_dir: places.server(),
        listen: args.listen,
        issuer: format!("https://{}", args.listen)
            .parse()
            .map_err(|error| say(&error))?,
        trust_domain: "dev.tabard".parse().map_err(|error| say(&error))?,
        tls_names: Vec::new(),
        kek: places.kek.clone(),
        checkpoint_copy: places.checkpoint.clone(),
        admin_socket: places.admin_socket(),
        people: Some(people(args)?),
        four_eyes: FourEyes::Off,
        webhook_ca: None,
        connections_max: 4096,
        exchanges_max: 512,
    };
    let name = |text: &str| text.parse::<Name>().map_err(|error| say(&error));
    let admin = Principal::with_uid(name("you")?, uid, [Role::Admin].into(), "dev".to_owned());
    let opening = Opening {
        config,
        clock: server::clock::Clock::system(),
        log: LogId(0),
        kek: kek(&places.server())?,
        founder: Some(Founder {
            org: name("acme")?,
            admin,
        }),
    };
    let opened = Server::open(opening).await.map_err(|error| say(&error))?;
    let installation = opened.installation().clone();
    let invoices = upstreams::invoices(INVOICES_PORT)
        .await
        .map_err(|error| say(&error))?;
    let payroll = upstreams::payroll(PAYROLL_PORT)
        .await
        .map_err(|error| say(&error))?;
    let demo = Demo {
        folder: places.data.join("demo"),
        invoices,
        payroll,
    };
    let published = inventory::publish(&installation, &demo).await?;
    let server = opened
        .listen(axum::Router::new())
        .await
        .map_err(|error| say(&error))?;

    let (stop, stopped) = watch::channel(false);
    let mut tasks = parts::Tasks::default();

    // The gateway, a member like any other.
    let gateway = parts::link(&server, MemberRole::Gateway).await?;
    let folder = places.gateway();
    let identity = gateway.identity().ok_or("the gateway has no identity")?;
    let origin = audit::checkpoint::origin(&identity.trust_domain, identity.log);
    let log_key = LogKey::open_or_make(&folder, &origin, &kek(&folder)?, installation.clock.now());
    let names = installation.clone();
    let options = GatewayOptions {
        listener: parts::listen(args.gateway, "--gateway").await?,
        public_url: format!("http://{}", args.gateway),
        journal: folder.join("journal"),
        log_key: Arc::new(log_key.map_err(|error| say(&error))?),
        names: Arc::new(move |org| {
            names
                .keys
                .names()
                .of(Some(org), names.clock.now())
                .unwrap_or_else(|error| {
                    // A name that cannot be committed is committed under a key that nobody keeps.
                    tracing::error!(%error, "no commitment key");
                    Arc::new(audit::event::CommitmentKey::new(Secret::new(
                        server::entropy::random().unwrap_or_default(),
                    )))
                })
        }),
        upstream_tls: parts::outside_tls()?,
        tls: None,
        ext_authz: match args.ext_authz {
            Some(address) => Some(parts::listen(address, "--ext-authz").await?),
            None => None,
        },
    };
    let journal = parts::start_gateway(&gateway, options, stopped.clone(), &mut tasks).await?;

    // The node agent.
    let node = parts::link(&server, MemberRole::Node).await?;
    let sockets = parts::NodeOptions {
        launch_socket: places.launch_socket(),
        workload_socket: places.workload_socket(),
        runs: places.runs(),
        secret: vec![
            places.server(),
            places.gateway(),
            places.run.clone(),
            places.kek.parent().map(Into::into).unwrap_or_default(),
        ],
        server: args.listen.to_string(),
        gateway: GatewayAddress {
            address: args.gateway.to_string(),
            base_url: format!("http://{}", args.gateway),
            tls: None,
        },
    };
    parts::start_node(&node, sockets, stopped.clone(), &mut tasks).await?;

    let people = server.people().await.map_err(|error| say(&error))?;
    let admin = server::admin::AdminParts {
        installation: installation.clone(),
        people,
        journals: vec![journal],
        members: [&gateway, &node]
            .iter()
            .filter_map(|link| link.identity())
            .map(|it| it.id)
            .collect(),
        socket: places.admin_socket(),
    };
    parts::start_admin(admin, stopped, &mut tasks)?;

    let root = installation.keys.authority().root().to_vec();
    let context = Context {
        admin_socket: Some(places.admin_socket()),
        launch_socket: Some(places.launch_socket()),
        issuer: server.issuer().to_owned(),
        people: installation
            .config
            .people
            .as_ref()
            .map(|people| people.url.to_string()),
        ca_file: places.server().join(server::serve::ROOT_PEM),
        ca_pin: identity::Digest::from_bytes(credential::sha256(&root)),
        log_vkey: Some(installation.keys.log().vkey().map_err(|error| say(&error))?),
    };
    context::write("dev", &context).map_err(|error| say(&error))?;
    Ok(Running {
        server,
        published,
        stop,
        tasks,
    })
}

/// Passkeys belong to a name; on this host that is `localhost`.
fn people(args: &DevArgs) -> Result<People, String> {
    let url = format!("https://localhost:{}", args.people.port());
    let url = url
        .parse()
        .map_err(|error: server::config::IssuerError| error.to_string())?;
    Ok(People::at(args.people, url))
}

/// Where everything is, and what to try.
fn banner(args: &DevArgs, places: &Places, running: &Running, begun: Instant) {
    let version = env!("CARGO_PKG_VERSION");
    let lines = [
        format!(
            "tabard {version}  dev mode, never expose this    ready after {} ms",
            begun.elapsed().as_millis()
        ),
        format!(
            "  data      {}    (kept between runs; `tabard dev --reset` forgets it)",
            places.data.display()
        ),
        format!(
            "  issuer    {}    trust domain dev.tabard",
            running.server.issuer()
        ),
        format!("  gateway   http://{}", args.gateway),
        format!(
            "  people    https://localhost:{}    (first: tabard principal invite you)",
            args.people.port()
        ),
        format!(
            "  workload  unix://{}    (SPIFFE Workload API)",
            places.workload_socket().display()
        ),
        "  agents    demo-billing (any command), demo-reporter (pinned, isolated)".to_owned(),
        String::new(),
        "Try, in another terminal:".to_owned(),
        "  tabard run --as demo-billing -- curl -s http://invoices.demo/v1/invoices".to_owned(),
        "  tabard run --as demo-billing -- curl -s http://payroll.demo/v1/salaries".to_owned(),
        "  tabard status".to_owned(),
    ];
    for line in lines {
        crate::say(&line);
    }
    if let Some(argv) = &running.published.reporter {
        crate::say(&format!(
            "  tabard run --as demo-reporter --isolate -- {}",
            argv.join(" ")
        ));
    }
    crate::say("Ctrl-C stops it.");
}

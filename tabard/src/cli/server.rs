//! `tabard server`: a server by itself, as a service manager runs it.

use super::page::Page;
use super::{Exit, Failure};
use crate::context::{self, Context};
use crate::signals::{notify, stop as told_to_stop};
use aws_lc_rs::digest::{SHA256, digest};
use broker::world::{Principal, Role};
use clap::Args;
use identity::{Digest, LogId, Name};
use server::admin::{self, AdminParts};
use server::clock::Clock;
use server::keys::Kek;
use server::{Config, Founder, Opening, Running, Server};
use std::io::IsTerminal as _;
use std::path::PathBuf;
use tokio::sync::watch;

/// Serves until SIGTERM or SIGINT. Tells a service manager when it is ready (sd_notify).
#[derive(Debug, Args)]
pub(super) struct ServerCommand {
    /// The configuration (TOML); docs/reference/config.md has every setting
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Found the installation if the data directory is empty, with an org of this name
    #[arg(long, value_name = "ORG")]
    found: Option<Name>,
    /// Uid of the first administrator when founding; yours, if left out
    #[arg(long, requires = "found")]
    admin_uid: Option<u32>,
    /// Write a context of this name for the command line
    #[arg(long, value_name = "NAME")]
    write_context: Option<String>,
}

pub(super) fn run(command: &ServerCommand, page: &Page) -> Result<Exit, Failure> {
    let failed =
        |code: &'static str| move |error: &dyn std::fmt::Display| Failure::new(code, error.to_string());
    // Absolute, so that the context it writes means the same files in every folder.
    let config = std::path::absolute(&command.config).map_err(|error| failed("CONFIG")(&error))?;
    let config = Config::read(&config)
        .map_err(|error| failed("CONFIG")(&error).fix("See docs/reference/config.md."))?;
    let log = tracing_subscriber::EnvFilter::try_from_env("TABARD_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(log)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let kek = if command.found.is_some() {
        Kek::read_or_create(&config.kek, &config.data_dir)
    } else {
        Kek::read(&config.kek, &config.data_dir)
    };
    let kek = kek.map_err(|error| failed("KEK")(&error))?;
    let founder = command
        .found
        .clone()
        .map(|org| founder(org, command.admin_uid))
        .transpose()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| failed("RUNTIME")(&error))?;
    runtime.block_on(async {
        let opening = Opening {
            config,
            clock: Clock::system(),
            log: LogId(0),
            kek,
            founder,
        };
        let server = Server::open(opening)
            .await
            .map_err(|error| failed("START")(&error))?;
        let running = server
            .listen(axum::Router::new())
            .await
            .map_err(|error| failed("START")(&error))?;
        let (stop, stopped) = watch::channel(false);
        let installation = running.installation().clone();
        let socket = installation.config.admin_socket.clone();
        let people = running.people().await.map_err(|error| failed("START")(&error))?;
        let parts = AdminParts {
            installation,
            people,
            journals: Vec::new(),
            members: Vec::new(),
            socket,
        };
        let admin = admin::serve(parts, stopped).map_err(|error| failed("START")(&error))?;
        if let Some(name) = &command.write_context {
            let path = context::write(name, &context_of(&running)?)?;
            page.note(&format!("context {name} in {}", path.display()));
        }
        notify("READY=1");
        page.note(&format!("serving {} until ^C", running.issuer()));
        told_to_stop().await;
        notify("STOPPING=1");
        stop.send_replace(true);
        if admin.await.is_err() {
            tracing::error!("the admin plane ended by a panic");
        }
        running.stop().await;
        Ok(Exit::Done)
    })
}

/// What clients of a running server have to know.
pub(crate) fn context_of(running: &Running) -> Result<Context, Failure> {
    let installation = running.installation();
    let (config, keys) = (&installation.config, &installation.keys);
    let mut pin = [0; 32];
    pin.copy_from_slice(digest(&SHA256, keys.authority().root()).as_ref());
    Ok(Context {
        admin_socket: Some(config.admin_socket.clone()),
        issuer: config.issuer.as_str().to_owned(),
        people: config.people.as_ref().map(|people| people.url.to_string()),
        ca_pin: Digest::from_bytes(pin),
        ca_file: config.data_dir.join(server::serve::ROOT_PEM),
        log_vkey: Some(
            keys.log()
                .vkey()
                .map_err(|error| Failure::new("VKEY", error.to_string()))?,
        ),
        launch_socket: None,
    })
}

fn founder(org: Name, uid: Option<u32>) -> Result<Founder, Failure> {
    let uid = uid.unwrap_or_else(|| rustix::process::geteuid().as_raw());
    let name = format!("uid-{uid}")
        .parse()
        .map_err(|error: identity::NameError| Failure::new("FOUNDER", error.to_string()))?;
    Ok(Founder {
        org,
        admin: Principal::with_uid(name, uid, [Role::Admin].into(), "uid".to_owned()),
    })
}

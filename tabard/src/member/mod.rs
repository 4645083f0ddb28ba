//! A node agent or gateway as a process of its own: how it joins the first time, and how it is the same member again
//! after a restart.

mod first_contact;
mod gateway;
mod join_file;
mod membership;
mod node;

pub(crate) use gateway::GatewayArgs;
pub(crate) use node::NodeArgs;

use crate::cli::{Exit, Failure, Page};
use crate::parts::Tasks;
use membership::Joined;
use server::keys::Kek;
use std::future::Future;
use std::io::IsTerminal as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use sync::Ended;
use tokio::sync::watch;

/// Options that both roles have.
#[derive(Debug, clap::Args)]
pub(crate) struct MemberArgs {
    /// Keys, membership and journal; made at the first start, for its owner alone
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The key-encryption key: 64 hex digits in a file (mode 0600) outside the data; made when joining
    #[arg(long, value_name = "FILE")]
    kek: PathBuf,
    /// The line that `tabard join-token create` printed, in a file only you can read; - is stdin. Needed once
    #[arg(long, value_name = "FILE")]
    join_file: Option<PathBuf>,
    /// Where the server is, if not where its issuer's URL says
    #[arg(long, value_name = "HOST:PORT")]
    server: Option<String>,
}

/// Runs a gateway until it is told to stop.
pub(crate) fn gateway(args: &GatewayArgs, page: &Page) -> Result<Exit, Failure> {
    prepare(&args.member)?;
    runtime()?.block_on(gateway::run(args, page))
}

/// Runs a node agent until it is told to stop.
pub(crate) fn node(args: &NodeArgs, page: &Page) -> Result<Exit, Failure> {
    prepare(&args.member)?;
    runtime()?.block_on(node::run(args, page))
}

/// Logs, and the data directory.
fn prepare(args: &MemberArgs) -> Result<(), Failure> {
    let log = tracing_subscriber::EnvFilter::try_from_env("TABARD_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(log)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    private(&args.data)
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new("RUNTIME", "no threads can be started").because(error.to_string()))
}

/// Makes a folder for its owner alone.
fn private(folder: &Path) -> Result<(), Failure> {
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder);
    made.map_err(|error| {
        Failure::new("DATA_DIR", format!("{} cannot be made", folder.display()))
            .because(error.to_string())
            .fix("Choose another --data, or make it with mode 0700 for this user.")
    })
}

/// The key-encryption key. Made only by a member that joins: a missing one later is an error.
fn kek(args: &MemberArgs) -> Result<Arc<Kek>, Failure> {
    let kek = if args.join_file.is_some() {
        Kek::read_or_create(&args.kek, &args.data)
    } else {
        Kek::read(&args.kek, &args.data)
    };
    kek.map(Arc::new)
        .map_err(|error| Failure::new("KEK", error.to_string().replace("keys.kek", "--kek")))
}

/// Serves until a signal, or until the member cannot go on; `serving` starts the parts.
async fn serve<F>(
    joined: &Joined,
    page: &Page,
    serving: impl FnOnce(watch::Receiver<bool>, Tasks) -> F,
) -> Result<Exit, Failure>
where
    F: Future<Output = Result<Tasks, Failure>>,
{
    let (stop, stopped) = watch::channel(false);
    let tasks = Tasks::default();
    let mut ended = tasks.ended.subscribe();
    let tasks = serving(stopped, tasks).await?;
    crate::signals::notify("READY=1");
    page.note(&format!(
        "{} follows {} until ^C",
        joined.spiffe_id(),
        joined.issuer()
    ));
    let why = tokio::select! {
        () = crate::signals::stop() => None,
        why = ended.wait_for(Option::is_some) => why.ok().and_then(|why| why.clone()),
    };
    crate::signals::notify("STOPPING=1");
    stop.send_replace(true);
    tasks.end().await;
    match why.as_deref() {
        None => Ok(Exit::Done),
        Some(Ended::NotAMember(why)) => Err(membership::not_a_member(why)),
        Some(Ended::RolledBack(error)) => Err(Failure::new("SERVER_ROLLED_BACK", error.to_string())
            .because("what the server revoked in between would be alive again")
            .fix("Restore the server from its newest data; then start this member again.")),
    }
}

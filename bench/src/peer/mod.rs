//! Peers: programs of others that do what we do, measured in the same run. Installed by `cargo xtask interop`, never by
//! this program: one that is not there leaves a row that says so.

mod cerbos;
mod envoy;

pub(crate) use cerbos::Cerbos;
pub(crate) use envoy::{Envoy, Front};

use crate::fault::{Fault, fault};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

/// Longest time until a peer listens.
const READY: Duration = Duration::from_secs(20);
/// Between two looks whether it does.
const LOOK: Duration = Duration::from_millis(50);
/// How much of what a peer said is shown when it does not start.
const SAID_BYTES: usize = 2_000;

/// Where to find `program`, by its path in this repository; `Err` is why its row stays empty.
fn installed(name: &str, path: &str) -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.map(|root| root.join(path))
        .filter(|program| program.is_file())
        .ok_or_else(|| format!("{name} is not installed: cargo xtask interop brings it"))
}

/// Starts `command`, whose words go to a file in `folder`, and waits until it listens at `address`. Killed when dropped.
async fn listening(
    name: &str,
    command: &mut Command,
    folder: &Path,
    address: SocketAddr,
) -> Result<Child, Fault> {
    let log = folder.join("said");
    let said = std::fs::File::create(&log)?;
    let mut process = command
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said)
        .kill_on_drop(true)
        .spawn()?;
    let connected = async {
        while TcpStream::connect(address).await.is_err() {
            if process.try_wait()?.is_some() {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok::<_, Fault>(process.try_wait()?.is_none())
    };
    if matches!(tokio::time::timeout(READY, connected).await, Ok(Ok(true))) {
        return Ok(process);
    }
    let said = std::fs::read(&log)?;
    let last = said
        .get(said.len().saturating_sub(SAID_BYTES)..)
        .unwrap_or_default();
    let last = String::from_utf8_lossy(last);
    Err(fault(format!("{name} does not listen; it said: {last}")))
}

/// An address that nobody listens at now.
async fn free() -> Result<SocketAddr, Fault> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?)
}

//! A server that starts on a directory as it is, serves, and says how much memory it holds.

use super::{Orders, tell};
use crate::fault::{Fault, fault};
use crate::place;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Which installation.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) folder: PathBuf,
    pub(crate) listen: SocketAddr,
}

/// A server serves.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Serving {
    pub(crate) agents: usize,
    pub(crate) rss_kib: u32,
}

pub(super) async fn run(mut orders: Orders) -> Result<(), Fault> {
    let order: Order = orders.first().await?;
    let listener = tokio::net::TcpListener::bind(order.listen).await?;
    let running = place::open(&order.folder, listener).await?;
    let serving = || -> Result<Serving, Fault> {
        let world = running.installation().store.world();
        Ok(Serving {
            agents: world.agents(identity::OrgScope::Every).count(),
            rss_kib: rss_kib()?,
        })
    };
    tell(&serving()?)?;
    while orders.next::<serde_json::Value>().await?.is_some() {
        tell(&serving()?)?;
    }
    running.stop().await;
    Ok(())
}

/// Resident memory of this process (proc(5), VmRSS).
fn rss_kib() -> Result<u32, Fault> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number
        .ok_or_else(|| fault("/proc/self/status has no VmRSS"))?
        .parse()?)
}

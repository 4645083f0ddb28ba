//! A server process that starts on a directory with 100,000 agents, from its start until it serves, and its memory
//! against that of an empty installation.

use crate::cpu;
use crate::effort::Effort;
use crate::fault::{Fault, fault};
use crate::part::Part;
use crate::part::start::{Order, Serving};
use crate::place::{self, Place};
use crate::report::Measured;
use serde_json::json;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What a server does once after its start is over by then.
const fn rest(effort: Effort<'_>) -> Duration {
    Duration::from_millis(effort.pick(10, 1_000, 1_000))
}

pub(super) async fn measure(
    large: Place,
    folder: &TempDir,
    effort: Effort<'_>,
) -> Result<[Measured; 3], Fault> {
    let at = large.address();
    let stop = Instant::now();
    stopped(large.running).await?;
    let closing = stop.elapsed();
    let (mut times, mut rss, mut agents) = (Vec::new(), 0.0_f64, 0);
    for _ in 0..effort.pick(1, 3, 9) {
        let (time, serving) = start(folder.path(), at, rest(effort)).await?;
        times.push(cpu::millis(time));
        rss = rss.max(mib(&serving));
        agents = serving.agents;
    }
    times.sort_by(f64::total_cmp);
    let median = times
        .get(times.len() / 2)
        .copied()
        .ok_or_else(|| fault("no start"))?;
    let starts = times.len();

    let empty = tempfile::tempdir()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let listen = listener.local_addr()?;
    stopped(place::open(empty.path(), listener).await?).await?;
    let (_, bare) = start(empty.path(), listen, rest(effort)).await?;
    let note = format!(
        "median of {starts} starts, {agents} agents; closing before took {:.1} s",
        closing.as_secs_f64()
    );
    Ok([
        Measured::alone(median, note),
        Measured::alone(rss, format!("largest of {starts} starts, {agents} agents")),
        Measured::alone(mib(&bare), format!("{} agents", bare.agents)),
    ])
}

/// From the start of the process until it serves; and how it is after `rest`.
async fn start(folder: &Path, listen: SocketAddr, rest: Duration) -> Result<(Duration, Serving), Fault> {
    let order = Order {
        folder: folder.to_owned(),
        listen,
    };
    let begun = Instant::now();
    let mut part = Part::start("start", &order).await?;
    let first: Serving = part.hear().await?;
    let took = begun.elapsed();
    tokio::time::sleep(rest).await;
    let later: Serving = part.ask(&json!("again")).await?;
    part.ended().await?;
    let rss_kib = first.rss_kib.max(later.rss_kib);
    Ok((took, Serving { rss_kib, ..later }))
}

/// Stops a server of this process, and waits until its directory is free.
async fn stopped(running: server::Running) -> Result<(), Fault> {
    let store = std::sync::Arc::downgrade(&running.installation().store);
    running.stop().await;
    for _ in 0..600 {
        if store.strong_count() == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(fault("the store is still held 30 s after its server stopped"))
}

fn mib(serving: &Serving) -> f64 {
    f64::from(serving.rss_kib) / 1024.0
}

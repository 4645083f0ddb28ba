//! One call through the gateway: 1 KiB back over an established bound connection, decided, recorded twice, forwarded.
//! Gateway, floor, upstream and callers are processes of their own.

use crate::Effort;
use crate::cpu;
use crate::fault::Fault;
use crate::floor;
use crate::load::{Done, Round};
use crate::part::Part;
use crate::part::gateway::{Order, PATH, Serving};
use crate::part::gateway_load;
use crate::report::Measured;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;

/// Callers at once.
const CONNECTIONS: usize = 128;
/// Requests before anything is counted.
const WARM_UP: u32 = 1_000;

/// A process that serves, with the load on it.
struct Served {
    server: Part,
    load: Part,
}

impl Served {
    async fn gateway(journal: &Path, upstream: SocketAddr) -> Result<Self, Fault> {
        let order = Order {
            journal: journal.to_owned(),
            upstream,
        };
        let mut server = Part::start("gateway", &order).await?;
        let serving: Serving = server.hear().await?;
        let load = gateway_load::Order {
            address: serving.address,
            path: PATH.to_owned(),
            connections: CONNECTIONS,
            bound: Some(serving.bound),
        };
        Self::with(server, &load).await
    }

    async fn proxy(upstream: SocketAddr) -> Result<Self, Fault> {
        let mut server = Part::start("proxy", &upstream).await?;
        let load = gateway_load::Order {
            address: server.hear().await?,
            path: PATH.to_owned(),
            connections: CONNECTIONS,
            bound: None,
        };
        Self::with(server, &load).await
    }

    async fn with(server: Part, order: &gateway_load::Order) -> Result<Self, Fault> {
        let mut load = Part::start("gateway-load", order).await?;
        let _connections: usize = load.hear().await?;
        let _warm: Done = load.ask(&Round::Closed { requests: WARM_UP }).await?;
        Ok(Self { server, load })
    }

    /// CPU microseconds of the server for each request, and what the callers saw.
    async fn round(&mut self, round: Round) -> Result<(f64, Done), Fault> {
        let begun = self.server.cpu().await?;
        let done: Done = self.load.ask(&round).await?;
        let spent = self.server.cpu().await?.saturating_sub(begun);
        Ok((cpu::micros(spent) / f64::from(done.requests), done))
    }
}

pub(super) async fn measure(effort: Effort<'_>) -> Result<[Measured; 3], Fault> {
    let folder = tempfile::tempdir()?;
    let mut upstream = Part::start("upstream", &Value::Null).await?;
    let upstream_at: SocketAddr = upstream.hear().await?;
    let mut proxy = Served::proxy(upstream_at).await?;
    let mut gateway = Served::gateway(&folder.path().join("journal"), upstream_at).await?;
    let (rounds, requests) = (effort.pick(2, 8), 5_000);
    let (mut ours, mut least, mut per_sec) = (0.0, 0.0, 0.0);
    for _ in 0..rounds {
        least += proxy.round(Round::Closed { requests }).await?.0;
        let (cpu, done) = gateway.round(Round::Closed { requests }).await?;
        ours += cpu;
        per_sec += done.per_sec();
    }
    let rounds = f64::from(rounds);
    let per_sec = per_sec / rounds;
    let note = format!("{requests} requests a round, {rounds} rounds, {CONNECTIONS} callers, {per_sec:.0}/s");
    let cost = Measured::new(ours / rounds, least / rounds, note);
    let half = Round::Paced {
        per_sec: per_sec / 2.0,
        secs: effort.pick(2.0, 15.0),
    };
    let added = added(&mut gateway, &mut proxy, half, folder.path()).await?;
    drop(gateway);
    let shm = Path::new("/dev/shm");
    let tmpfs = match tempfile::tempdir_in(shm) {
        Err(why) => Measured::Nothing(format!("no tmpfs at {}: {why}", shm.display())),
        Ok(memory) => {
            let mut gateway = Served::gateway(&memory.path().join("journal"), upstream_at).await?;
            self::added(&mut gateway, &mut proxy, half, memory.path()).await?
        }
    };
    Ok([cost, added, tmpfs])
}

/// How much later the slowest hundredth of the answers is than through the proxy, beyond one group commit.
async fn added(
    gateway: &mut Served,
    proxy: &mut Served,
    half: Round,
    folder: &Path,
) -> Result<Measured, Fault> {
    let commit = floor::commit_p99_ms(folder, 300).await?;
    let (_, through) = gateway.round(half).await?;
    let (_, least) = proxy.round(half).await?;
    let p99 = |done: &Done| std::time::Duration::from_micros(done.p99_us).as_secs_f64() * 1e3;
    let note = format!(
        "p99 through the gateway {:.2} ms, through the proxy {:.2} ms, of one group commit {commit:.2} ms; {:.0}/s",
        p99(&through),
        p99(&least),
        through.per_sec()
    );
    Ok(Measured::alone(p99(&through) - p99(&least) - commit, note))
}

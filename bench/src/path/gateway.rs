//! One call through the gateway: 1 KiB back over an established bound connection, decided, recorded twice, forwarded.
//! Gateway, floor, peer, upstream and callers are processes of their own.

use crate::cost::{Callers, Server};
use crate::effort::Effort;
use crate::fault::Fault;
use crate::floor;
use crate::load::{Done, Round};
use crate::part::Part;
use crate::part::gateway::{Order, PATH, Serving};
use crate::part::gateway_load::{self, Bound};
use crate::peer::{Envoy, Front};
use crate::report::Measured;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// Callers at once.
const CONNECTIONS: usize = 128;

/// Requests before anything is counted.
const fn warm_up(effort: Effort<'_>) -> u32 {
    effort.pick(128, 1_000, 1_000)
}

/// A process that serves, with the load on it.
struct Served {
    server: Part,
    callers: Callers,
}

impl Served {
    /// A gateway, and who may call it.
    async fn gateway(
        journal: &Path,
        upstream: SocketAddr,
        effort: Effort<'_>,
    ) -> Result<(Self, Bound), Fault> {
        let order = Order {
            journal: journal.to_owned(),
            upstream,
        };
        let mut server = Part::start("gateway", &order).await?;
        let Serving { address, bound, .. } = server.hear().await?;
        let served = Self::with(server, address, Some(bound.clone()), effort).await?;
        Ok((served, bound))
    }

    async fn proxy(upstream: SocketAddr, effort: Effort<'_>) -> Result<Self, Fault> {
        let mut server = Part::start("proxy", &upstream).await?;
        let address = server.hear().await?;
        Self::with(server, address, None, effort).await
    }

    async fn with(
        server: Part,
        address: SocketAddr,
        bound: Option<Bound>,
        effort: Effort<'_>,
    ) -> Result<Self, Fault> {
        let order = gateway_load::Order {
            address,
            path: PATH.to_owned(),
            connections: CONNECTIONS,
            bound,
        };
        let callers = Callers::start("gateway-load", &order, warm_up(effort)).await?;
        Ok(Self { server, callers })
    }

    /// CPU microseconds of the server for each request, and what the callers saw.
    async fn round(&mut self, round: Round) -> Result<(f64, Done), Fault> {
        let ([each], done) = self
            .callers
            .round([Server::Part(&mut self.server)], round)
            .await?;
        Ok((each, done))
    }
}

/// The peer in the gateway's place: the inner error says why it is not there to be measured.
type Beside = Result<Result<Envoy, String>, Fault>;

pub(super) async fn measure(effort: Effort<'_>) -> Result<[Measured; 4], Fault> {
    let folder = tempfile::tempdir()?;
    let mut upstream = Part::start("upstream", &Value::Null).await?;
    let upstream_at: SocketAddr = upstream.hear().await?;
    let mut proxy = Served::proxy(upstream_at, effort).await?;
    let (mut gateway, caller) = Served::gateway(&folder.path().join("journal"), upstream_at, effort).await?;
    let mut beside: Beside = Envoy::start(Front {
        upstream: upstream_at,
        caller,
        path: PATH,
        connections: CONNECTIONS,
        warm_up: warm_up(effort),
    })
    .await;
    let (rounds, requests) = (effort.pick(1, 2, 8), effort.pick(256, 5_000, 5_000));
    let (mut ours, mut least, mut per_sec) = (0.0, 0.0, 0.0);
    for _ in 0..rounds {
        least += proxy.round(Round::Closed { requests }).await?.0;
        let (cpu, done) = gateway.round(Round::Closed { requests }).await?;
        ours += cpu;
        per_sec += done.per_sec();
        if let Ok(Ok(envoy)) = &mut beside
            && let Err(why) = envoy.requests(requests).await
        {
            beside = Err(why);
        }
    }
    let each = f64::from(rounds);
    let (ours, least, per_sec) = (ours / each, least / each, per_sec / each);
    let note = format!("{requests} requests a round, {rounds} rounds, {CONNECTIONS} callers, {per_sec:.0}/s");
    let cost = Measured::new(ours, least, note);
    let beside = beside_envoy(ours, beside);
    let half = Round::Paced {
        per_sec: per_sec / 2.0,
        secs: effort.pick(0.2, 2.0, 15.0),
    };
    let added = added(&mut gateway, &mut proxy, half, folder.path(), effort).await?;
    drop(gateway);
    let shm = Path::new("/dev/shm");
    let tmpfs = match tempfile::tempdir_in(shm) {
        Err(why) => Measured::Nothing(format!("no tmpfs at {}: {why}", shm.display())),
        Ok(memory) => {
            let journal = memory.path().join("journal");
            let (mut gateway, _) = Served::gateway(&journal, upstream_at, effort).await?;
            self::added(&mut gateway, &mut proxy, half, memory.path(), effort).await?
        }
    };
    Ok([cost, beside, added, tmpfs])
}

/// What a call costs us, against what it costs those who serve it in our place. They are gone afterwards.
fn beside_envoy(ours: f64, beside: Beside) -> Measured {
    match beside {
        Err(why) => Measured::failed(&why),
        Ok(Err(why)) => Measured::Nothing(why),
        Ok(Ok(envoy)) => {
            let (theirs, note) = envoy.micros_each();
            Measured::new(ours, theirs, note)
        }
    }
}

/// How much later the slowest hundredth of the answers is than through the proxy, beyond one group commit.
async fn added(
    gateway: &mut Served,
    proxy: &mut Served,
    half: Round,
    folder: &Path,
    effort: Effort<'_>,
) -> Result<Measured, Fault> {
    let commit = floor::commit_p99_ms(folder, effort.pick(20, 300, 300)).await?;
    let (_, through) = gateway.round(half).await?;
    let (_, least) = proxy.round(half).await?;
    let ms = |micros: u64| Duration::from_micros(micros).as_secs_f64() * 1e3;
    let note = format!(
        "gateway p50 {:.2} p99 {:.2} ms, proxy p50 {:.2} p99 {:.2} ms, of one group commit p99 {commit:.2} ms; {:.0}/s, \
         asked {:.2} and {:.2} ms late (p99)",
        ms(through.p50_us),
        ms(through.p99_us),
        ms(least.p50_us),
        ms(least.p99_us),
        through.per_sec(),
        ms(through.late_p99_us),
        ms(least.late_p99_us),
    );
    Ok(Measured::alone(
        ms(through.p99_us) - ms(least.p99_us) - commit,
        note,
    ))
}

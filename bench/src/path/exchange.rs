//! Exchanges over the wire: TLS, HTTP/1.1 keep-alive, contract, durable record, ES256. The server is this process,
//! its clients are another. What counts is this process's CPU time, kernel included, divided by the requests.

use crate::cost::{Callers, Server};
use crate::effort::Effort;
use crate::fault::Fault;
use crate::floor::Es256;
use crate::instance::Instance;
use crate::load::Done;
use crate::part::exchange_load::{Caller, Order};
use crate::place::{LAUNCHED, Place};
use crate::report::Measured;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use tempfile::TempDir;

/// Clients at once, each an instance with a key and a connection of its own.
const CLIENTS: u32 = LAUNCHED;

/// Requests of each client before anything is counted.
pub(super) const fn warm_up(effort: Effort<'_>) -> u32 {
    effort.pick(1, 20, 20)
}

/// A load process and the files it reads.
pub(super) struct Load {
    callers: Callers,
    _files: TempDir,
}

impl Load {
    /// Clients with `subjects` JWT-SVIDs each, which have made `warm_up` requests each; with `bound` they show X.509-SVIDs
    /// instead of making proofs.
    pub(super) async fn start(
        place: &Place,
        subjects: u32,
        bound: bool,
        warm_up: u32,
    ) -> Result<Self, Fault> {
        let files = tempfile::tempdir()?;
        let mut callers = Vec::new();
        for n in 0..CLIENTS {
            let instance = Instance::launch(place, n).await?;
            let tokens: Vec<String> = stream::iter(0..subjects)
                .map(|_| instance.jwt_svid(place))
                .buffer_unordered(64)
                .try_collect()
                .await?;
            let path = files.path().join(format!("subjects-{n}"));
            std::fs::write(&path, tokens.join("\n"))?;
            let chain = if bound {
                instance.x509_svid(place, &instance.key.csr()?).await?
            } else {
                Vec::new()
            };
            callers.push(Caller {
                key: STANDARD.encode(instance.key.pkcs8()),
                chain: chain.iter().map(|der| STANDARD.encode(der)).collect(),
                subjects: path,
            });
        }
        let order = Order {
            address: place.address(),
            root_pem: place.root_pem(),
            token_url: place.token_url(),
            callers,
        };
        let nonce = place
            .installation()
            .keys
            .nonces()
            .make(place.installation().clock.now());
        let first = json!({"order": order, "nonce": nonce});
        let callers = Callers::start("exchange-load", &first, CLIENTS * warm_up).await?;
        place.settle().await;
        Ok(Self {
            callers,
            _files: files,
        })
    }

    /// So many requests: CPU microseconds of this process for each, and what the clients saw.
    pub(super) async fn round(&mut self, requests: u32) -> Result<(f64, Done), Fault> {
        self.callers.requests(Server::Here, requests).await
    }
}

/// Every request with a subject token that was never seen before and a DPoP proof.
pub(super) async fn full(place: &Place, effort: Effort<'_>) -> Result<[Measured; 1], Fault> {
    let (each, warm_up) = (effort.pick(2, 50, 200), warm_up(effort));
    let mut load = Load::start(place, warm_up + each + 1, false, warm_up).await?;
    let before = Es256::measure(effort)?;
    let (value, done) = load.round(CLIENTS * each).await?;
    let floor = before.mean(Es256::measure(effort)?);
    Ok([Measured::new(value, 2.0 * floor.verify + floor.sign, note(&done))])
}

/// Every request over mutual TLS, with the subject token of the one before.
pub(super) async fn cached(place: &Place, effort: Effort<'_>) -> Result<[Measured; 1], Fault> {
    let mut load = Load::start(place, 1, true, warm_up(effort)).await?;
    let before = Es256::measure(effort)?;
    let (value, done) = load.round(CLIENTS * effort.pick(2, 60, 500)).await?;
    let floor = before.mean(Es256::measure(effort)?);
    Ok([Measured::new(value, floor.sign, note(&done))])
}

fn note(done: &Done) -> String {
    format!(
        "{} requests of {CLIENTS} clients, {:.0}/s on a shared machine, p50 {} us, p99 {} us",
        done.requests,
        done.per_sec(),
        done.p50_us,
        done.p99_us
    )
}

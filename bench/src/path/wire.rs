//! Revocation as a caller sees it: real gateways, each a `tabard gateway` that joined over the wire, serve calls without
//! pause, each of an agent of its own, since what a process counts has one home; the tokens are revoked, one after the
//! other; the time runs from the first revocation until the last of them has answered 401.

use crate::client::Connection;
use crate::effort::Effort;
use crate::fault::{Fault, fault};
use crate::instance::Instance;
use crate::load;
use crate::part::Part;
use crate::part::exchange_load::now;
use crate::part::gateway::PATH;
use crate::part::real_gateway::RealGateway;
use crate::place::{Place, manifest};
use broker::revoke::revoke;
use broker::task::TaskRequest;
use broker::world::Target;
use credential::AccessTokenClaims;
use credential::dpop::RequestTarget;
use hdrhistogram::Histogram;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Real gateways at once; each is a process with a store of its own, and all share this machine.
pub(super) const fn how_many(effort: Effort<'_>) -> u32 {
    effort.pick(1, 4, 4)
}

/// Their numbers among the members of the place.
const FIRST: u32 = 1_000;
/// Between two calls of one caller: it is there to see the refusal, not to load the machine.
const PAUSE: Duration = Duration::from_millis(1);
/// Longest wait for the refusal.
const REFUSED: Duration = Duration::from_secs(10);

/// Calls at `gateways` until refused, `count` times.
pub(super) async fn measure(place: &Place, effort: Effort<'_>) -> Result<Histogram<u64>, Fault> {
    let mut upstream = Part::start("upstream", &Value::Null).await?;
    publish(place, upstream.hear().await?).await?;
    let mut gateways = Vec::new();
    let contract = place.contract()?;
    for n in 0..how_many(effort) {
        // New ones: those of other measurements have their home there.
        let name = format!("wire-{n}");
        place.register(&name, contract, true).await?;
        let launched = Instance::launch_for(place, name.parse()?, &TaskRequest::default()).await?;
        let instance = Arc::new(launched);
        gateways.push((RealGateway::start(place, FIRST + n).await?, instance));
    }
    let (count, mut times) = (effort.pick(1, 10, 100), load::latencies()?);
    let admin = place.admin()?;
    for _ in 0..count {
        let mut ids = Vec::new();
        let (served, mut serving) = mpsc::unbounded_channel();
        let mut callers = tokio::task::JoinSet::new();
        for (gateway, instance) in &gateways {
            let token = instance.access_token(place, "invoices").await?;
            let claims = AccessTokenClaims::of_token_unverified(&token);
            ids.push(claims.map_err(|error| fault(format!("{error:?}")))?.token);
            let caller = Caller {
                connection: gateway.connect().await?,
                address: gateway.address,
                target: RequestTarget::parse(&format!("http://{}{PATH}", gateway.address))?,
                instance: instance.clone(),
                token,
            };
            callers.spawn(caller.until_refused(served.clone()));
        }
        drop(served);
        for _ in &gateways {
            // A caller that ended before it was served says why.
            if serving.recv().await.is_none() {
                while let Some(ended) = callers.join_next().await {
                    let _refused: Instant = ended??;
                }
                return Err(fault("a gateway refused a token that was not revoked"));
            }
        }
        let begun = Instant::now();
        for id in ids {
            drop(
                place
                    .act(|world, draw| revoke(world, &admin, Target::Token(id), "", draw))
                    .await?,
            );
        }
        let mut last = begun;
        while let Some(refused) = callers.join_next().await {
            last = last.max(refused??);
        }
        load::note(&mut times, last.saturating_duration_since(begun));
    }
    Ok(times)
}

struct Caller {
    connection: Connection,
    address: SocketAddr,
    target: RequestTarget,
    instance: Arc<Instance>,
    token: String,
}

impl Caller {
    /// Calls without pause; says when the first call was served; the time of the first 401.
    async fn until_refused(mut self, served: mpsc::UnboundedSender<()>) -> Result<Instant, Fault> {
        let begun = Instant::now();
        let mut number = 0_u64;
        loop {
            number += 1;
            let jti = format!("{}-{number}-{:?}", self.address, begun);
            let key = &self.instance.key;
            let proof = key.proof_of("GET", &self.target, &jti, None, Some(&self.token), now())?;
            let request = Request::get(PATH)
                .header("host", self.address.to_string())
                .header("authorization", format!("DPoP {}", self.token))
                .header("dpop", proof)
                .body(Full::default())?;
            let (status, _, body) = self.connection.answer(request).await?;
            match status {
                StatusCode::OK if number == 1 => served.send(())?,
                StatusCode::OK => {}
                StatusCode::UNAUTHORIZED if number > 1 => return Ok(Instant::now()),
                other => {
                    let text = String::from_utf8_lossy(&body).into_owned();
                    return Err(fault(format!("the gateway answered {other}: {text}")));
                }
            }
            if begun.elapsed() > REFUSED {
                return Err(fault("a revoked token was served for 10 s"));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The upstream that the contract's actions are at.
async fn publish(place: &Place, upstream: SocketAddr) -> Result<(), Fault> {
    let text = format!(
        "apiVersion: tabard/v1\nkind: Upstream\nmetadata: {{name: invoices}}\nbase_url: http://{upstream}\n\
         credential: none\nroutes:\n  - {{method: GET, path: '/tenants/{{tenant}}/invoices/{{id}}', \
         action: invoices.read, resource: {{type: invoice, id: id}}, tenant: {{path: tenant}}}}\n"
    );
    drop(place.publish_upstream(manifest(&text)?).await?);
    Ok(())
}

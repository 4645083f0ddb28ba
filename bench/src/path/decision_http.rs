//! One AuthZEN evaluation over HTTP: mutual TLS keep-alive, decided, counted, recorded. Beside it the peer's check.
//!
//! The server is this process, its clients are another. The floor is Cedar's evaluation of the same contract, and a request
//! that asks nothing over the same connections.

use super::decision;
use crate::client::Identity;
use crate::cost::{Callers, Server};
use crate::effort::Effort;
use crate::fault::{Fault, fault};
use crate::instance::Instance;
use crate::key::ClientKey;
use crate::part::asker::{Order, Question};
use crate::peer::Cerbos;
use crate::place::{LAUNCHED, Place, manifest};
use crate::report::Measured;
use broker::service::{RENEWABLE_SECS, SVID_SECS, Wanted, svid};
use identity::{Name, OrgScope};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;
use server::Credential;

/// Clients at once; each asks about an agent of its own.
const CLIENTS: u32 = LAUNCHED;

const UPSTREAM: &str = "
apiVersion: tabard/v1
kind: Upstream
metadata: {name: invoices}
base_url: http://127.0.0.1:9
credential: none
enforced_by: [edge]
routes:
  - {method: GET, path: '/tenants/{tenant}/invoices/{id}', action: invoices.read, resource: {type: invoice, id: id}, tenant: {path: tenant}}
";

/// The evaluation, and the peer's check in the same run.
pub(super) async fn measure(place: &Place, effort: Effort<'_>) -> Result<[Measured; 2], Fault> {
    drop(place.publish_upstream(manifest(UPSTREAM)?).await?);
    let identity = service(place).await?;
    let mut questions = Vec::new();
    for n in 0..CLIENTS {
        let instance = Instance::launch(place, n).await?;
        let world = place.world();
        let launched = world.instance(OrgScope::Every, instance.id);
        let task = launched.ok_or_else(|| fault("no instance"))?.task;
        let question = json!({
            "subject": {"type": "agent", "id": format!("agent-{n}")},
            "action": {"name": "invoices.read"},
            "resource": {"type": "invoice", "id": "4711", "properties": {"tenant": "acme-eu"}},
            // Other measurements have left the agent with other tasks.
            "context": {"task": task.to_string()},
        });
        questions.push(Question {
            path: "/access/v1/evaluation".into(),
            body: Some(question.to_string()),
            answer: "\"decision\":true".into(),
        });
    }
    let nothing = Question {
        path: "/healthz".into(),
        body: None,
        answer: String::new(),
    };
    let nothing = vec![nothing; questions.len()];
    let mut floor = askers(place, &identity, nothing, effort).await?;
    let mut ours = askers(place, &identity, questions, effort).await?;
    let evaluation = decision::cedar_micros(effort)?;
    let (rounds, requests) = (effort.pick(1, 2, 8), effort.pick(2 * CLIENTS, 4_000, 4_000));
    let (mut value, mut http, mut seen) = (0.0, 0.0, Vec::new());
    for _ in 0..rounds {
        http += floor.requests(Server::Here, requests).await?.0;
        let (cpu, done) = ours.requests(Server::Here, requests).await?;
        value += cpu;
        seen.push(done);
    }
    let each = f64::from(rounds);
    let (value, http) = (value / each, http / each);
    let p99 = seen.iter().map(|done| done.p99_us).max().unwrap_or(0);
    let note = format!(
        "floor {evaluation:.1} + {http:.1}; {} requests of {CLIENTS} clients, p99 {p99} us",
        requests * rounds
    );
    let beside = cerbos(value, requests * rounds, effort).await;
    Ok([
        Measured::new(value, evaluation + http, note),
        beside.unwrap_or_else(|why| Measured::failed(&why)),
    ])
}

/// Our `value` beside the peer's, where it is there.
async fn cerbos(value: f64, requests: u32, effort: Effort<'_>) -> Result<Measured, Fault> {
    Ok(match Cerbos::start(warm_up(effort)).await? {
        Err(why) => Measured::Nothing(why),
        Ok(mut cerbos) => {
            let peer = cerbos.micros_each(requests).await?;
            Measured::new(value, peer, "Cerbos keeps no record here; ours is durable")
        }
    })
}

/// The SVID of the service that asks.
async fn service(place: &Place) -> Result<Identity, Fault> {
    let key = ClientKey::new()?;
    let proven = credential::csr::verify(&key.csr()?)?;
    let (admin, name): (_, Name) = (place.admin()?, "edge".parse()?);
    let wanted = Wanted {
        org: place.org,
        name: &name,
        proven: &proven,
        ttl_secs: SVID_SECS,
        renewable_secs: RENEWABLE_SECS,
    };
    let recorded = place
        .act(|world, draw| svid(world, &admin, &wanted, draw))
        .await?;
    let Credential::X509Svid { chain, .. } = place.installation().signer.sign(recorded)? else {
        return Err(fault("not an X.509-SVID"));
    };
    let root = CertificateDer::from_pem_file(place.root_pem())?;
    Ok(Identity::new(&root, &chain, key.pkcs8()))
}

async fn askers(
    place: &Place,
    identity: &Identity,
    questions: Vec<Question>,
    effort: Effort<'_>,
) -> Result<Callers, Fault> {
    let order = Order {
        address: place.address(),
        tls: Some(identity.clone()),
        questions,
    };
    Callers::start("asker", &order, warm_up(effort)).await
}

/// Requests before anything is counted.
const fn warm_up(effort: Effort<'_>) -> u32 {
    effort.pick(CLIENTS, 2_000, 2_000)
}

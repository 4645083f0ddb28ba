//! `/access/v1/requests`: asking people about what was denied, and how that stands (AuthZEN Access Request and Approval
//! Profile, draft 1).
//!
//! A denial of the decision API says that people could turn it (`access_request`). It asks nobody: posting it here does, by
//! the id of its evaluation, and only the service that it was told to can. The handle is polled, and an approval is worth
//! nothing in itself: the service asks for the decision again and names it (`context.approval`).
//!
//! An agent that a gateway refused finds its request here as well: the gateway asked already. Who may look is that agent, or
//! the service that asked, each over mutual TLS with its X.509-SVID; for anybody else there is no such request.

use super::repeats::KEY_BYTES_MAX;
use super::unrequested::Unrequested;
use super::{NotAsked, ask};
use crate::connection::Peer;
use crate::decisions::{Denial, Failed, Members, NoDenial, NotAQuestion, content, read};
use crate::installation::Installation;
use crate::surface::Routes;
use audit::event::canonical_json;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse as _, Response};
use broker::World;
use broker::approve::{Ask, Bound};
use broker::service::Service;
use broker::world::Approval;
use broker::world::approval::State as Standing;
use credential::sha256;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use identity::{AgentId, ApprovalId, DecisionId, Digest, OrgScope, UnixTime};
use serde_json::{Value, json};
use std::sync::Arc;

/// Path of the requests.
pub(crate) const REQUESTS_PATH: &str = "/access/v1/requests";
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// How soon a request that waits is worth another look, in seconds: people take longer.
const POLL_SECS: u64 = 5;

/// `/access/v1/requests`.
pub(crate) fn routes() -> Routes<Arc<Installation>> {
    Routes::new()
        .post(REQUESTS_PATH, begin)
        .get(&format!("{REQUESTS_PATH}/{{id}}"), show)
}

/// Who asks.
enum Asking {
    /// An agent, about what it was refused itself.
    Agent(AgentId),
    /// A service, about what it asked.
    Service(Service),
}

impl Asking {
    fn of(installation: &Installation, world: &World, peer: &Peer) -> Option<Self> {
        let now = installation.clock.now();
        let svid = peer.svid(now)?;
        if let Some(service) = Service::of(world, svid.spiffe_id(), svid.key()) {
            return Some(Self::Service(service));
        }
        let agent = world.agent_of(OrgScope::Every, svid.spiffe_id())?;
        agent.is_live(now).then_some(Self::Agent(agent.id))
    }

    /// Whether it may look at it.
    fn sees(&self, approval: &Approval) -> bool {
        match self {
            Self::Agent(agent) => approval.agent == *agent,
            Self::Service(service) => {
                let asked_by = Bound::read(&approval.request).and_then(|bound| bound.asked_by);
                service.scope().holds(approval.org) && asked_by.as_ref() == Some(service.name())
            }
        }
    }
}

/// How a request stands, as a task of the profile and, once it is approved, its result.
fn handle(installation: &Installation, approval: &Approval) -> Value {
    let now = installation.clock.now();
    let state = approval.state(now);
    let until = approval.good_until().rfc3339();
    let endpoint = installation.config.issuer.endpoint(REQUESTS_PATH);
    let mut handle = json!({"task": {
        "id": approval.id,
        "status": status_of(state),
        "status_endpoint": format!("{endpoint}/{}", approval.id),
        "expires_at": until,
        "links": {"review": approval.page()},
    }});
    if state == Standing::Approved
        && let Some(handle) = handle.as_object_mut()
    {
        let approved_at = approval.approved_at().map(UnixTime::rfc3339);
        let approval = json!({"id": approval.id, "approved_at": approved_at, "approved_until": until});
        handle.insert(
            "result".into(),
            json!({"mode": "reevaluate", "approval": approval}),
        );
    }
    handle
}

const fn status_of(state: Standing) -> &'static str {
    match state {
        Standing::Pending => "pending",
        Standing::Approved => "approved",
        Standing::Denied => "denied",
        // Used is over, like what came too late: another request is another approval.
        Standing::Expired | Standing::Used => "expired",
        Standing::Withdrawn => "cancelled",
    }
}

fn answer(installation: &Installation, approval: &Approval, status: StatusCode) -> Response {
    let handle = handle(installation, approval);
    let mut response = (status, axum::Json(&handle)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if approval.state(installation.clock.now()) == Standing::Pending {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(POLL_SECS));
    }
    let place = handle.pointer("/task/status_endpoint").and_then(Value::as_str);
    if status != StatusCode::OK
        && let Some(place) = place.and_then(|place| place.parse().ok())
    {
        headers.insert(header::LOCATION, place);
    }
    response
}

async fn begin(
    State(installation): State<Arc<Installation>>,
    Extension(peer): Extension<Arc<Peer>>,
    request: Request<Body>,
) -> Result<Response, Unrequested> {
    let busy = Unrequested::Other(Failed::Busy);
    let _place = installation.decisions.try_acquire().map_err(|_| busy)?;
    let world = installation.store.world();
    let Some(asking) = Asking::of(&installation, &world, &peer) else {
        return Err(Unrequested::UnknownTask);
    };
    let key = idempotency_key(request.headers())?;
    let asked = read(request).await?;
    let denial = asked.get("denial").and_then(Value::as_object);
    let denial = denial.ok_or(NotAQuestion::Member("denial"))?;
    let refusal: DecisionId = text(denial, "evaluation_id", "denial.evaluation_id")?
        .parse()
        .map_err(|_| Unrequested::OtherDenial)?;
    let approval = match &asking {
        // The gateway asked when it refused: there is only something to find.
        Asking::Agent(agent) => world
            .approvals(OrgScope::Every)
            .find(|approval| approval.refusal == refusal && approval.agent == *agent)
            .cloned()
            .ok_or(Unrequested::UnknownTask)?,
        Asking::Service(service) => {
            requested(&installation, service, &asked, refusal, key.as_deref()).await?
        }
    };
    let waits = approval.state(installation.clock.now()) == Standing::Pending;
    let status = if waits {
        StatusCode::ACCEPTED
    } else {
        StatusCode::CREATED
    };
    Ok(answer(&installation, &approval, status))
}

async fn show(
    State(installation): State<Arc<Installation>>,
    Extension(peer): Extension<Arc<Peer>>,
    Path(id): Path<String>,
) -> Result<Response, Unrequested> {
    let world = installation.store.world();
    let asking = Asking::of(&installation, &world, &peer).ok_or(Unrequested::UnknownTask)?;
    let found = id
        .parse::<ApprovalId>()
        .ok()
        .and_then(|id| world.approval(OrgScope::Every, id))
        .filter(|approval| asking.sees(approval));
    found
        .map(|approval| answer(&installation, approval, StatusCode::OK))
        .ok_or(Unrequested::UnknownTask)
}

/// Asks people about what this service was denied, and nothing else.
async fn requested(
    installation: &Installation,
    service: &Service,
    asked: &Members,
    refusal: DecisionId,
    key: Option<&str>,
) -> Result<Arc<Approval>, Unrequested> {
    for (member, fix) in [
        ("items", "request each denial by itself"),
        (
            "callback",
            "poll the task, or have an administrator register a webhook",
        ),
    ] {
        if asked.contains_key(member) {
            return Err(Unrequested::Unsupported(member, fix));
        }
    }
    let now = installation.clock.now();
    if let Some(key) = key {
        let body = canonical_json(&Value::Object(asked.clone())).map_err(|_| NotAQuestion::Json)?;
        let body = Digest::from_bytes(sha256(&body));
        let of = (service.org(), service.name().clone());
        if !installation.repeats.fits(of, key, body, now) {
            return Err(Unrequested::Duplicate);
        }
    }
    let found = installation.denials.find(service, refusal, now);
    let denial: Arc<Denial> = found.map_err(|why| match why {
        NoDenial::Unknown => Unrequested::OtherDenial,
        NoDenial::Expired => Unrequested::ExpiredDenial,
    })?;
    // What was denied is what is requested: a request that says otherwise was made for something else.
    if content(asked) != Some(denial.content) {
        return Err(Unrequested::OtherDenial);
    }
    let wanted = Ask {
        said: said(asked)?,
        ..denial.ask.clone()
    };
    ask(installation, None, &wanted).await.map_err(|why| match why {
        NotAsked::Refused(refused) => Unrequested::NotRequestable(refused.code(), refused.decision()),
        NotAsked::Unrecorded(_) | NotAsked::Keys(_) | NotAsked::Lost => {
            tracing::error!(%why, "people could not be asked");
            Unrequested::Other(Failed::Unavailable)
        }
    })
}

/// What is said about it: shown to people as the agent's own words, which prove nothing.
fn said(asked: &Members) -> Result<Option<String>, NotAQuestion> {
    let said = asked
        .get("context")
        .and_then(|context| context.get("business_justification"));
    match said {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(said)) => Ok(Some(said.clone())),
        Some(_) => Err(NotAQuestion::Member("context.business_justification")),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, NotAQuestion> {
    let wrong = NotAQuestion::Member("the header Idempotency-Key");
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    match (keys.next(), keys.next()) {
        (None, _) => Ok(None),
        (Some(key), None) => {
            let key = key.to_str().map_err(|_| wrong)?;
            let fits = (1..=KEY_BYTES_MAX).contains(&key.len());
            fits.then(|| Some(key.to_owned())).ok_or(wrong)
        }
        (Some(_), Some(_)) => Err(wrong),
    }
}

fn text<'m>(members: &'m Members, name: &str, whole: &'static str) -> Result<&'m str, NotAQuestion> {
    members
        .get(name)
        .and_then(Value::as_str)
        .ok_or(NotAQuestion::Member(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_a_status_and_only_approved_is_approved() {
        for state in Standing::ALL {
            let is_good = status_of(state) == "approved";
            assert_eq!(is_good, state == Standing::Approved, "{state:?}");
        }
    }
}

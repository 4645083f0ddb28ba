//! `/access/v1/requests`: how a request for an approval stands, for the agent that waits (AuthZEN Access Request and
//! Approval Profile, working draft).
//!
//! A denial says where its request is ([`access_request`]); posting it gives the handle, and asking again is the same request
//! whatever its `Idempotency-Key`. Nobody is asked by that: the refusal did. Who may look is the agent itself, over mutual TLS
//! with its X.509-SVID; for anybody else there is no such request.

use crate::connection::Peer;
use crate::installation::Installation;
use crate::problem::Problem;
use axum::extract::{Extension, Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use broker::World;
use broker::world::Approval;
use broker::world::approval::State as Standing;
use identity::{AgentId, ApprovalId, DecisionId, OrgScope, UnixTime};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// Path of the requests.
const REQUESTS: &str = "/access/v1/requests";

/// `/access/v1/requests`.
pub(crate) fn routes() -> Router<Arc<Installation>> {
    Router::new()
        .route(REQUESTS, post(begin))
        .route(&format!("{REQUESTS}/{{id}}"), get(show))
}

/// What a denial says about the request that it led to.
#[expect(dead_code, reason = "for denials of the decision API")]
pub(crate) fn access_request(installation: &Installation, approval: &Approval) -> Value {
    json!({
        "endpoint": installation.config.issuer.endpoint(REQUESTS),
        "template": {"denial": {"evaluation_id": approval.refusal.to_string()}},
        "expires_at": approval.good_until().rfc3339(),
    })
}

/// A request, as far as we look at it: which denial it is about.
#[derive(Debug, Deserialize)]
struct Begun {
    denial: Denial,
}

#[derive(Debug, Deserialize)]
struct Denial {
    evaluation_id: String,
}

/// How a request stands.
#[derive(Debug, Serialize)]
struct Handle {
    id: String,
    status: &'static str,
    expires_at: String,
    /// What an evaluation that is made again names.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<Value>,
}

impl Handle {
    fn of(approval: &Approval, now: UnixTime) -> Self {
        let state = approval.state(now);
        let until = approval.good_until().rfc3339();
        Self {
            id: approval.id.to_string(),
            status: status_of(state),
            approval: (state == Standing::Approved)
                .then(|| json!({"id": approval.id.to_string(), "approved_until": until})),
            expires_at: until,
        }
    }
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

async fn begin(
    State(installation): State<Arc<Installation>>,
    Extension(peer): Extension<Arc<Peer>>,
    Json(begun): Json<Begun>,
) -> Result<Json<Handle>, Problem> {
    let (world, now) = (installation.store.world(), installation.clock.now());
    let agent = agent(&world, &peer, now).ok_or(Problem::NotFound)?;
    let refusal: DecisionId = begun
        .denial
        .evaluation_id
        .parse()
        .map_err(|_| Problem::NotFound)?;
    let found = world
        .approvals(OrgScope::Every)
        .find(|approval| approval.refusal == refusal && approval.agent == agent);
    found
        .map(|approval| Json(Handle::of(approval, now)))
        .ok_or(Problem::NotFound)
}

async fn show(
    State(installation): State<Arc<Installation>>,
    Extension(peer): Extension<Arc<Peer>>,
    Path(id): Path<String>,
) -> Result<Json<Handle>, Problem> {
    let (world, now) = (installation.store.world(), installation.clock.now());
    let agent = agent(&world, &peer, now).ok_or(Problem::NotFound)?;
    let found = id
        .parse::<ApprovalId>()
        .ok()
        .and_then(|id| world.approval(OrgScope::Every, id))
        .filter(|approval| approval.agent == agent);
    found
        .map(|approval| Json(Handle::of(approval, now)))
        .ok_or(Problem::NotFound)
}

/// The agent whose SVID the connection proved.
fn agent(world: &World, peer: &Peer, now: UnixTime) -> Option<AgentId> {
    let svid = peer.svid(now)?;
    let agent = world.agent_of(OrgScope::Every, svid.spiffe_id())?;
    agent.is_live(now).then_some(agent.id)
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

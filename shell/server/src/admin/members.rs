//! `/v1/members/{id}`: node agents and gateways. Who they are stands in the status; here one is removed.

use super::Plane;
use super::agents::Applied;
use super::body::{Path, Strict};
use super::caller::Caller;
use super::refused::Refused;
use crate::settle::settle;
use axum::Json;
use axum::extract::State;
use identity::NodeId;
use serde::Deserialize;
use std::sync::Arc;

/// Longest reason in bytes; more belongs into a ticket that it names.
const REASON_BYTES_MAX: usize = 1024;

/// Why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    #[serde(default)]
    reason: String,
}

/// Ends a membership: what the member holds is refused from this commit on, and its feed ends.
pub(super) async fn remove(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(id): Path<String>,
    Strict(wanted): Strict<Wanted>,
) -> Result<Json<Applied>, Refused> {
    let installation = &plane.installation;
    if wanted.reason.len() > REASON_BYTES_MAX {
        let what = format!("The reason is longer than {REASON_BYTES_MAX} bytes.");
        return Err(Refused::bad_request(what, "Name a ticket instead."));
    }
    let scope = caller.scope();
    let unknown = || Refused::not_found("member", &id);
    let node: NodeId = id.parse().map_err(|_| unknown())?;
    let world = installation.store.world();
    let in_reach = |org: Option<identity::OrgId>| org.is_none_or(|org| scope.holds(org));
    let member = world
        .node(node)
        .filter(|it| in_reach(it.org))
        .ok_or_else(unknown)?;
    let recorded = settle(installation, member.org, |world, draw| {
        broker::member::remove(world, &caller.who, member, &wanted.reason, draw)
    })
    .await?;
    Ok(Applied::of(&member.spiffe_id, Some(id), &recorded))
}

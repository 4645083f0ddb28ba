//! `/v1/approvals`: what waits for humans, what they are shown, and what they say.
//!
//! A vote is a use case that only a session in a browser passes, in which the human proved lately that it is they; over
//! the socket it is refused, and the refusal is recorded.

use super::Plane;
use super::agents::Applied;
use super::body::{Path, Strict};
use super::caller::Caller;
use super::refused::Refused;
use crate::approval::{ApprovalView, vote as say};
use crate::settle::settle;
use axum::Json;
use axum::extract::State;
use broker::World;
use broker::world::Approval;
use identity::{ApprovalId, Digest};
use serde::Deserialize;
use std::sync::Arc;

/// What a human says, about what they were shown.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Said {
    approve: bool,
    digest: Digest,
}

pub(super) async fn list(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
) -> Result<Json<Vec<ApprovalView>>, Refused> {
    caller.looks(&plane).await?;
    let (world, now) = (plane.installation.store.world(), plane.installation.clock.now());
    let mut known: Vec<&Arc<Approval>> = world.approvals(caller.scope()).collect();
    known.sort_by_key(|it| std::cmp::Reverse((it.asked_at, it.id)));
    let views = known
        .into_iter()
        .filter_map(|approval| ApprovalView::of(&world, approval, now));
    Ok(Json(views.collect()))
}

pub(super) async fn show(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<ApprovalView>, Refused> {
    caller.looks(&plane).await?;
    let (world, now) = (plane.installation.store.world(), plane.installation.clock.now());
    let approval = found(&world, &caller, &id)?;
    ApprovalView::of(&world, &approval, now)
        .map(Json)
        .ok_or_else(|| Refused::unavailable("the request cannot be read"))
}

pub(super) async fn vote(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(id): Path<String>,
    Strict(said): Strict<Said>,
) -> Result<Json<Applied>, Refused> {
    let installation = &plane.installation;
    let approval = found(&installation.store.world(), &caller, &id)?;
    let recorded = say(
        installation,
        &caller.who,
        approval.org,
        approval.id,
        &said.digest,
        said.approve,
    )
    .await?;
    Ok(Applied::of(&id, Some(approval.id.to_string()), &recorded))
}

pub(super) async fn withdraw(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Applied>, Refused> {
    let installation = &plane.installation;
    let approval = found(&installation.store.world(), &caller, &id)?;
    let recorded = settle(installation, Some(approval.org), |world, draw| {
        let now = world.approval(caller.scope(), approval.id).unwrap_or(&approval);
        broker::approve::withdraw(world, &caller.who, now, draw)
    })
    .await?;
    Ok(Applied::of(&id, Some(approval.id.to_string()), &recorded))
}

fn found(world: &World, caller: &Caller, id: &str) -> Result<Arc<Approval>, Refused> {
    id.parse::<ApprovalId>()
        .ok()
        .and_then(|id| world.approval(caller.scope(), id))
        .cloned()
        .ok_or_else(|| Refused::not_found("approval", id))
}

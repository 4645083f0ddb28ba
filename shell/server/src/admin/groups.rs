//! `/v1/groups`: who is in the groups of approvers that contracts name.

use super::Plane;
use super::agents::Applied;
use super::body::Strict;
use super::caller::Caller;
use super::refused::Refused;
use crate::settle::settle;
use axum::Json;
use axum::extract::State;
use broker::approve::set_group;
use broker::world::Group;
use identity::Name;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// All members of a group.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    name: Name,
    members: BTreeSet<Name>,
}

pub(super) async fn list(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
) -> Result<Json<Vec<Group>>, Refused> {
    caller.looks(&plane).await?;
    let world = plane.installation.store.world();
    let groups = world.groups(caller.scope()).map(|group| Group::clone(group));
    Ok(Json(groups.collect()))
}

pub(super) async fn set(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Strict(wanted): Strict<Wanted>,
) -> Result<Json<Applied>, Refused> {
    let installation = &plane.installation;
    let org = caller.org(&installation.store.world())?;
    let group = Group {
        org,
        name: wanted.name,
        members: wanted.members,
    };
    let recorded = settle(installation, Some(org), |world, draw| {
        set_group(world, &caller.who, group.clone(), draw)
    })
    .await?;
    Ok(Applied::named(&group.name, &recorded))
}

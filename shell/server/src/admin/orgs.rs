//! `/v1/orgs`: the isolation units of the installation. Only an administrator of the whole installation makes one; the
//! administrators of an org see their own.

use super::Plane;
use super::agents::Applied;
use super::body::Strict;
use super::caller::Caller;
use super::refused::Refused;
use crate::settle::settle;
use axum::Json;
use axum::extract::State;
use broker::inventory::create_org;
use identity::{Name, OrgId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An org as it is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    name: String,
}

/// An org, with how much is in it.
#[derive(Debug, Serialize)]
pub(super) struct OrgView {
    id: OrgId,
    name: Name,
    agents: usize,
    /// Administrators of this org alone.
    principals: usize,
}

pub(super) async fn list(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
) -> Result<Json<Vec<OrgView>>, Refused> {
    caller.looks(&plane).await?;
    let world = plane.installation.store.world();
    let mut all: Vec<OrgView> = world
        .orgs(caller.scope())
        .map(|org| OrgView {
            id: org.id,
            name: org.name.clone(),
            agents: world.agents(identity::OrgScope::Only(org.id)).count(),
            principals: world
                .principals(caller.scope())
                .filter(|principal| principal.org == Some(org.id))
                .count(),
        })
        .collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Json(all))
}

pub(super) async fn add(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Strict(wanted): Strict<Wanted>,
) -> Result<Json<Applied>, Refused> {
    let name = Name::unreserved(&wanted.name).map_err(|error| {
        let what = format!("{:?} cannot name an org: {error}", wanted.name);
        Refused::bad_request(what, "It becomes a part of SPIFFE IDs: write it like acme.")
    })?;
    let recorded = settle(&plane.installation, None, |world, draw| {
        create_org(world, &caller.who, name.clone(), draw)
    })
    .await?;
    let made = recorded.get().made().at(recorded.revision());
    Ok(Applied::of(&name, Some(made.to_string()), &recorded))
}

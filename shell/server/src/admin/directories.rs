//! `/v1/directories`: which destinations are a tenant's own.

use super::Plane;
use super::agents::Applied;
use super::body::{Path, Strict};
use super::caller::Caller;
use super::refused::Refused;
use crate::settle::settle;
use axum::Json;
use axum::extract::State;
use broker::directory;
use broker::world::Directory;
use identity::Name;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// All destinations of a tenant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    tenant: Name,
    destinations: BTreeSet<String>,
}

pub(super) async fn show(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(tenant): Path<String>,
) -> Result<Json<Directory>, Refused> {
    caller.looks(&plane).await?;
    let world = plane.installation.store.world();
    let unknown = || Refused::not_found("directory of the tenant", &tenant);
    let org = caller.org(&world)?;
    world
        .directory(caller.scope(), org, &tenant.parse().map_err(|_| unknown())?)
        .map(|it| Json(Directory::clone(it)))
        .ok_or_else(unknown)
}

pub(super) async fn set(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Strict(wanted): Strict<Wanted>,
) -> Result<Json<Applied>, Refused> {
    let installation = &plane.installation;
    let org = caller.org(&installation.store.world())?;
    let directory = Directory {
        org,
        tenant: wanted.tenant,
        destinations: wanted.destinations,
    };
    let recorded = settle(installation, Some(org), |world, draw| {
        directory::set(world, &caller.who, directory.clone(), draw)
    })
    .await?;
    Ok(Applied::named(&directory.tenant, &recorded))
}

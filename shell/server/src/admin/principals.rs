//! `/v1/principals`: who may administer, known by a uid of this host.

use super::Plane;
use super::agents::Applied;
use super::body::Strict;
use super::caller::Caller;
use super::refused::Refused;
use crate::settle::settle;
use axum::Json;
use axum::extract::State;
use broker::inventory::add_principal;
use broker::world::{Principal, Role};
use identity::Name;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How well we know a person by a uid that an administrator assigned.
const ASSURANCE: &str = "uid";

/// A principal as it is asked for. It gets the asker's own reach.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    name: Name,
    uid: u32,
    roles: BTreeSet<Role>,
}

pub(super) async fn list(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
) -> Result<Json<Vec<Principal>>, Refused> {
    caller.looks(&plane).await?;
    let world = plane.installation.store.world();
    Ok(Json(
        world
            .principals(caller.scope())
            .map(|it| Principal::clone(it))
            .collect(),
    ))
}

pub(super) async fn add(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Strict(wanted): Strict<Wanted>,
) -> Result<Json<Applied>, Refused> {
    if wanted.roles.is_empty() {
        let fix = "Add --role viewer, auditor, operator, author, approver or admin.";
        return Err(Refused::bad_request("A principal needs a role.", fix));
    }
    let org = caller.who.principal().org;
    let principal = Principal {
        name: wanted.name,
        uid: wanted.uid,
        roles: wanted.roles,
        org,
        assurance: ASSURANCE.to_owned(),
    };
    let known = plane.installation.store.world().principal(wanted.uid).cloned();
    if known.is_some_and(|known| known.org != org) {
        // A uid names one principal of the host; another org's is not to be taken over.
        let fix = "Choose a uid that no other org's administrator has.";
        return Err(Refused::bad_request(
            format!("The uid {} is taken.", wanted.uid),
            fix,
        ));
    }
    let recorded = settle(&plane.installation, org, |world, draw| {
        add_principal(world, &caller.who, principal.clone(), draw)
    })
    .await?;
    Ok(Json(Applied {
        name: principal.name.to_string(),
        id: Some(principal.uid.to_string()),
        revision: recorded.revision().0,
        entry: recorded.entry().to_string(),
    }))
}

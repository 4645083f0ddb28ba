//! `/v1/registrations`: selectors for processes that we do not launch.

use super::Plane;
use super::agents::{Applied, find};
use super::body::{Path, Strict};
use super::caller::Caller;
use super::refused::Refused;
use crate::settle::settle;
use axum::Json;
use axum::extract::State;
use broker::inventory::{add_registration, remove_registration};
use broker::world::Registration;
use identity::{Digest, Name};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A registration as it is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    name: Name,
    agent: String,
    uid: u32,
    executable: String,
    executable_digest: Option<Digest>,
}

/// A registration with its agent's name.
#[derive(Debug, Serialize)]
pub(super) struct RegistrationView {
    agent_name: Option<String>,
    #[serde(flatten)]
    registration: Registration,
}

pub(super) async fn list(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
) -> Result<Json<Vec<RegistrationView>>, Refused> {
    caller.looks(&plane).await?;
    let world = plane.installation.store.world();
    let view = |registration: &Arc<Registration>| RegistrationView {
        agent_name: world
            .agent(caller.scope(), registration.agent)
            .map(|agent| agent.name.to_string()),
        registration: Registration::clone(registration),
    };
    Ok(Json(world.registrations(caller.scope()).map(view).collect()))
}

pub(super) async fn add(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Strict(wanted): Strict<Wanted>,
) -> Result<Json<Applied>, Refused> {
    let installation = &plane.installation;
    if !wanted.executable.starts_with('/') {
        let what = format!("{:?} is not an absolute path.", wanted.executable);
        return Err(Refused::bad_request(
            what,
            "Write the executable as the kernel names it: /usr/bin/…",
        ));
    }
    let agent = find(&installation.store.world(), &caller, &wanted.agent)?;
    let registration = Registration {
        name: wanted.name,
        org: agent.org,
        agent: agent.id,
        uid: wanted.uid,
        executable: wanted.executable,
        executable_digest: wanted.executable_digest,
    };
    let recorded = settle(installation, Some(agent.org), |world, draw| {
        add_registration(world, &caller.who, registration.clone(), draw)
    })
    .await?;
    Ok(Applied::named(&registration.name, &recorded))
}

pub(super) async fn remove(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Applied>, Refused> {
    let installation = &plane.installation;
    let world = installation.store.world();
    let org = caller.org(&world)?;
    let known = world
        .registrations(caller.scope())
        .find(|it| it.org == org && it.name.as_str() == name)
        .ok_or_else(|| Refused::not_found("registration", &name))?;
    let recorded = settle(installation, Some(org), |world, draw| {
        remove_registration(world, &caller.who, org, &known.name, draw)
    })
    .await?;
    Ok(Applied::named(&name, &recorded))
}

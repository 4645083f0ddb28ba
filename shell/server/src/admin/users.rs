//! `/v1/users`: what people may do through agents.

use super::Plane;
use super::agents::Applied;
use super::body::Strict;
use super::caller::Caller;
use super::refused::Refused;
use crate::settle::settle;
use axum::Json;
use axum::extract::State;
use broker::user;
use broker::world::{User, UserRight};
use identity::Name;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A user, and all that they may do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    issuer: String,
    subject: String,
    #[serde(default)]
    groups: BTreeSet<Name>,
    rights: Vec<Right>,
    /// How long the rights last, in seconds.
    ttl_secs: u64,
}

/// One thing that they may do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Right {
    agents: BTreeSet<Name>,
    services: BTreeSet<identity::Audience>,
    actions: BTreeSet<Name>,
    #[serde(default)]
    tenants: BTreeSet<Name>,
}

impl From<Right> for UserRight {
    fn from(right: Right) -> Self {
        Self {
            agents: right.agents,
            services: right.services,
            actions: right.actions,
            tenants: right.tenants,
        }
    }
}

/// Which user.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    issuer: String,
    subject: String,
}

/// A user with the end of their rights.
#[derive(Debug, Serialize)]
pub(super) struct UserView {
    over: bool,
    expires: String,
    #[serde(flatten)]
    user: User,
}

pub(super) async fn list(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
) -> Result<Json<Vec<UserView>>, Refused> {
    caller.looks(&plane).await?;
    let (world, now) = (plane.installation.store.world(), plane.installation.clock.now());
    let view = |user: &Arc<User>| UserView {
        over: now >= user.expires_at,
        expires: user.expires_at.rfc3339(),
        user: User::clone(user),
    };
    Ok(Json(world.users(caller.scope()).map(view).collect()))
}

pub(super) async fn set(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Strict(wanted): Strict<Wanted>,
) -> Result<Json<Applied>, Refused> {
    let installation = &plane.installation;
    let org = caller.org(&installation.store.world())?;
    let user = User {
        org,
        issuer: wanted.issuer,
        subject: wanted.subject,
        groups: wanted.groups,
        rights: wanted.rights.into_iter().map(UserRight::from).collect(),
        expires_at: installation.clock.now().plus_secs(wanted.ttl_secs),
    };
    let recorded = settle(installation, Some(org), |world, draw| {
        user::set(world, &caller.who, user.clone(), draw)
    })
    .await?;
    Ok(Applied::named(&user.subject, &recorded))
}

pub(super) async fn remove(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Strict(named): Strict<Named>,
) -> Result<Json<Applied>, Refused> {
    let installation = &plane.installation;
    let world = installation.store.world();
    let org = caller.org(&world)?;
    let Named { issuer, subject } = named;
    if world.user(caller.scope(), org, &issuer, &subject).is_none() {
        return Err(Refused::not_found("user", &subject));
    }
    let recorded = settle(installation, Some(org), |world, draw| {
        user::remove(world, &caller.who, org, &issuer, &subject, draw)
    })
    .await?;
    Ok(Applied::named(&subject, &recorded))
}

/// Whether an issuer's users are asked themselves.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Consent {
    issuer: String,
    required: bool,
}

pub(super) async fn require_consent(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Strict(wanted): Strict<Consent>,
) -> Result<Json<Applied>, Refused> {
    let installation = &plane.installation;
    let org = caller.org(&installation.store.world())?;
    let Consent { issuer, required } = wanted;
    let recorded = settle(installation, Some(org), |world, draw| {
        broker::consent::require(world, &caller.who, org, &issuer, required, draw)
    })
    .await?;
    Ok(Applied::named(&issuer, &recorded))
}

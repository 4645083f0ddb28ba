//! `/v1/trust-sources`: issuers outside that say who a user is.

use super::Plane;
use super::agents::Applied;
use super::body::Strict;
use super::caller::Caller;
use super::refused::Refused;
use super::users::Right;
use crate::settle::settle;
use axum::Json;
use axum::extract::State;
use broker::trust::{remove_source, set_source};
use broker::world::{ClaimRights, TrustSource, UserRight};
use credential::Jwks;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An issuer, and its keys as they were downloaded.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    issuer: String,
    audience: String,
    keys: String,
    #[serde(default)]
    rights: Option<WantedRights>,
}

/// What a claim of its tokens is worth.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedRights {
    claim: String,
    values: BTreeMap<String, Vec<Right>>,
}

impl From<WantedRights> for ClaimRights {
    fn from(wanted: WantedRights) -> Self {
        let worth = |rights: Vec<Right>| rights.into_iter().map(UserRight::from).collect();
        let values = wanted.values.into_iter();
        Self {
            claim: wanted.claim,
            values: values.map(|(value, rights)| (value, worth(rights))).collect(),
        }
    }
}

/// Which issuer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    issuer: String,
}

/// An issuer with the names of its keys.
#[derive(Debug, Serialize)]
pub(super) struct SourceView {
    issuer: String,
    audience: String,
    kids: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rights: Option<ClaimRights>,
}

pub(super) async fn list(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
) -> Result<Json<Vec<SourceView>>, Refused> {
    caller.looks(&plane).await?;
    let world = plane.installation.store.world();
    let view = |source: &Arc<TrustSource>| SourceView {
        issuer: source.issuer.clone(),
        audience: source.audience.clone(),
        kids: Jwks::parse(source.keys.as_bytes())
            .map(|jwks| {
                let kid = |jwk: credential::Jwk| jwk.kid.unwrap_or_else(|| jwk.key.thumbprint().to_string());
                jwks.keys.into_iter().map(kid).collect()
            })
            .unwrap_or_default(),
        rights: source.rights.clone(),
    };
    Ok(Json(world.trust_sources(caller.scope()).map(view).collect()))
}

pub(super) async fn add(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Strict(wanted): Strict<Wanted>,
) -> Result<Json<Applied>, Refused> {
    let installation = &plane.installation;
    let org = caller.org(&installation.store.world())?;
    let source = TrustSource {
        org,
        issuer: wanted.issuer,
        audience: wanted.audience,
        keys: wanted.keys,
        rights: wanted.rights.map(ClaimRights::from),
    };
    let recorded = settle(installation, Some(org), |world, draw| {
        set_source(world, &caller.who, source.clone(), draw)
    })
    .await?;
    Ok(Applied::named(&source.issuer, &recorded))
}

pub(super) async fn remove(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Strict(named): Strict<Named>,
) -> Result<Json<Applied>, Refused> {
    let installation = &plane.installation;
    let world = installation.store.world();
    let org = caller.org(&world)?;
    if world.trust_source(caller.scope(), org, &named.issuer).is_none() {
        return Err(Refused::not_found("trusted issuer", &named.issuer));
    }
    let recorded = settle(installation, Some(org), |world, draw| {
        remove_source(world, &caller.who, org, &named.issuer, draw)
    })
    .await?;
    Ok(Applied::named(&named.issuer, &recorded))
}

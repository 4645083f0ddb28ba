//! `/v1/trust-sources`: issuers outside that say who a user is.

use super::Plane;
use super::agents::Applied;
use super::body::Strict;
use super::caller::Caller;
use super::refused::Refused;
use super::upstreams::decode;
use super::users::Right;
use crate::settle::settle;
use axum::Json;
use axum::extract::State;
use broker::trust::{remove_source, set_source};
use broker::world::{ClaimRights, DecisionPoint, Role, TrustSource, UserRight};
use credential::Jwks;
use identity::OrgId;
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
    #[serde(default)]
    pdp: Option<WantedPoint>,
}

/// Who else says what its users may do.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedPoint {
    url: String,
    /// Certificate authorities, PEM.
    authorities: Option<String>,
    /// Base64 of the token that it is asked with.
    token: Option<String>,
}

impl std::fmt::Debug for WantedPoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WantedPoint")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pdp: Option<DecisionPoint>,
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
        pdp: source.pdp.clone(),
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
    let _one_at_a_time = plane.rotating.lock().await;
    let pdp = match wanted.pdp {
        Some(point) => Some(sealed(&plane, &caller, org, &wanted.issuer, point)?),
        None => None,
    };
    let source = TrustSource {
        org,
        issuer: wanted.issuer,
        audience: wanted.audience,
        keys: wanted.keys,
        rights: wanted.rights.map(ClaimRights::from),
        pdp,
    };
    let recorded = settle(installation, Some(org), |world, draw| {
        set_source(world, &caller.who, source.clone(), draw)
    })
    .await?;
    Ok(Applied::named(&source.issuer, &recorded))
}

/// The decision point, its token sealed under a version that was never used: before the Change that names it.
fn sealed(
    plane: &Plane,
    caller: &Caller,
    org: OrgId,
    issuer: &str,
    wanted: WantedPoint,
) -> Result<DecisionPoint, Refused> {
    let installation = &plane.installation;
    let world = installation.store.world();
    let known = world.trust_source(caller.scope(), org, issuer);
    let before = known.and_then(|known| known.pdp.as_ref());
    let before = before.map_or(0, |point| point.secret_version);
    let secret_version = match wanted.token.map(decode).transpose()? {
        None => 0,
        Some(token) => {
            if !token.expose().iter().all(u8::is_ascii_graphic) {
                let what = "The decision point's token is not of visible ASCII characters.";
                return Err(Refused::bad_request(what, "Is it the right file?"));
            }
            // Only who may set it gets as far as writing a file; the Change is judged again, and recorded.
            if caller.who.may(Role::Admin, org) {
                let now = installation.clock.now();
                let version = before.saturating_add(1).max(now.millis());
                installation
                    .pdp_secrets
                    .put(org, issuer, version, &token, now)
                    .map_err(|error| Refused::unavailable(&error.to_string()))?;
                version
            } else {
                0
            }
        }
    };
    Ok(DecisionPoint {
        url: wanted.url,
        authorities: wanted.authorities,
        secret_version,
    })
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

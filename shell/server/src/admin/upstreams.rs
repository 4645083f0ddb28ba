//! `/v1/upstreams`: declare services, and seal their secrets.

use super::Plane;
use super::agents::Applied;
use super::body::{Path, Strict};
use super::caller::Caller;
use super::refused::Refused;
use crate::keys::SECRET_BYTES_MAX;
use crate::settle::settle;
use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::inventory::{publish_upstream, rotate_secret};
use broker::upstream::{Injection, Manifest, Upstream};
use http::StatusCode;
use identity::{OrgScope, Secret, UpstreamId};
use serde::Deserialize;
use std::sync::Arc;
use zeroize::Zeroize as _;

/// A manifest, and the secret that the CLI found where the manifest says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Declaration {
    file: String,
    text: String,
    /// Base64 of the secret's bytes.
    secret: Option<String>,
}

pub(super) async fn list(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
) -> Result<Json<Vec<Upstream>>, Refused> {
    caller.looks(&plane).await?;
    let world = plane.installation.store.world();
    let mut all: Vec<Upstream> = world
        .upstreams(caller.scope())
        .map(|it| Upstream::clone(it))
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Json(all))
}

pub(super) async fn show(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Upstream>, Refused> {
    caller.looks(&plane).await?;
    let world = plane.installation.store.world();
    let unknown = || Refused::not_found("upstream", &name);
    let org = caller.org(&world)?;
    world
        .upstream_named(caller.scope(), org, &name.parse().map_err(|_| unknown())?)
        .map(|it| Json(Upstream::clone(it)))
        .ok_or_else(unknown)
}

pub(super) async fn apply(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Strict(declaration): Strict<Declaration>,
) -> Result<Json<Applied>, Refused> {
    let installation = &plane.installation;
    let Declaration { file, text, secret } = declaration;
    let secret = secret.map(decode).transpose()?;
    let manifest = Manifest::parse(&file, text.as_bytes())
        .map_err(|errors| Refused::document("manifest", errors.into_iter().map(Into::into).collect()))?;
    let _one_at_a_time = plane.rotating.lock().await;
    let world = installation.store.world();
    let org = caller.org(&world)?;
    let sealed = world
        .upstream_named(OrgScope::Only(org), org, &manifest.name)
        .is_some_and(|known| known.secret_version > 0);
    match (&manifest.credential, &secret) {
        (Injection::None, Some(_)) => {
            let fix = "Remove the secret, or declare where it goes.";
            return Err(Refused::bad_request("This upstream takes no secret.", fix));
        }
        (Injection::ApiKey { .. } | Injection::ClientCredentials { .. }, None) if !sealed => {
            return Err(Refused::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "UPSTREAM_SECRET_MISSING",
                "The upstream's secret did not come along.",
                "Without it every permitted call would fail.",
                format!("Put it where `secret` in {file} says, then: tabard upstream apply {file}"),
            ));
        }
        _ => {}
    }
    let upstream = manifest.upstream(UpstreamId::from_u128(0), org, 0);
    let mut recorded = settle(installation, Some(org), |world, draw| {
        publish_upstream(world, &caller.who, upstream.clone(), draw)
    })
    .await?
    .into_parts();
    let published = installation.store.world();
    let known = published
        .upstream_named(OrgScope::Only(org), org, &upstream.name)
        .ok_or_else(|| Refused::unavailable("the upstream is not in the World"))?;
    if let Some(secret) = secret {
        // Sealed first: a version that no Change names is never asked for.
        let version = known.secret_version.saturating_add(1);
        installation
            .secrets
            .put(known.id, version, &secret, installation.clock.now())
            .map_err(|error| Refused::unavailable(&error.to_string()))?;
        let rotated = settle(installation, Some(org), |world, draw| {
            let known = world.upstream(OrgScope::Only(org), known.id).unwrap_or(known);
            rotate_secret(world, &caller.who, known, draw)
        })
        .await?;
        (recorded.1, recorded.2) = (rotated.entry(), rotated.revision());
    }
    Ok(Json(Applied {
        name: upstream.name.to_string(),
        id: Some(known.id.to_string()),
        revision: recorded.2.0,
        entry: recorded.1.to_string(),
    }))
}

pub(super) fn decode(mut text: String) -> Result<Secret<Vec<u8>>, Refused> {
    let bytes = STANDARD.decode(&text);
    text.zeroize();
    let bytes =
        bytes.map_err(|_| Refused::bad_request("The secret is not base64.", "Let `tabard` send it."))?;
    let secret = Secret::new(bytes);
    if secret.expose().is_empty() || secret.expose().len() > SECRET_BYTES_MAX {
        let what = format!("A secret has 1 to {SECRET_BYTES_MAX} bytes.");
        return Err(Refused::bad_request(what, "Is it the right file?"));
    }
    Ok(secret)
}

//! `/v1/webhooks`: endpoints that are told of approvals.

use super::Plane;
use super::agents::Applied;
use super::body::{Path, Strict};
use super::caller::Caller;
use super::refused::Refused;
use crate::entropy::random;
use crate::settle::settle;
use crate::webhook::{Failure, Message, attempt};
use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::webhook;
use broker::world::Webhook;
use identity::{Name, Secret, UnixTime, WebhookId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

/// How secrets of Standard Webhooks begin.
const SECRET_PREFIX: &str = "whsec_";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    name: Name,
    url: String,
    #[serde(default)]
    addresses: BTreeSet<IpAddr>,
}

/// A new one, and its secret: it is told this once.
#[derive(Serialize)]
pub(super) struct Added {
    name: String,
    id: String,
    revision: u64,
    entry: String,
    secret: String,
}

/// One endpoint, and how it does since the server started.
#[derive(Debug, Serialize)]
pub(super) struct View {
    name: Name,
    id: WebhookId,
    url: String,
    addresses: BTreeSet<IpAddr>,
    added_by: Name,
    added_at: String,
    delivered: u64,
    given_up: u64,
    waiting: usize,
    delivered_at: Option<String>,
    failure: Option<Failure>,
    why: Option<String>,
    failed_at: Option<String>,
}

/// How a test went.
#[derive(Debug, Serialize)]
pub(super) struct Tested {
    delivered: bool,
    failure: Option<Failure>,
    why: Option<String>,
    entry: String,
}

pub(super) async fn list(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
) -> Result<Json<Vec<View>>, Refused> {
    caller.looks(&plane).await?;
    let installation = &plane.installation;
    let world = installation.store.world();
    let view = |webhook: &Arc<Webhook>| {
        let condition = installation.webhooks.condition(webhook.id);
        View {
            name: webhook.name.clone(),
            id: webhook.id,
            url: webhook.url.clone(),
            addresses: webhook.addresses.clone(),
            added_by: webhook.by.name.clone(),
            added_at: webhook.added_at.rfc3339(),
            delivered: condition.delivered,
            given_up: condition.given_up,
            waiting: condition.waiting,
            delivered_at: condition.delivered_at.map(UnixTime::rfc3339),
            failure: condition.failure,
            why: condition.failure.map(|failure| failure.to_string()),
            failed_at: condition.failed_at.map(UnixTime::rfc3339),
        }
    };
    Ok(Json(world.webhooks(caller.scope()).map(view).collect()))
}

pub(super) async fn add(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Strict(wanted): Strict<Wanted>,
) -> Result<Json<Added>, Refused> {
    let installation = &plane.installation;
    let unready = |error: &dyn std::fmt::Display| Refused::unavailable(&error.to_string());
    let org = caller.org(&installation.store.world())?;
    let now = installation.clock.now();
    let number = random().map_err(|error| unready(&error))?;
    let id = WebhookId::random(now, installation.log, u64::from_le_bytes(number));
    let secret: [u8; 32] = random().map_err(|error| unready(&error))?;
    let secret = Secret::new(secret.to_vec());
    // Sealed first: a webhook whose secret is not there could not be served.
    let secrets = &installation.webhook_secrets;
    secrets.put(id, &secret, now).map_err(|error| unready(&error))?;
    let wish = webhook::Wish {
        id,
        org,
        name: wanted.name,
        url: wanted.url,
        addresses: wanted.addresses,
    };
    let settled = settle(installation, Some(org), |world, draw| {
        webhook::add(world, &caller.who, wish.clone(), draw)
    })
    .await;
    let recorded = match settled {
        Ok(recorded) => recorded,
        Err(unsettled) => {
            secrets.remove(id).map_err(|error| unready(&error))?;
            return Err(unsettled.into());
        }
    };
    Ok(Json(Added {
        name: wish.name.to_string(),
        id: id.to_string(),
        revision: recorded.revision().0,
        entry: recorded.entry().to_string(),
        secret: format!("{SECRET_PREFIX}{}", STANDARD.encode(secret.expose())),
    }))
}

pub(super) async fn remove(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Applied>, Refused> {
    let installation = &plane.installation;
    let webhook = found(&plane, &caller, &name)?;
    let recorded = settle(installation, Some(webhook.org), |world, draw| {
        webhook::remove(world, &caller.who, &webhook, draw)
    })
    .await?;
    if let Err(error) = installation.webhook_secrets.remove(webhook.id) {
        tracing::warn!(webhook = %webhook.name, %error, "the secret of a removed webhook is still there");
    }
    Ok(Applied::of(
        &webhook.name,
        Some(webhook.id.to_string()),
        &recorded,
    ))
}

pub(super) async fn test(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Tested>, Refused> {
    let installation = &plane.installation;
    let webhook = found(&plane, &caller, &name)?;
    let recorded = settle(installation, Some(webhook.org), |world, draw| {
        webhook::test(world, &caller.who, &webhook, draw)
    })
    .await?;
    let message = Message::test(&webhook, installation.clock.now());
    let made = attempt(installation, &webhook, &message).await;
    Ok(Json(Tested {
        delivered: made.is_ok(),
        failure: made.err(),
        why: made.err().map(|failure| failure.to_string()),
        entry: recorded.entry().to_string(),
    }))
}

fn found(plane: &Plane, caller: &Caller, name: &str) -> Result<Arc<Webhook>, Refused> {
    let unknown = || Refused::not_found("webhook", name);
    let world = plane.installation.store.world();
    let org = caller.org(&world)?;
    let known: Name = name.parse().map_err(|_| unknown())?;
    let webhook = world.webhook_named(caller.scope(), org, &known);
    webhook.cloned().ok_or_else(unknown)
}

//! `POST /v1/join-tokens`: a one-time bootstrap secret for a node agent or gateway, shown once.

use super::Plane;
use super::body::Strict;
use super::caller::Caller;
use super::join_string::JoinString;
use super::refused::Refused;
use crate::entropy::random;
use crate::settle::settle;
use axum::Json;
use axum::extract::State;
use broker::inventory::create_join_token;
use broker::world::{JoinToken, MemberRole};
use credential::sha256;
use identity::Digest;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Lifetime of a token unless the request says otherwise, in seconds: long enough to walk to the other machine.
const TTL_SECS: u64 = 600;
/// Longest lifetime in seconds: a day, for images that are built and then started.
const TTL_SECS_MAX: u64 = 86_400;

/// What the token is for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    role: MemberRole,
    ttl_secs: Option<u64>,
}

/// The token, in the only answer that holds it.
#[derive(Debug, Serialize)]
pub(super) struct Created {
    token: String,
    role: MemberRole,
    expires_at: String,
    revision: u64,
    entry: String,
}

pub(super) async fn create(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Strict(wanted): Strict<Wanted>,
) -> Result<Json<Created>, Refused> {
    let installation = &plane.installation;
    let ttl = wanted.ttl_secs.unwrap_or(TTL_SECS);
    if ttl == 0 || ttl > TTL_SECS_MAX {
        let what = format!("A join token lives 1 to {TTL_SECS_MAX} seconds.");
        return Err(Refused::bad_request(
            what,
            "Leave the lifetime out for ten minutes.",
        ));
    }
    let bytes = random::<32>().map_err(|error| Refused::unavailable(&error.to_string()))?;
    let join = JoinString {
        secret: JoinString::secret_of(bytes),
        issuer: installation.config.issuer.as_str().to_owned(),
        trust_domain: installation.config.trust_domain.clone(),
        pin: Digest::from_bytes(sha256(installation.keys.authority().root())),
    };
    let token = JoinToken {
        digest: Digest::from_bytes(sha256(join.secret.as_bytes())),
        role: wanted.role,
        org: caller.who.principal().org,
        expires_at: installation.clock.now().plus_secs(ttl),
    };
    let recorded = settle(installation, token.org, |world, draw| {
        create_join_token(world, &caller.who, token.clone(), draw)
    })
    .await?;
    Ok(Json(Created {
        token: join.to_string(),
        role: token.role,
        expires_at: token.expires_at.rfc3339(),
        revision: recorded.revision().0,
        entry: recorded.entry().to_string(),
    }))
}

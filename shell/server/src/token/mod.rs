//! The token endpoint: RFC 8693 token exchange, sender-constrained, recorded before it is signed.
//!
//! A subject token here is a JWT-SVID of ours, shown by the very instance that it was issued to: proven by DPoP with
//! the instance's key, or by the connection's own X.509-SVID. Who cannot be identified is only counted; from then on
//! every refusal is an entry.

mod answer;
mod endpoint;
mod errors;
mod possession;
mod replays;
mod subject;
mod unidentified;
mod wish;

pub(crate) use replays::ProofReplays;
pub(crate) use subject::Subjects;
pub(crate) use unidentified::Unidentified;

pub(crate) use credential::token_exchange::TOKEN_EXCHANGE as TOKEN_EXCHANGE_GRANT;

use crate::installation::Installation;
use axum::Router;
use axum::routing::post;
use std::sync::Arc;

/// Path of the token endpoint.
pub(crate) const TOKEN_PATH: &str = "/oauth/token";

/// `/oauth/token`.
pub(crate) fn routes() -> Router<Arc<Installation>> {
    Router::new().route(TOKEN_PATH, post(endpoint::answer))
}

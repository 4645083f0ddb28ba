//! `GET /jwks.json`: the keys of access tokens and of JWT-SVIDs (RFC 7517). Vendors that federate read this.

use super::key_document;
use crate::installation::Installation;
use axum::extract::State;
use axum::response::IntoResponse;
use std::sync::Arc;

/// The key set.
pub(super) async fn answer(State(installation): State<Arc<Installation>>) -> impl IntoResponse {
    key_document(&installation.published().jwks)
}

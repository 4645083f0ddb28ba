//! `GET /.well-known/spiffe-bundle`: the trust bundle (SPIFFE Trust Domain and Bundle section 4), for federation in
//! the `https_web` profile. No client authentication (SPIFFE Federation section 5.2).

use super::key_document;
use crate::installation::Installation;
use axum::extract::State;
use axum::response::IntoResponse;
use std::sync::Arc;

/// The bundle.
pub(super) async fn answer(State(installation): State<Arc<Installation>>) -> impl IntoResponse {
    key_document(&installation.published().bundle_json)
}

//! `GET /log/checkpoint`: the newest published signed head.

use crate::installation::Installation;
use crate::problem::Problem;
use audit::tile::CHECKPOINT_PATH;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header;
use std::sync::Arc;

/// The signed note, never cached.
pub(super) async fn answer(
    State(installation): State<Arc<Installation>>,
) -> Result<impl IntoResponse, Problem> {
    let note = tokio::fs::read(installation.store.log_directory().join(CHECKPOINT_PATH)).await;
    let note = note.map_err(|_| Problem::Unreadable)?;
    Ok((
        [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
            (header::CACHE_CONTROL, "no-cache"),
        ],
        note,
    ))
}

//! `GET /log/tile/<L>/<N>[.p/<W>]`: hashes. A tile of given width never changes.

use crate::installation::Installation;
use crate::problem::Problem;
use audit::tile::{TileKind, TilePath};
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::header;
use std::sync::Arc;

/// The tile's bytes, to be cached for ever. The path is parsed into numbers before it becomes a file name.
pub(super) async fn answer(
    State(installation): State<Arc<Installation>>,
    Path(path): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let path: TilePath = format!("tile/{path}").parse().map_err(|_| Problem::NotFound)?;
    if path.kind == TileKind::Entries {
        return Err(Problem::EntriesNotPublic);
    }
    let hashes = tokio::fs::read(installation.store.log_directory().join(path.to_string())).await;
    let hashes = hashes.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Problem::NotFound,
        _ => Problem::Unreadable,
    })?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, hashes))
}

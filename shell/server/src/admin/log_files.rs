//! `GET /v1/log/{path}`: the server's log as C2SP tlog-tiles, entries included: what an auditor verifies and exports.
//! The public site (`/log/` of the issuer) serves everything but the entries.

use super::Plane;
use super::body::Path;
use super::caller::Caller;
use super::refused::Refused;
use audit::tile::{CHECKPOINT_PATH, TILE_WIDTH, TileKind, TilePath, append_to_bundle};
use axum::extract::State;
use axum::response::IntoResponse;
use broker::world::Role;
use http::header;
use identity::OrgScope;
use std::sync::Arc;
use store::Store;

pub(super) async fn read(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(path): Path<String>,
) -> Result<impl IntoResponse, Refused> {
    caller.looks_as(&plane, &[Role::Auditor]).await?;
    if caller.scope() != OrgScope::Every {
        return Err(Refused::not_found(
            "log",
            "of the whole installation in your reach",
        ));
    }
    let missing = || Refused::not_found("file of the log", &path);
    let wanted: Option<TilePath> = match path.as_str() {
        CHECKPOINT_PATH => None,
        other => Some(other.parse().map_err(|_| missing())?),
    };
    let store = plane.installation.store.clone();
    let bytes = tokio::task::spawn_blocking(move || match wanted {
        Some(bundle) if bundle.kind == TileKind::Entries => bundle_of(&store, bundle),
        Some(tile) => std::fs::read(store.log_directory().join(tile.to_string())).ok(),
        None => std::fs::read(store.log_directory().join(CHECKPOINT_PATH)).ok(),
    });
    let bytes = bytes.await.ok().flatten().ok_or_else(missing)?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes))
}

/// The entries of a bundle as wide as its path says, wherever the store keeps them.
fn bundle_of(store: &Store, path: TilePath) -> Option<Vec<u8>> {
    let mut at = path.index.checked_mul(TILE_WIDTH)?;
    let end = at.checked_add(u64::from(path.width))?;
    let mut bundle = Vec::new();
    while at < end {
        let some = store
            .log()
            .entries(at..end)
            .ok()
            .filter(|some| !some.is_empty())?;
        at = at.checked_add(u64::try_from(some.len()).ok()?)?;
        some.iter()
            .try_for_each(|entry| append_to_bundle(&mut bundle, entry))
            .ok()?;
    }
    Some(bundle)
}

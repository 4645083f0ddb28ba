//! What others need to know to trust and call us: metadata, keys, the trust bundle.

mod bundle;
mod jwks;
mod metadata;

use crate::installation::Installation;
use crate::surface::Routes;
use std::sync::Arc;

/// Path of the key set.
pub(crate) const JWKS_PATH: &str = "/jwks.json";

/// How long documents with keys may be cached, in seconds: a key that was retired is believed that long elsewhere.
const KEYS_MAX_AGE_SECS: u64 = 300;

/// `/.well-known/…` and `/jwks.json`.
pub(crate) fn routes() -> Routes<Arc<Installation>> {
    Routes::new()
        .get("/.well-known/openid-configuration", metadata::answer)
        .get("/.well-known/oauth-authorization-server", metadata::answer)
        .get(JWKS_PATH, jwks::answer)
        .get("/.well-known/spiffe-bundle", bundle::answer)
}

/// Headers of a JSON document of public keys.
fn key_document(json: &str) -> impl axum::response::IntoResponse + use<> {
    let cache = format!("public, max-age={KEYS_MAX_AGE_SECS}");
    let headers = [
        (http::header::CONTENT_TYPE, "application/json".to_owned()),
        (http::header::CACHE_CONTROL, cache),
    ];
    (headers, axum::body::Body::from(json.to_owned()))
}

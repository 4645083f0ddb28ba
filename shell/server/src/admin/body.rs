//! Request bodies, queries and paths, read strictly: bounded, no unknown or duplicate member, no default that decides.

use super::refused::Refused;
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::StatusCode;
use http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Largest body in bytes: an upstream's manifest of 256 KiB, escaped as JSON, and a secret beside it.
pub(crate) const BODY_BYTES_MAX: usize = 1024 * 1024;

/// A body beyond that, or one that broke off.
pub(crate) fn too_large() -> Refused {
    Refused::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "BODY_TOO_LARGE",
        "The request is larger than 1048576 bytes, or ended early.",
        "Documents are a few kilobytes.",
        "Is it the right file?",
    )
}

/// A JSON body. `T` denies unknown fields itself; serde refuses duplicates and nesting beyond 128 levels.
#[derive(Debug)]
pub(crate) struct Strict<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Strict<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refused> {
        let bytes = axum::body::to_bytes(request.into_body(), BODY_BYTES_MAX)
            .await
            .map_err(|_| too_large())?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            // The message may quote a value; only its kind and place are told, since a body can hold a secret.
            let place = format!("line {} column {}", error.line(), error.column());
            let what = match error.classify() {
                serde_json::error::Category::Data => {
                    format!("The body has an unknown, missing, duplicate or misspelt member at {place}.")
                }
                _ => format!("The body is not JSON at {place}."),
            };
            Refused::bad_request(what, "Use a `tabard` of the server's version.")
        })
    }
}

/// A query string of known parameters, each at most once.
#[derive(Debug)]
pub(crate) struct Asked<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        axum::extract::Query::<T>::try_from_uri(&parts.uri)
            .map(|query| Self(query.0))
            .map_err(|error| {
                Refused::bad_request(
                    format!("The query is not understood: {}.", error.body_text()),
                    "See `tabard help audit query`.",
                )
            })
    }
}

/// The variable parts of a path.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        axum::extract::Path::<T>::from_request_parts(parts, state)
            .await
            .map(|path| Self(path.0))
            .map_err(|_| {
                Refused::bad_request(
                    "The path holds what is no name and no id.",
                    "Copy the name or the id from the list of its kind.",
                )
            })
    }
}

/// A document as its author wrote it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    /// What mistakes call it.
    pub(crate) file: String,
    /// The text.
    pub(crate) text: String,
}

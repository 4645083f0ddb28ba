//! The one style and the one script of the pages, inside the binary.

use super::HumanPlane;
use crate::surface::Routes;
use axum::response::{IntoResponse, Response};
use http::header;
use std::sync::Arc;

const STYLE: &str = include_str!("assets/style.css");
const SCRIPT: &str = include_str!("assets/passkey.js");

pub(super) fn routes() -> Routes<Arc<HumanPlane>> {
    Routes::new()
        .get("/ui/style.css", async || asset("text/css; charset=utf-8", STYLE))
        .get("/ui/passkey.js", async || {
            asset("text/javascript; charset=utf-8", SCRIPT)
        })
}

/// Asked for anew with each start of the server at the latest: a page and its script belong together.
fn asset(kind: &'static str, text: &'static str) -> Response {
    (
        [
            (header::CONTENT_TYPE, kind),
            (header::CACHE_CONTROL, "private, max-age=300"),
        ],
        text,
    )
        .into_response()
}

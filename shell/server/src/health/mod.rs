//! Is it alive, can it work, how is it doing.

mod healthz;
mod metrics;
mod readyz;

pub use metrics::{Ending, Metrics};

use crate::installation::Installation;
use axum::Router;
use axum::routing::get;
use std::sync::Arc;

/// `/healthz`, `/readyz`, `/metrics`.
pub(crate) fn routes() -> Router<Arc<Installation>> {
    Router::new()
        .route("/healthz", get(healthz::answer))
        .route("/readyz", get(readyz::answer))
        .route("/metrics", get(metrics::answer))
}

//! Is it alive, can it work, how is it doing.

mod healthz;
mod metrics;
mod readyz;

pub use metrics::{Ending, Metrics};

use crate::installation::Installation;
use crate::surface::Routes;
use std::sync::Arc;

/// `/healthz`, `/readyz`, `/metrics`.
pub(crate) fn routes() -> Routes<Arc<Installation>> {
    Routes::new()
        .get("/healthz", healthz::answer)
        .get("/readyz", readyz::answer)
        .get("/metrics", metrics::answer)
}

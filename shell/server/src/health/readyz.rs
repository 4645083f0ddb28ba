//! `GET /readyz`: it can record decisions, so it can issue.

use crate::installation::Installation;
use crate::problem::Problem;
use axum::extract::State;
use std::sync::Arc;

/// 200 and `ready`, or 503 when the store stopped or the installation is not founded.
pub(super) async fn answer(State(installation): State<Arc<Installation>>) -> Result<&'static str, Problem> {
    let founded = installation.store.world().founding().is_some();
    if founded && installation.store.health().stopped.is_none() {
        Ok("ready\n")
    } else {
        Err(Problem::NotReady)
    }
}

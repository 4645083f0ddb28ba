//! `POST /access/v1/evaluation`: one decision (AuthZEN Authorization API 1.0 section 6). A refusal is an answer like any
//! other: 200, `"decision": false`.

use super::answer::Decided;
use super::caller::Pep;
use super::decide::decide;
use super::failed::Failed;
use super::question::{Question, read};
use crate::installation::Installation;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::Request;
use std::sync::Arc;

/// Answers.
pub(super) async fn answer(
    State(installation): State<Arc<Installation>>,
    Pep(service): Pep,
    request: Request<Body>,
) -> Result<Json<Decided>, Failed> {
    let _place = installation.decisions.try_acquire().map_err(|_| Failed::Busy)?;
    let members = read(request).await?;
    let question = Question::of(&members)?;
    decide(&installation, &service, &question).await.map(Json)
}

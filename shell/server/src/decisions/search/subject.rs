//! `POST /access/v1/search/subject`: the agents that could do something to a thing.

use super::super::caller::Pep;
use super::super::failed::Failed;
use super::super::question::{Question, Searched};
use super::super::subject::AGENT;
use super::page::CANDIDATES_MAX;
use super::{Results, search};
use crate::installation::Installation;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use broker::foresee::could;
use http::Request;
use identity::Name;
use serde_json::json;
use std::sync::Arc;

/// Answers.
pub(in super::super) async fn answer(
    State(installation): State<Arc<Installation>>,
    Pep(service): Pep,
    request: Request<Body>,
) -> Result<Json<Results>, Failed> {
    search(installation, request, move |search| {
        let question = Question::searching(search.members, Searched::Subject)?;
        let Some(names) = question.names().filter(|_| question.subject.kind == AGENT) else {
            return Ok(Results::none());
        };
        let described = question.described(&names);
        let Some(upstream) = super::super::decide::upstream(search.world, &service, &described, &question)?
        else {
            return Ok(Results::none());
        };
        let after: Option<Name> = search.wanted.after.as_ref().and_then(|after| after.parse().ok());
        let mut results = Vec::new();
        let mut last: Option<&Name> = None;
        for (looked_at, agent) in search
            .world
            .agents_after(service.org(), after.as_ref())
            .enumerate()
        {
            if results.len() >= search.wanted.limit || looked_at >= CANDIDATES_MAX {
                let next = last.map_or_else(String::new, |last| search.wanted.token(last.as_str()));
                return Ok(Results::of(results, &next));
            }
            let link = search.in_force(agent)?;
            if could(search.world, &link, &upstream, &described, None, search.now) {
                results.push(json!({"type": AGENT, "id": agent.name}));
            }
            last = Some(&agent.name);
        }
        Ok(Results::of(results, ""))
    })
    .await
}

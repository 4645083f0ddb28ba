//! `POST /access/v1/search/subject`: the agents that could do something to a thing.

use super::super::caller::Pep;
use super::super::failed::Failed;
use super::super::question::{Action, Context, Question, Resource, Subject, read};
use super::super::subject::AGENT;
use super::page::{CANDIDATES_MAX, Wanted};
use super::{Results, in_force, search};
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
    let place = installation.decisions.clone().try_acquire_owned();
    let place = place.map_err(|_| Failed::Busy)?;
    let members = read(request).await?;
    search(installation, move |installation, world| {
        let _place = place;
        let question = Question {
            subject: Subject::of(&members, true)?,
            action: Action::of(&members)?,
            resource: Resource::of(&members, false)?,
            context: Context::of(&members)?,
            asked: &members,
        };
        let wanted = Wanted::of(&members)?;
        let Some(names) = question.names().filter(|_| question.subject.kind == AGENT) else {
            return Ok(Results::none());
        };
        let described = question.described(&names);
        let Some(upstream) = super::super::decide::upstream(world, &service, &described, &question)? else {
            return Ok(Results::none());
        };
        let now = installation.clock.now();
        let after: Option<Name> = wanted.after.as_ref().and_then(|after| after.parse().ok());
        let mut results = Vec::new();
        let mut last: Option<&Name> = None;
        for (looked_at, agent) in world.agents_after(service.org(), after.as_ref()).enumerate() {
            if results.len() >= wanted.limit || looked_at >= CANDIDATES_MAX {
                let next = last.map_or_else(String::new, |last| wanted.token(last.as_str()));
                return Ok(Results::of(results, &next));
            }
            let link = in_force(installation, world, agent)?;
            if could(world, &link, &upstream, &described, None, now) {
                results.push(json!({"type": AGENT, "id": agent.name}));
            }
            last = Some(&agent.name);
        }
        Ok(Results::of(results, ""))
    })
    .await
}

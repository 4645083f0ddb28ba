//! `POST /access/v1/search/resource`: the things that an agent could do something to, as far as contracts and routes call
//! them by name. A service that knows others asks about each.

use super::super::caller::Pep;
use super::super::failed::Failed;
use super::super::question::{Action, Context, Question, Resource, Subject, read};
use super::page::Wanted;
use super::{Results, link_of, search};
use crate::installation::Installation;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use broker::foresee::{could, named_things};
use broker::upstream::Described;
use http::Request;
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
            subject: Subject::of(&members, false)?,
            action: Action::of(&members)?,
            resource: Resource::of(&members, true)?,
            context: Context::of(&members)?,
            asked: &members,
        };
        let wanted = Wanted::of(&members)?;
        let link = link_of(installation, world, &service, &question.subject)?;
        let (Some(names), Some(link)) = (question.names(), link) else {
            return Ok(Results::none());
        };
        let described = question.described(&names);
        let upstream = super::super::decide::upstream(world, &service, &described, &question)?;
        let Some((upstream, route)) = upstream
            .as_ref()
            .and_then(|upstream| Some((upstream, described.route(upstream)?)))
        else {
            return Ok(Results::none());
        };
        let now = installation.clock.now();
        let things = named_things(&link, upstream, route);
        Ok(Results::among(&wanted, things, |id| {
            let described = Described {
                resource_id: id,
                ..described
            };
            could(world, &link, upstream, &described, None, now)
                .then(|| json!({"type": question.resource.kind, "id": id}))
        }))
    })
    .await
}

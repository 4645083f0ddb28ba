//! `POST /access/v1/search/resource`: the things that an agent could do something to, as far as contracts and routes call
//! them by name. A service that knows others asks about each.

use super::super::caller::Pep;
use super::super::failed::Failed;
use super::super::question::{Question, Searched};
use super::{Results, search};
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
    search(installation, request, move |search| {
        let question = Question::searching(search.members, Searched::Resource)?;
        let link = search.link_of(&service, &question.subject)?;
        let (Some(names), Some(link)) = (question.names(), link) else {
            return Ok(Results::none());
        };
        let described = question.described(&names);
        let upstream = super::super::decide::upstream(search.world, &service, &described, &question)?;
        let Some((upstream, route)) = upstream
            .as_ref()
            .and_then(|upstream| Some((upstream, described.route(upstream)?)))
        else {
            return Ok(Results::none());
        };
        let things = named_things(&link, upstream, route);
        Ok(Results::among(&search.wanted, things, |id| {
            let described = Described {
                resource_id: id,
                ..described
            };
            could(search.world, &link, upstream, &described, None, search.now)
                .then(|| json!({"type": question.resource.kind, "id": id}))
        }))
    })
    .await
}

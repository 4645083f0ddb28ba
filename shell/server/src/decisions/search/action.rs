//! `POST /access/v1/search/action`: what an agent could do to a thing.

use super::super::caller::Pep;
use super::super::failed::Failed;
use super::super::question::{Action, Context, Question, Resource, Subject};
use super::{Results, search};
use crate::installation::Installation;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use broker::foresee::could;
use http::Request;
use identity::Name;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Answers.
pub(in super::super) async fn answer(
    State(installation): State<Arc<Installation>>,
    Pep(service): Pep,
    request: Request<Body>,
) -> Result<Json<Results>, Failed> {
    search(installation, request, move |search| {
        let subject = Subject::of(search.members, false)?;
        let resource = Resource::of(search.members, false)?;
        let context = Context::of(search.members)?;
        let link = search.link_of(&service, &subject)?;
        let (Ok(kind), Some(link)) = (resource.kind.parse::<Name>(), link) else {
            return Ok(Results::none());
        };
        let actions: BTreeSet<String> = service
            .upstreams(search.world)
            .flat_map(|upstream| &upstream.routes)
            .filter(|route| route.resource_type == kind)
            .map(|route| route.action.to_string())
            .collect();
        Ok(Results::among(&search.wanted, actions, |name| {
            let question = Question {
                subject,
                action: Action {
                    name,
                    properties: None,
                },
                resource,
                context: context.clone(),
                asked: search.members,
            };
            let names = question.names()?;
            let described = question.described(&names);
            // An action of several services is possible where it is possible at any.
            let audience = context.audience.as_ref();
            service
                .upstreams(search.world)
                .filter(|upstream| audience.is_none_or(|audience| upstream.audience == *audience))
                .any(|upstream| could(search.world, &link, upstream, &described, None, search.now))
                .then(|| json!({"name": name}))
        }))
    })
    .await
}

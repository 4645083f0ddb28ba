//! Decisions for others: the AuthZEN Authorization API 1.0, for services that enforce decisions about their own resources.
//! One file an endpoint.
//!
//! Who asks is a service by the X.509-SVID of its connection ([`Pep`](caller::Pep)), and there is nothing for it but what
//! upstreams say it enforces. Whom it asks about is an agent, by the agent's own access token or by its task. The decision
//! is the gateway's: same contract, same chain, same counts, recorded before it is answered. Searching is foreseeing:
//! nothing is counted or recorded. A denial that people could turn is remembered ([`denials`]), and requested elsewhere
//! (`approval/requests.rs`); an approval that a question names is spent by its answer.
//!
//! Not here: Envoy's ext_authz, which hands out upstream credentials and so belongs to the gateway.

mod answer;
mod caller;
mod decide;
mod denials;
mod evaluation;
mod evaluations;
mod failed;
mod metadata;
mod obligation;
mod question;
mod search;
mod subject;

pub(crate) use caller::Pep;
pub(crate) use denials::{Denial, Denials, NoDenial};
pub(crate) use failed::Failed;
pub(crate) use question::{Members, NotAQuestion, content, read};

use crate::installation::Installation;
use crate::surface::Routes;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use http::HeaderName;
use std::sync::Arc;

const EVALUATION_PATH: &str = "/access/v1/evaluation";
const EVALUATIONS_PATH: &str = "/access/v1/evaluations";
const SEARCH_SUBJECT_PATH: &str = "/access/v1/search/subject";
const SEARCH_RESOURCE_PATH: &str = "/access/v1/search/resource";
const SEARCH_ACTION_PATH: &str = "/access/v1/search/action";
const METADATA_PATH: &str = "/.well-known/authzen-configuration";

/// Comes back as it was sent (AuthZEN 1.0 section 10.1.2).
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest one that comes back, in bytes.
const REQUEST_ID_BYTES_MAX: usize = 256;

/// `/access/v1/…` and its metadata.
pub(crate) fn routes() -> Routes<Arc<Installation>> {
    Routes::new()
        .post(EVALUATION_PATH, evaluation::answer)
        .post(EVALUATIONS_PATH, evaluations::answer)
        .post(SEARCH_SUBJECT_PATH, search::subject::answer)
        .post(SEARCH_RESOURCE_PATH, search::resource::answer)
        .post(SEARCH_ACTION_PATH, search::action::answer)
        .get(METADATA_PATH, metadata::answer)
        .around(|router| router.layer(from_fn(request_id)))
}

async fn request_id(request: Request, next: Next) -> Response {
    let id = request.headers().get(REQUEST_ID).cloned();
    let mut response = next.run(request).await;
    if let Some(id) = id.filter(|id| id.len() <= REQUEST_ID_BYTES_MAX) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

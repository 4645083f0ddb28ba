//! `GET /.well-known/authzen-configuration`: where decisions are to be had (AuthZEN Authorization API 1.0 section 9). Anybody
//! may read it.

use super::{
    EVALUATION_PATH, EVALUATIONS_PATH, SEARCH_ACTION_PATH, SEARCH_RESOURCE_PATH, SEARCH_SUBJECT_PATH,
    obligation,
};
use crate::approval::REQUESTS_PATH;
use crate::installation::Installation;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header;
use serde::Serialize;
use std::sync::Arc;

/// The capability of the Access Request and Approval Profile (section "Discovery").
const ACCESS_REQUEST: &str = "urn:openid:authzen:capability:access-request";

#[derive(Serialize)]
struct Metadata<'a> {
    policy_decision_point: &'a str,
    access_evaluation_endpoint: String,
    access_evaluations_endpoint: String,
    search_subject_endpoint: String,
    search_resource_endpoint: String,
    search_action_endpoint: String,
    access_request_endpoint: String,
    capabilities: [&'a str; 1],
    supported_obligations: [&'a str; 1],
}

/// The document.
pub(super) async fn answer(State(installation): State<Arc<Installation>>) -> impl IntoResponse {
    let issuer = &installation.config.issuer;
    let metadata = Metadata {
        policy_decision_point: issuer.as_str(),
        access_evaluation_endpoint: issuer.endpoint(EVALUATION_PATH),
        access_evaluations_endpoint: issuer.endpoint(EVALUATIONS_PATH),
        search_subject_endpoint: issuer.endpoint(SEARCH_SUBJECT_PATH),
        search_resource_endpoint: issuer.endpoint(SEARCH_RESOURCE_PATH),
        search_action_endpoint: issuer.endpoint(SEARCH_ACTION_PATH),
        access_request_endpoint: issuer.endpoint(REQUESTS_PATH),
        capabilities: [ACCESS_REQUEST],
        supported_obligations: obligation::SUPPORTED,
    };
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "public, max-age=300"),
    ];
    (headers, serde_json::to_vec(&metadata).unwrap_or_default())
}

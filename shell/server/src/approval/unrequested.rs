//! Why there is no access request: the problem types of the Access Request and Approval Profile, section "Error Responses".

use crate::decisions::{Failed, NotAQuestion};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use identity::DecisionId;
use serde_json::json;

/// What is answered instead of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unrequested {
    /// People are not asked about that: the use case's code, and its decision for whoever may know more.
    NotRequestable(&'static str, DecisionId),
    /// The denial is too old.
    ExpiredDenial,
    /// It names no denial of this service, or another question than was denied.
    OtherDenial,
    /// The same key for something else.
    Duplicate,
    /// No such request, as far as the caller may know.
    UnknownTask,
    /// Not one of the questions that we answer: an error like any other of the decision API.
    Other(Failed),
    /// A member that we do not serve, and that decides nothing if it is ignored: better said than waited for.
    Unsupported(&'static str, &'static str),
}

impl From<NotAQuestion> for Unrequested {
    fn from(why: NotAQuestion) -> Self {
        Self::Other(Failed::Question(why))
    }
}

impl IntoResponse for Unrequested {
    fn into_response(self) -> Response {
        let (status, kind, code, detail) = match self {
            Self::Other(failed) => return failed.into_response(),
            Self::NotRequestable(code, decision) => (
                StatusCode::BAD_REQUEST,
                "not_requestable",
                code,
                format!("Nobody was asked about this ({decision})."),
            ),
            Self::ExpiredDenial => (
                StatusCode::GONE,
                "expired_denial",
                "DENIAL_EXPIRED",
                "The denial is too old: ask for the decision again.".to_owned(),
            ),
            Self::OtherDenial => (
                StatusCode::BAD_REQUEST,
                "invalid_denial_binding",
                "DENIAL_UNKNOWN",
                "No denial of that evaluation_id was told to you about this subject, action and resource, or none any \
                 more: ask for the decision again."
                    .to_owned(),
            ),
            Self::Duplicate => (
                StatusCode::CONFLICT,
                "duplicate_request",
                "IDEMPOTENCY_KEY",
                "The Idempotency-Key came with another request before.".to_owned(),
            ),
            Self::UnknownTask => (
                StatusCode::NOT_FOUND,
                "unknown_task",
                "NOT_FOUND",
                "There is no such request for you.".to_owned(),
            ),
            Self::Unsupported(member, fix) => {
                return problem(
                    StatusCode::BAD_REQUEST,
                    "about:blank",
                    "MEMBER_UNSUPPORTED",
                    &format!("The member {member} is not served: {fix}."),
                );
            }
        };
        let kind = format!("urn:openid:authzen:access-request:error:{kind}");
        problem(status, &kind, code, &detail)
    }
}

fn problem(status: StatusCode, kind: &str, code: &str, detail: &str) -> Response {
    let body = json!({
        "type": kind,
        "title": "There is no access request.",
        "status": status.as_u16(),
        "detail": detail,
        "code": code,
    });
    let mut response = (status, body.to_string()).into_response();
    let headers = response.headers_mut();
    let problem = HeaderValue::from_static("application/problem+json");
    headers.insert(header::CONTENT_TYPE, problem);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

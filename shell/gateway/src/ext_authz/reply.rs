//! Answers in Envoy's words: what to set and take out of a permitted request, and how to refuse one.

use super::auth_v3::{CheckResponse, DeniedHttpResponse, OkHttpResponse, check_response::HttpResponse};
use super::core_v3::{HeaderValue as Header, HeaderValueOption};
use super::{rpc, type_v3};
use crate::fields::to_remove;
use crate::problem::Problem;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

/// Overwrite what is there, or add (`OVERWRITE_IF_EXISTS_OR_ADD`).
const OVERWRITE: i32 = 2;
/// `OK`, `PERMISSION_DENIED`, `UNAUTHENTICATED`, `UNAVAILABLE` (google.rpc.Code).
const OK: i32 = 0;
const PERMISSION_DENIED: i32 = 7;
const UNAVAILABLE: i32 = 14;
const UNAUTHENTICATED: i32 = 16;

/// Lets a request pass with `ours` in it, and without what authority the agent's own fields carry.
pub(super) fn permitted(sent: &HeaderMap, ours: &[(HeaderName, HeaderValue)]) -> CheckResponse {
    let names: Vec<&HeaderName> = ours.iter().map(|(name, _)| name).collect();
    let headers_to_remove = to_remove(sent, &names);
    CheckResponse {
        status: Some(status(OK)),
        http_response: Some(HttpResponse::OkResponse(OkHttpResponse {
            headers: ours.iter().map(|(name, value)| option(name, value)).collect(),
            headers_to_remove,
        })),
    }
}

/// Refuses it as our own listener would.
pub(super) fn denied(problem: Problem, nonce: Option<&(HeaderName, HeaderValue)>) -> CheckResponse {
    let code = match problem.status() {
        StatusCode::UNAUTHORIZED => UNAUTHENTICATED,
        status if status.is_server_error() => UNAVAILABLE,
        _ => PERMISSION_DENIED,
    };
    let (head, body) = problem.into_response::<Bytes>().into_parts();
    let response = Response::from_parts(head, body);
    let headers = response.headers().iter().map(|(name, value)| option(name, value));
    CheckResponse {
        status: Some(status(code)),
        http_response: Some(HttpResponse::DeniedResponse(DeniedHttpResponse {
            status: Some(type_v3::HttpStatus {
                code: i32::from(response.status().as_u16()),
            }),
            headers: headers
                .chain(nonce.into_iter().map(|(name, value)| option(name, value)))
                .collect(),
            body: String::from_utf8_lossy(response.body()).into_owned(),
        })),
    }
}

fn status(code: i32) -> rpc::Status {
    rpc::Status {
        code,
        message: String::new(),
    }
}

fn option(name: &HeaderName, value: &HeaderValue) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(Header {
            key: name.as_str().to_owned(),
            value: String::from_utf8_lossy(value.as_bytes()).into_owned(),
            raw_value: Vec::new(),
        }),
        append_action: OVERWRITE,
    }
}

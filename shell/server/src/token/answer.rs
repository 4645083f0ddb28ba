//! The answers of the token endpoint (RFC 6749 sections 5.1 and 5.2, RFC 8693 section 2.2, RFC 9396 section 7).

use super::endpoint::Issued;
use super::errors::NotIssued;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use credential::TokenType;
use credential::dpop::DPOP_ALGORITHMS;
use http::{HeaderValue, StatusCode, header};
use identity::UnixTime;
use serde::Serialize;
use serde_json::value::RawValue;

/// Header of a fresh nonce (RFC 9449 section 8.2).
const DPOP_NONCE: &str = "dpop-nonce";

#[derive(Serialize)]
struct Success<'a> {
    access_token: &'a str,
    issued_token_type: &'a str,
    token_type: &'a str,
    expires_in: u64,
    authorization_details: Box<RawValue>,
}

#[derive(Serialize)]
struct Failure<'a> {
    error: &'a str,
    error_description: &'a str,
    /// Ours: the stable code that the caller may see.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    /// Ours: what `tabard explain` takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision_id: Option<String>,
}

/// A token.
pub(super) fn issued(issued: &Issued, now: UnixTime, nonce: &str) -> Response {
    let success = Success {
        access_token: &issued.token,
        issued_token_type: TokenType::AccessToken.urn(),
        token_type: issued.scheme,
        expires_in: issued.expires_at.secs().saturating_sub(now.secs()),
        authorization_details: RawValue::from_string(issued.details.clone()).unwrap_or_default(),
    };
    json(
        StatusCode::OK,
        serde_json::to_vec(&success).unwrap_or_default(),
        nonce,
    )
}

/// Anything else that is well.
pub(super) fn ok(body: &impl Serialize, nonce: &str) -> Response {
    json(
        StatusCode::OK,
        serde_json::to_vec(body).unwrap_or_default(),
        nonce,
    )
}

/// No token.
pub(super) fn refused(why: &NotIssued, nonce: &str) -> Response {
    let answer = why.answer();
    let description = match answer.decision {
        Some(decision) => format!("{} ({decision})", answer.sentence),
        None => answer.sentence.to_owned(),
    };
    let failure = Failure {
        error: answer.error,
        error_description: &description,
        code: why.caller_code(),
        decision_id: answer.decision.map(|decision| decision.to_string()),
    };
    let mut response = json(
        answer.status,
        serde_json::to_vec(&failure).unwrap_or_default(),
        nonce,
    );
    let headers = response.headers_mut();
    if let Some(secs) = answer.retry_after_secs {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
    }
    if answer.status == StatusCode::UNAUTHORIZED
        && let Ok(challenge) = HeaderValue::from_str(&challenge())
    {
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// What a 401 asks for (RFC 9110 section 15.5.2): a proof of the instance's key, in the form of RFC 9449 section 7.1.
fn challenge() -> String {
    let algorithms: Vec<&str> = DPOP_ALGORITHMS.iter().map(|algorithm| algorithm.name()).collect();
    format!("DPoP algs=\"{}\"", algorithms.join(" "))
}

fn json(status: StatusCode, body: Vec<u8>, nonce: &str) -> Response {
    let mut response = (status, Body::from(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(nonce) = HeaderValue::from_str(nonce) {
        headers.insert(DPOP_NONCE, nonce);
    }
    response
}

//! Why a question has no answer. A refusal is an answer; this is for questions that are none, callers that may not ask, and
//! a server that cannot decide.

use super::question::NotAQuestion;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

/// What a 401 asks for (RFC 9110 section 15.5.2). No registered scheme says "a certificate"; this one says it to people who
/// read it, and to clients that there is nothing for them to send again in a header field.
const CHALLENGE: &str = "ClientCertificate realm=\"services\"";

/// Why there is no decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failed {
    /// The connection has no SVID of a service.
    #[error("the caller is no service")]
    NotAService,
    /// Not a question.
    #[error(transparent)]
    Question(#[from] NotAQuestion),
    /// Too many at once.
    #[error("too many questions at once")]
    Busy,
    /// Something was restricted under every attempt.
    #[error("the state changed meanwhile")]
    Contended,
    /// The store, a contract or the keys. Fail closed.
    #[error("nothing can be decided at the moment")]
    Unavailable,
}

impl Failed {
    /// The stable spelling.
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::NotAService => "SERVICE_UNKNOWN",
            Self::Question(why) => why.code(),
            Self::Busy => "BUSY",
            Self::Contended => "CONTENDED",
            Self::Unavailable => "NOT_DECIDED",
        }
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::NotAService => StatusCode::UNAUTHORIZED,
            Self::Question(NotAQuestion::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Question(_) => StatusCode::BAD_REQUEST,
            Self::Busy | Self::Contended | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    const fn title(&self) -> &'static str {
        match self {
            Self::NotAService => "Only a service may ask for decisions.",
            Self::Question(_) => "The request asks nothing that can be decided.",
            Self::Busy | Self::Contended | Self::Unavailable => "There is no decision at the moment: deny.",
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::NotAService => {
                "Connect with the X.509-SVID of a service: tabard service svid NAME --out DIR".to_owned()
            }
            Self::Question(why) => why.to_string(),
            Self::Busy | Self::Contended => "Ask again in a second.".to_owned(),
            Self::Unavailable => "Ask the operator to look at `tabard status`.".to_owned(),
        }
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = json!({
            "type": "about:blank",
            "title": self.title(),
            "status": status.as_u16(),
            "detail": self.detail(),
            "code": self.code(),
        });
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        let problem = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, problem);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

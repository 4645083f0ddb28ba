//! How the admin plane says no: RFC 9457 problem details with what, why and a fix, because the reader is an operator.

use crate::settle::Unsettled;
use axum::Json;
use axum::response::{IntoResponse, Response};
use broker::{Cause, Refusal};
use http::{HeaderValue, StatusCode, header};
use policy::Reason;
use serde::Serialize;
use std::borrow::Cow;

/// What a 401 asks for (RFC 9110 section 15.5.2): a session, which a terminal shows in this scheme and a browser by its
/// cookie.
const CHALLENGE: &str = "Tabard realm=\"people\"";

/// One refusal. Its members are what a person needs, and a code for scripts.
#[derive(Debug, Serialize)]
pub(crate) struct Refused {
    #[serde(serialize_with = "number")]
    status: StatusCode,
    /// Stable code.
    code: Cow<'static, str>,
    /// What is wrong.
    title: Cow<'static, str>,
    /// Why that is refused.
    detail: Cow<'static, str>,
    /// What to do.
    fix: Cow<'static, str>,
    /// The decision, if it was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<String>,
    /// Every mistake in a document, with its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mistakes: Vec<Mistake>,
}

/// One mistake in a document.
#[derive(Debug, Serialize)]
pub(crate) struct Mistake {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) path: String,
    pub(crate) what: String,
    pub(crate) why: String,
    pub(crate) fix: String,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn number<S: serde::Serializer>(status: &StatusCode, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u16(status.as_u16())
}

impl Refused {
    /// The status.
    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }
    /// The stable code.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }
    /// What is wrong.
    pub(crate) fn title(&self) -> &str {
        &self.title
    }
    /// Why that is refused.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }
    /// What to do.
    pub(crate) fn fix(&self) -> &str {
        &self.fix
    }

    /// A refusal with everything but a decision.
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        what: impl Into<Cow<'static, str>>,
        why: impl Into<Cow<'static, str>>,
        fix: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code: code.into(),
            title: what.into(),
            detail: why.into(),
            fix: fix.into(),
            decision: None,
            mistakes: Vec::new(),
        }
    }

    /// Nothing of that name in the caller's reach.
    pub(crate) fn not_found(what: &str, name: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            format!("There is no {what} {name}."),
            "It does not exist, or lies outside your org.",
            "See what there is with `tabard status`, or with the list command of its kind.",
        )
    }

    /// Another method than the path has.
    pub(crate) fn method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "METHOD_NOT_ALLOWED",
            "The endpoint has another method.",
            "Each endpoint does one thing a method.",
            "Use a `tabard` of the server's version.",
        )
    }

    /// The request itself is not one.
    pub(crate) fn bad_request(what: impl Into<Cow<'static, str>>, fix: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "BAD_REQUEST",
            what,
            "Requests are read strictly: what is not understood could be a limit that would not hold.",
            fix,
        )
    }

    /// The server cannot do it now.
    pub(crate) fn unavailable(why: &str) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "NOT_READY",
            "The server cannot do that at the moment.",
            why.to_owned(),
            "Look at `tabard status` and at the server's log.",
        )
    }

    /// A document with mistakes.
    pub(crate) fn document(what: &'static str, mistakes: Vec<Mistake>) -> Self {
        let mut refused = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "DOCUMENT_INVALID",
            format!(
                "The {what} has {} mistake{}.",
                mistakes.len(),
                if mistakes.len() == 1 { "" } else { "s" }
            ),
            "Nothing of it was applied.",
            "Correct the places below.",
        );
        refused.mistakes = mistakes;
        refused
    }

    /// A refusal of the broker, recorded.
    pub(crate) fn of(refusal: &Refusal) -> Self {
        let (status, why, fix): (_, Cow<'static, str>, Cow<'static, str>) = match refusal.cause() {
            Cause::NotPermitted { wanted } => (
                StatusCode::FORBIDDEN,
                format!("It takes the role {wanted}.").into(),
                format!("An administrator can give it: tabard principal add NAME --uid UID --role {wanted}")
                    .into(),
            ),
            Cause::Invalid { code, .. } if *code == Reason::ApproverIneligible.code() => (
                StatusCode::FORBIDDEN,
                "An approval is the word of a person who may give it, and is there to give it.".into(),
                "Open the approval's page in a browser, or ask somebody else: tabard approval show ID".into(),
            ),
            Cause::Invalid {
                code: "PRESENCE_UNVERIFIED",
                ..
            } => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "It takes a person who is there, and a terminal or a process could be anybody's.".into(),
                "Do it in a browser: /ui/proposals for a contract, /ui/exceptions for an exception.".into(),
            ),
            Cause::Invalid {
                code: "SERVICE_REVOKED" | "SERVICE_REMOVED" | "SERVICE_NOT_RENEWABLE" | "SERVICE_KEY_SPENT",
                ..
            } => (
                StatusCode::FORBIDDEN,
                "A service renews what an administrator let it have, and as long as they do.".into(),
                "Ask an operator for a new SVID: tabard service svid NAME --out DIR".into(),
            ),
            Cause::Invalid {
                code: "SERVICE_KEY_TAKEN",
                ..
            } => (
                StatusCode::CONFLICT,
                "A key says who asks: it cannot be two.".into(),
                "Make a new key; a request that was sent before is of no use.".into(),
            ),
            Cause::NotVerified => (
                StatusCode::FORBIDDEN,
                "What cannot be taken back easily takes a proof that you are there, not older than five minutes.".into(),
                "Verify in the browser under /ui/verify, or with `tabard login`; then repeat it.".into(),
            ),
            Cause::Invalid { .. } => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "The inventory would contradict itself.".into(),
                "Do what the message says, then try again.".into(),
            ),
            Cause::Denied(_)
            | Cause::Subject(_)
            | Cause::Target(_)
            | Cause::Details { .. }
            | Cause::NoIdentity(_) => (
                StatusCode::FORBIDDEN,
                "A contract, a task or a revocation says no.".into(),
                format!("tabard explain {}", refusal.decision()).into(),
            ),
        };
        let mut refused = Self::new(status, refusal.code(), refusal.sentence().to_owned(), why, fix);
        refused.decision = Some(refusal.decision().to_string());
        refused
    }
}

impl From<Unsettled> for Refused {
    fn from(unsettled: Unsettled) -> Self {
        match unsettled {
            Unsettled::Refused(refusal) => Self::of(&refusal),
            Unsettled::Contended => Self::new(
                StatusCode::CONFLICT,
                "CONTENDED",
                "The state changed meanwhile.",
                "Somebody else administers at the same time.",
                "Try again.",
            ),
            Unsettled::Unrecorded(error) => Self::unavailable(&error.to_string()),
            Unsettled::Keys(error) => Self::unavailable(&error.to_string()),
        }
    }
}

impl From<policy::ContractError> for Mistake {
    fn from(error: policy::ContractError) -> Self {
        Self {
            file: error.file,
            line: error.line,
            column: error.column,
            path: error.path,
            what: error.what,
            why: error.why,
            fix: error.fix,
        }
    }
}

impl From<broker::upstream::ManifestError> for Mistake {
    fn from(error: broker::upstream::ManifestError) -> Self {
        Self {
            file: error.file,
            line: error.line,
            column: error.column,
            path: error.path,
            what: error.what,
            why: error.why,
            fix: error.fix,
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = self.status;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        let problem = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, problem);
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
        }
        response
    }
}

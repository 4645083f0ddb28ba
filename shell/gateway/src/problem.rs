//! Every refusal as an answer: RFC 9457 problem+json with code, what, why, fix and the decision's id, and the
//! challenges of RFC 6750 section 3 and RFC 9449 section 7.1. Fixed sentences; no reason beyond the code.

use broker::world::approval::State;
use bytes::Bytes;
use credential::dpop::DPOP_ALGORITHMS;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use identity::{ApprovalId, DecisionId};
use serde::Serialize;
use serde_json::json;

/// What a `WWW-Authenticate` header asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// Nothing was presented.
    Token,
    /// The token is not accepted.
    InvalidToken,
    /// The proof is not accepted.
    InvalidProof,
    /// The proof needs our nonce.
    Nonce,
    /// The token is good and does not reach this.
    InsufficientScope,
}

/// One refusal, ready to be answered.
#[derive(Debug, Clone)]
pub struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) what: String,
    pub(crate) why: String,
    pub(crate) fix: String,
    pub(crate) decision: Option<DecisionId>,
    pub(crate) challenge: Option<Challenge>,
    pub(crate) retry_after_secs: Option<u32>,
    /// What waits for humans, so that the request can be sent again once they said yes.
    pub(crate) approval: Option<Box<ApprovalView>>,
}

/// An approval in an answer. It proves nothing to anybody.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ApprovalView {
    pub(crate) id: ApprovalId,
    pub(crate) state: State,
    /// RFC 3339.
    pub(crate) expires_at: String,
    /// Where the agent can look how it stands.
    pub(crate) state_url: String,
    /// Where a human decides.
    pub(crate) page: String,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        what: impl Into<String>,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            what: what.into(),
            why: why.into(),
            fix: fix.into(),
            decision: None,
            challenge: None,
            retry_after_secs: None,
            approval: None,
        }
    }

    /// The request itself cannot be taken.
    pub(crate) fn bad_request(code: &'static str, what: &str, why: &str, fix: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, what, why, fix)
    }

    /// We cannot, at the moment.
    pub(crate) fn unavailable(code: &'static str, what: &str, why: &str) -> Self {
        let mut problem = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            code,
            what,
            why,
            "try again in a moment; if it lasts, tell the operator",
        );
        problem.retry_after_secs = Some(1);
        problem
    }

    /// The upstream could not be reached or answered in a way that cannot be passed on.
    pub(crate) fn bad_gateway(code: &'static str, what: &str, why: &str) -> Self {
        Self::new(
            StatusCode::BAD_GATEWAY,
            code,
            what,
            why,
            "tell the operator of the gateway or of the upstream",
        )
    }

    /// 401: no credential, or one that is not accepted. The reason is in the log, not in the answer.
    pub(crate) fn unauthenticated(challenge: Challenge, what: &str, fix: &str) -> Self {
        let (code, why) = match challenge {
            Challenge::Token => (
                "TOKEN_MISSING",
                "every request carries an access token and a proof of its key",
            ),
            Challenge::InvalidProof => (
                "PROOF_INVALID",
                "a proof is made for one request, with the key of the token",
            ),
            Challenge::Nonce => (
                "PROOF_NONCE",
                "this gateway accepts proofs with a nonce of its own only",
            ),
            Challenge::InvalidToken | Challenge::InsufficientScope => (
                "TOKEN_INVALID",
                "a token is accepted for its audience, by its key, in its minutes, unless revoked",
            ),
        };
        let mut problem = Self::new(StatusCode::UNAUTHORIZED, code, what, why, fix);
        problem.challenge = Some(challenge);
        problem
    }

    pub(crate) const fn with_decision(mut self, decision: DecisionId) -> Self {
        self.decision = Some(decision);
        self
    }

    /// The status.
    pub const fn status(&self) -> StatusCode {
        self.status
    }
    /// The code.
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// The answer.
    pub(crate) fn into_response<B: From<Bytes>>(self) -> Response<B> {
        let mut body = json!({
            "type": format!("urn:tabard:problem:{}", self.code),
            "title": self.what,
            "status": self.status.as_u16(),
            "code": self.code,
            "what": self.what,
            "why": self.why,
            "fix": self.fix,
        });
        if let (Some(decision), Some(members)) = (self.decision, body.as_object_mut()) {
            members.insert("decision".to_owned(), decision.to_string().into());
        }
        if let (Some(approval), Some(members)) = (&self.approval, body.as_object_mut())
            && let Ok(approval) = serde_json::to_value(approval)
        {
            members.insert("approval".to_owned(), approval);
        }
        let mut response = Response::new(B::from(Bytes::from(body.to_string())));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert("tabard-code", HeaderValue::from_static(self.code));
        if let Some(decision) = self.decision
            && let Ok(value) = HeaderValue::from_str(&decision.to_string())
        {
            headers.insert("tabard-decision", value);
        }
        if let Some(approval) = &self.approval
            && let Ok(value) = HeaderValue::from_str(&approval.id.to_string())
        {
            headers.insert("tabard-approval", value);
        }
        if let Some(secs) = self.retry_after_secs {
            headers.insert(RETRY_AFTER, HeaderValue::from(secs));
        }
        if let Some(challenge) = self.challenge
            && let Ok(value) = HeaderValue::from_str(&challenge.header())
        {
            headers.insert(WWW_AUTHENTICATE, value);
        }
        response
    }
}

impl Challenge {
    fn header(self) -> String {
        let algorithms: Vec<&str> = DPOP_ALGORITHMS.iter().map(|algorithm| algorithm.name()).collect();
        let algorithms = algorithms.join(" ");
        match self {
            Self::Token => format!("DPoP algs=\"{algorithms}\""),
            Self::InvalidToken => format!("DPoP error=\"invalid_token\", algs=\"{algorithms}\""),
            Self::InvalidProof => format!("DPoP error=\"invalid_dpop_proof\", algs=\"{algorithms}\""),
            Self::Nonce => format!("DPoP error=\"use_dpop_nonce\", algs=\"{algorithms}\""),
            Self::InsufficientScope => format!("DPoP error=\"insufficient_scope\", algs=\"{algorithms}\""),
        }
    }
}

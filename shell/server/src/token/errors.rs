//! Why there is no token, and what the caller is told: one exhaustive match from the one to the other.
//!
//! The answer is a status, an OAuth error code and a fixed sentence, with the decision's id where there is one. It
//! never says whether a signature, an expiry or a tenant was the reason (RFC 8693 section 2.2.2, RFC 9700 section 4);
//! the entry does. `docs/reference/http.md` shows the same table.

use crate::health::Ending;
use crate::keys::KeyError;
use crate::signer::NotSigned;
use broker::replay::NotFresh;
use broker::{Cause, Refusal};
use credential::{ExchangeFormError, FormError, Rejection};
use http::StatusCode;
use identity::DecisionId;
use policy::{Reason, ReasonGroup};
use store::CommitError;
use store::contracts::{NotInForce, Uncompilable};

/// Why a token request got no token.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotIssued {
    /// Too many requests at once.
    #[error("too many token requests at once")]
    Busy,
    /// Another content type.
    #[error("the body is not application/x-www-form-urlencoded")]
    NotAForm,
    /// Over 16 KiB, or broken off.
    #[error("the body is larger than 16384 bytes, or did not arrive")]
    Body,
    /// Not there within ten seconds.
    #[error("the body did not arrive within 10 s")]
    Slow,
    /// The form cannot be read.
    #[error(transparent)]
    Form(#[from] ExchangeFormError),
    /// A type of subject token that is not taken there.
    #[error("the subject token is of a type that is not taken there")]
    SubjectKind,
    /// Another type of actor token than a JWT-SVID.
    #[error("the actor token is not of type jwt")]
    ActorKind,
    /// A client assertion beside the proof that counts.
    #[error("a client assertion was sent")]
    ClientAssertion,
    /// Something else than an access token was asked for.
    #[error("another type of token was asked for")]
    RequestedKind,
    /// No audience.
    #[error("no audience or resource was named")]
    NoTarget,
    /// Several audiences.
    #[error("more than one audience or resource was named")]
    ManyTargets,
    /// Several details.
    #[error("more than one authorization detail was sent")]
    ManyDetails,
    /// A restriction that tokens do not carry.
    #[error("the member {0} cannot be carried into a token")]
    DetailMember(&'static str),
    /// Scope and actions together.
    #[error("scope and authorization_details.actions were both sent")]
    ScopeAndActions,
    /// A scope that names no action.
    #[error("the scope is not a list of action names")]
    Scope,
    /// The subject token is not acceptable.
    #[error("the subject token was rejected: {0}")]
    Subject(Rejection),
    /// `client_id` is not the subject.
    #[error("client_id is not the subject's SPIFFE ID")]
    OtherClient,
    /// Neither a DPoP proof nor a client certificate.
    #[error("no proof of a key")]
    NoProof,
    /// Two DPoP headers.
    #[error("more than one DPoP header")]
    TwoProofs,
    /// The DPoP proof is not acceptable.
    #[error("the DPoP proof was rejected: {0}")]
    Proof(Rejection),
    /// The DPoP proof lacks a nonce of now.
    #[error("the DPoP proof needs a nonce of this server")]
    NonceNeeded,
    /// The DPoP proof was seen before, or cannot be remembered.
    #[error("the DPoP proof is not fresh: {0}")]
    NotFresh(NotFresh),
    /// The request for a human's word is not one: a parameter of CIBA.
    #[error("the backchannel request is malformed: {0}")]
    Backchannel(BackchannelError),
    /// A human has not decided yet.
    #[error("a human has not decided yet")]
    Pending,
    /// Asked again too soon.
    #[error("the client polls too often")]
    TooSoon,
    /// A human said no.
    #[error("a human said no")]
    SaidNo,
    /// Nobody decided in time, or the request is not known (any more).
    #[error("the request for a human's word is over")]
    Over,
    /// Decided and recorded.
    #[error("refused: {}", .0.code())]
    Refused(Refusal),
    /// The agent's contract is not there.
    #[error("the agent's contract is not in the World")]
    NoContract,
    /// It does not compile.
    #[error(transparent)]
    Contract(#[from] Uncompilable),
    /// Restricted again and again while deciding.
    #[error("what is allowed changed three times while deciding")]
    Contended,
    /// Not recorded.
    #[error(transparent)]
    Unrecorded(#[from] CommitError),
    /// Recorded, not signed.
    #[error(transparent)]
    Unsigned(#[from] NotSigned),
    /// No name key, or no randomness.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// A permit of another class came back.
    #[error("the permit was for another class of credential")]
    OtherClass,
}

impl From<NotInForce> for NotIssued {
    fn from(why: NotInForce) -> Self {
        match why {
            NotInForce::Unknown(_) => Self::NoContract,
            NotInForce::Uncompilable(why) => Self::Contract(why),
        }
    }
}

/// What the caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OAuthError {
    /// HTTP status.
    pub(super) status: StatusCode,
    /// `error`.
    pub(super) error: &'static str,
    /// `error_description`: a fixed sentence.
    pub(super) sentence: &'static str,
    /// The decision, where there is one.
    pub(super) decision: Option<DecisionId>,
    /// `Retry-After` in seconds.
    pub(super) retry_after_secs: Option<u32>,
}

/// What is wrong with a backchannel authentication request (OpenID Connect CIBA Core 1.0 section 13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BackchannelError {
    /// It names no approval that this caller waits for.
    #[error("no approval of the caller's is named")]
    Approval,
    /// Not exactly one hint, or a hint of a kind that is not taken.
    #[error("not exactly one login_hint")]
    Hint,
    /// The hint is no group that is asked.
    #[error("the login_hint is no group that is asked")]
    Unknown,
    /// The message is too long or has control characters.
    #[error("the binding_message is too long")]
    Message,
    /// Too many clients wait.
    #[error("too many clients wait")]
    Full,
}

impl BackchannelError {
    const fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Approval => (
                BAD,
                "invalid_authorization_details",
                "Name the approval that a refusal answered with: authorization_details[0].approval.",
            ),
            Self::Hint => (
                BAD,
                "invalid_request",
                "Send exactly one hint, login_hint: the group that is asked.",
            ),
            Self::Unknown => (BAD, "unknown_user_id", "That group is not asked about this."),
            Self::Message => (
                BAD,
                "invalid_binding_message",
                "A binding_message has at most 500 characters and no control characters.",
            ),
            Self::Full => (
                DOWN,
                "temporarily_unavailable",
                "Too many clients wait for people.",
            ),
        }
    }
}

const BAD: StatusCode = StatusCode::BAD_REQUEST;
const DOWN: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
/// A group commit and a breath: what is overloaded now is not in a second.
const RETRY_SECS: u32 = 1;

const SUBJECT: &str = "The subject token is not acceptable.";
const PROOF: &str = "The DPoP proof is missing or not acceptable.";
const UNAVAILABLE: &str = "The server cannot decide or record this request at the moment.";

impl NotIssued {
    /// A proof's rejection; a missing nonce is an answer of its own (RFC 9449 section 8).
    pub(super) fn proof(rejection: Rejection) -> Self {
        match rejection {
            Rejection::NonceNeeded => Self::NonceNeeded,
            other => Self::Proof(other),
        }
    }

    /// The table.
    pub(super) fn answer(&self) -> OAuthError {
        let say = |status, error, sentence| OAuthError {
            status,
            error,
            sentence,
            decision: None,
            retry_after_secs: None,
        };
        let later = |status, error, sentence| OAuthError {
            retry_after_secs: Some(RETRY_SECS),
            ..say(status, error, sentence)
        };
        match self {
            Self::Busy => later(DOWN, "temporarily_unavailable", "Too many requests at once."),
            Self::NotAForm => say(
                BAD,
                "invalid_request",
                "Send a form (application/x-www-form-urlencoded).",
            ),
            Self::Body => say(
                StatusCode::PAYLOAD_TOO_LARGE,
                "invalid_request",
                "The body has at most 16384 bytes.",
            ),
            Self::Slow => say(
                StatusCode::REQUEST_TIMEOUT,
                "invalid_request",
                "The body took longer than 10 seconds.",
            ),
            Self::Form(error) => form(error),
            Self::SubjectKind => say(
                BAD,
                "invalid_request",
                "Without an actor token the subject is the caller's own JWT-SVID (token type jwt); with one it is an \
                 access token handed to the caller (access_token), or a user's (id_token or jwt).",
            ),
            Self::ActorKind => say(
                BAD,
                "invalid_request",
                "The actor token is the caller's own JWT-SVID: actor_token_type is urn:ietf:params:oauth:token-type:jwt.",
            ),
            Self::ClientAssertion => say(
                StatusCode::UNAUTHORIZED,
                "invalid_client",
                "Client assertions are not taken; prove the instance's key with DPoP or TLS.",
            ),
            Self::RequestedKind => say(
                BAD,
                "invalid_request",
                "Access tokens are issued: requested_token_type is urn:ietf:params:oauth:token-type:access_token.",
            ),
            Self::NoTarget => say(BAD, "invalid_target", "Name one audience or resource."),
            Self::ManyTargets => say(
                BAD,
                "invalid_target",
                "A token has one audience; ask once for each.",
            ),
            Self::ManyDetails => say(
                BAD,
                "invalid_authorization_details",
                "Send one authorization detail.",
            ),
            Self::DetailMember(_) => say(
                BAD,
                "invalid_authorization_details",
                "A detail may name task, purpose, tenant and actions; other members cannot be granted yet.",
            ),
            Self::ScopeAndActions => say(
                BAD,
                "invalid_scope",
                "Name actions in scope or in authorization_details, not in both.",
            ),
            Self::Scope => say(BAD, "invalid_scope", "A scope is a list of action names."),
            Self::Subject(_) => say(BAD, "invalid_request", SUBJECT),
            Self::OtherClient => say(
                StatusCode::UNAUTHORIZED,
                "invalid_client",
                "client_id is the SPIFFE ID of the subject token, or absent.",
            ),
            Self::NoProof
            | Self::TwoProofs
            | Self::Proof(_)
            | Self::NotFresh(NotFresh::Replayed | NotFresh::TooLong) => say(BAD, "invalid_dpop_proof", PROOF),
            Self::NonceNeeded => say(BAD, "use_dpop_nonce", "Use the nonce from the DPoP-Nonce header."),
            Self::NotFresh(NotFresh::Full) => {
                later(DOWN, "temporarily_unavailable", "Too many requests at once.")
            }
            Self::Backchannel(why) => {
                let (status, error, sentence) = why.parts();
                say(status, error, sentence)
            }
            Self::Pending => say(BAD, "authorization_pending", "Nobody has decided yet."),
            Self::TooSoon => say(BAD, "slow_down", "Wait five seconds longer between two requests."),
            Self::SaidNo => say(BAD, "access_denied", "A human said no."),
            Self::Over => say(BAD, "expired_token", "The request is over: ask again."),
            Self::Refused(refusal) => refused(refusal),
            Self::Contended
            | Self::NoContract
            | Self::Contract(_)
            | Self::Unrecorded(_)
            | Self::Unsigned(_)
            | Self::Keys(_)
            | Self::OtherClass => later(DOWN, "temporarily_unavailable", UNAVAILABLE),
        }
    }

    /// How it counts.
    pub(super) const fn ending(&self) -> Ending {
        match self {
            Self::Refused(_) | Self::Pending | Self::TooSoon | Self::SaidNo | Self::Over => Ending::Refused,
            Self::Busy
            | Self::NoContract
            | Self::Contract(_)
            | Self::Contended
            | Self::Unrecorded(_)
            | Self::Unsigned(_)
            | Self::Keys(_)
            | Self::OtherClass
            | Self::Backchannel(BackchannelError::Full)
            | Self::NotFresh(NotFresh::Full) => Ending::Failed,
            Self::NotAForm
            | Self::Body
            | Self::Slow
            | Self::Form(_)
            | Self::SubjectKind
            | Self::ActorKind
            | Self::ClientAssertion
            | Self::RequestedKind
            | Self::NoTarget
            | Self::ManyTargets
            | Self::ManyDetails
            | Self::DetailMember(_)
            | Self::ScopeAndActions
            | Self::Scope
            | Self::Subject(_)
            | Self::OtherClient
            | Self::NoProof
            | Self::TwoProofs
            | Self::Proof(_)
            | Self::NonceNeeded
            | Self::Backchannel(
                BackchannelError::Approval
                | BackchannelError::Hint
                | BackchannelError::Unknown
                | BackchannelError::Message,
            )
            | Self::NotFresh(NotFresh::Replayed | NotFresh::TooLong) => Ending::Unidentified,
        }
    }

    /// The code of a recorded refusal, as far as the caller may see it.
    pub(super) fn caller_code(&self) -> Option<&'static str> {
        match self {
            Self::Refused(refusal) => Some(refusal.code()),
            _ => None,
        }
    }

    /// A stable code for counts and logs.
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Busy => "BUSY",
            Self::NotAForm => "NOT_A_FORM",
            Self::Body => "BODY",
            Self::Slow => "SLOW",
            Self::Form(_) => "FORM",
            Self::SubjectKind => "SUBJECT_KIND",
            Self::ActorKind => "ACTOR_KIND",
            Self::ClientAssertion => "CLIENT_ASSERTION",
            Self::RequestedKind => "REQUESTED_KIND",
            Self::NoTarget => "NO_TARGET",
            Self::ManyTargets => "MANY_TARGETS",
            Self::ManyDetails => "MANY_DETAILS",
            Self::DetailMember(_) => "DETAIL_MEMBER",
            Self::ScopeAndActions => "SCOPE_AND_ACTIONS",
            Self::Scope => "SCOPE",
            Self::Subject(_) => "SUBJECT_REJECTED",
            Self::OtherClient => "OTHER_CLIENT",
            Self::NoProof => "NO_PROOF",
            Self::TwoProofs => "TWO_PROOFS",
            Self::Proof(_) => "PROOF_REJECTED",
            Self::NonceNeeded => "NONCE_NEEDED",
            Self::NotFresh(_) => "PROOF_NOT_FRESH",
            Self::Backchannel(_) => "BACKCHANNEL",
            Self::Pending => "AUTHORIZATION_PENDING",
            Self::TooSoon => "SLOW_DOWN",
            Self::SaidNo => "APPROVAL_DENIED",
            Self::Over => "APPROVAL_EXPIRED",
            Self::Refused(_) => "REFUSED",
            Self::NoContract => "CONTRACT_MISSING",
            Self::Contract(_) => "CONTRACT_UNCOMPILABLE",
            Self::Contended => "CONTENDED",
            Self::Unrecorded(_) => "UNRECORDED",
            Self::Unsigned(_) => "UNSIGNED",
            Self::Keys(_) => "KEYS",
            Self::OtherClass => "OTHER_CLASS",
        }
    }
}

/// A form that is no token exchange.
fn form(error: &ExchangeFormError) -> OAuthError {
    let (status, error, sentence) = match error {
        ExchangeFormError::Form(FormError::TooLarge) => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "invalid_request",
            "The body has at most 16384 bytes.",
        ),
        ExchangeFormError::Form(FormError::TooMany) => {
            (BAD, "invalid_request", "A request has at most 32 parameters.")
        }
        ExchangeFormError::Form(FormError::Encoding) => {
            (BAD, "invalid_request", "The body is a form in UTF-8.")
        }
        ExchangeFormError::Form(FormError::Repeated(_)) => {
            (BAD, "invalid_request", "A parameter stands more than once.")
        }
        ExchangeFormError::OtherGrant => (
            BAD,
            "unsupported_grant_type",
            "The grant type is urn:ietf:params:oauth:grant-type:token-exchange.",
        ),
        ExchangeFormError::Missing(_) => (BAD, "invalid_request", "A mandatory parameter is missing."),
        ExchangeFormError::TokenType(_) => (BAD, "invalid_request", "A token type is not supported there."),
        ExchangeFormError::ActorTypeAlone => (
            BAD,
            "invalid_request",
            "actor_token_type stands without actor_token.",
        ),
        ExchangeFormError::Target => (
            BAD,
            "invalid_target",
            "A target is not usable, or there are more than 8.",
        ),
        ExchangeFormError::Scope => (BAD, "invalid_scope", "A scope is a list of action names."),
        ExchangeFormError::Details(_) => (
            BAD,
            "invalid_authorization_details",
            "The authorization details are not of type agent_task.",
        ),
        ExchangeFormError::ClientAssertion => (
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            "Client assertions are not taken; prove the instance's key with DPoP or TLS.",
        ),
    };
    OAuthError {
        status,
        error,
        sentence,
        decision: None,
        retry_after_secs: None,
    }
}

/// A decision that said no.
fn refused(refusal: &Refusal) -> OAuthError {
    let (status, error, sentence) = match refusal.cause() {
        Cause::Subject(Reason::ReplayDetected) => (BAD, "invalid_dpop_proof", PROOF),
        Cause::Subject(reason) => (BAD, "invalid_request", reason.caller_sentence()),
        Cause::Target(reason) => (BAD, "invalid_target", reason.caller_sentence()),
        Cause::Details { reason, .. } => (BAD, "invalid_authorization_details", reason.caller_sentence()),
        Cause::Denied(denial) => {
            let reasons = || denial.reasons.iter().map(|detail| detail.reason);
            // Where nobody says what the user may do, every party of a chain refuses for it: that may pass.
            let silent = reasons().any(|reason| reason == Reason::RightsUnavailable)
                && reasons()
                    .all(|reason| matches!(reason, Reason::RightsUnavailable | Reason::ChainLinkDenied));
            denied(if silent {
                Reason::RightsUnavailable
            } else {
                reasons().next().unwrap_or(Reason::PolicyError)
            })
        }
        // An exchange makes none of these; should one appear, it is a refusal like that of any subject.
        Cause::NoIdentity(_) | Cause::Invalid { .. } | Cause::NotPermitted { .. } | Cause::NotVerified => {
            (BAD, "invalid_request", SUBJECT)
        }
    };
    let retry_after_secs = (status == StatusCode::TOO_MANY_REQUESTS || status == DOWN).then_some(RETRY_SECS);
    OAuthError {
        status,
        error,
        sentence,
        decision: Some(refusal.decision()),
        retry_after_secs,
    }
}

/// By what the first reason is about.
const fn denied(reason: Reason) -> (StatusCode, &'static str, &'static str) {
    let sentence = reason.caller_sentence();
    match (reason, reason.group()) {
        (Reason::RateLimited, _) => (StatusCode::TOO_MANY_REQUESTS, "slow_down", sentence),
        (Reason::StateUnavailable | Reason::RightsUnavailable, _) => {
            (DOWN, "temporarily_unavailable", sentence)
        }
        (Reason::ActionNotGranted | Reason::TaskScope, _) => (BAD, "invalid_scope", sentence),
        (_, ReasonGroup::Identity | ReasonGroup::Chain | ReasonGroup::System) => {
            (BAD, "invalid_request", sentence)
        }
        (_, ReasonGroup::Contract | ReasonGroup::Data) => (BAD, "invalid_target", sentence),
        (_, ReasonGroup::State | ReasonGroup::Approval) => (BAD, "access_denied", sentence),
    }
}

#[cfg(test)]
mod tests;

//! Refusals: outcomes with reasons, recorded before they are answered.
//!
//! The record gets everything; the caller gets a fixed sentence, a code and the decision id.

use crate::identify::{Rule, WhyNot};
use identity::{DecisionId, Digest, Name};
use policy::{Denial, Reason};

/// Something was asked for and refused.
#[derive(Debug)]
pub struct Refusal {
    decision: DecisionId,
    cause: Cause,
    needs: Vec<(Digest, Name)>,
}

/// Why. One variant for each thing that a protocol has to tell apart.
#[derive(Debug)]
pub enum Cause {
    /// The contract, the state or the task says no.
    Denied(Box<Denial>),
    /// The subject's own credential is not acceptable: of another instance, revoked, expired, unknown.
    Subject(Reason),
    /// No such audience in the subject's reach, or not allowed to it.
    Target(Reason),
    /// The request asks for details that do not exist or widen what it may have.
    Details {
        /// Which member.
        member: &'static str,
        /// Code for the record.
        reason: Reason,
    },
    /// The process has no identity.
    NoIdentity(Box<WhyNot>),
    /// An administrator asked for something that cannot be.
    Invalid {
        /// Stable code.
        code: &'static str,
        /// What is wrong and how to mend it, for the administrator.
        message: String,
    },
    /// The administrator may not do that.
    NotPermitted {
        /// The role it takes.
        wanted: &'static str,
    },
    /// The administrator's session was not verified lately enough for that.
    NotVerified,
}

impl Refusal {
    pub(crate) const fn new(decision: DecisionId, cause: Cause) -> Self {
        Self {
            decision,
            cause,
            needs: Vec::new(),
        }
    }
    /// The same, of something that humans can let pass.
    pub(crate) fn approvable(mut self, needs: Vec<(Digest, Name)>) -> Self {
        self.needs = needs;
        self
    }
    /// The escalations whose approval would have let it pass, each with its contract; empty where none would.
    pub fn needs(&self) -> &[(Digest, Name)] {
        &self.needs
    }
    /// The decision's id: in the entry, in the answer, in `tabard explain`.
    pub const fn decision(&self) -> DecisionId {
        self.decision
    }
    /// Why.
    pub const fn cause(&self) -> &Cause {
        &self.cause
    }
    /// The code a caller may see.
    pub fn code(&self) -> &'static str {
        match &self.cause {
            Cause::Denied(denial) => denial.caller_code(),
            Cause::Subject(reason) | Cause::Target(reason) | Cause::Details { reason, .. } => {
                reason.caller_code()
            }
            Cause::NoIdentity(why) => why.rule.code(),
            Cause::Invalid { code, .. } => code,
            Cause::NotPermitted { .. } => "ADMIN_ROLE",
            Cause::NotVerified => "ADMIN_NOT_VERIFIED",
        }
    }
    /// The sentence a caller may see. Fixed for each code, so that it tells nothing else.
    pub fn sentence(&self) -> &str {
        match &self.cause {
            Cause::Denied(denial) => denial.caller_sentence(),
            Cause::Subject(reason) | Cause::Target(reason) | Cause::Details { reason, .. } => {
                reason.caller_sentence()
            }
            Cause::NoIdentity(why) => Rule::sentence(why.rule),
            Cause::Invalid { message, .. } => message,
            Cause::NotPermitted { .. } => "Your role does not allow this.",
            Cause::NotVerified => "This takes a proof that it is you.",
        }
    }
    /// Every code, for the record.
    pub fn codes(&self) -> Vec<String> {
        match &self.cause {
            Cause::Denied(denial) => {
                // Several grants can fail on the same limit: the code stands once.
                let mut codes: Vec<String> = Vec::with_capacity(denial.reasons.len());
                for detail in &denial.reasons {
                    if codes.iter().all(|known| known != detail.reason.code()) {
                        codes.push(detail.reason.code().to_owned());
                    }
                }
                codes
            }
            Cause::Subject(reason) | Cause::Target(reason) | Cause::Details { reason, .. } => {
                vec![reason.code().to_owned()]
            }
            Cause::NoIdentity(_)
            | Cause::Invalid { .. }
            | Cause::NotPermitted { .. }
            | Cause::NotVerified => {
                vec![self.code().to_owned()]
            }
        }
    }
}

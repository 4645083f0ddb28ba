//! The outcome of a decision: data with reasons. It opens no door; only the broker makes a permit of it.

use crate::atom::Atom;
use crate::contract::ContractHash;
use crate::exception::Excepted;
use crate::flow::Labels;
use crate::reason::{Reason, Remedy};
use identity::Name;
use std::sync::Arc;

/// Allowed, or refused with every reason.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
#[expect(
    clippy::large_enum_variant,
    reason = "the larger one is the common one, and a verdict lives for one decision"
)]
pub enum Verdict {
    /// It may be done.
    Allow(Allowed),
    /// It may not.
    Deny(Denial),
}

impl Verdict {
    /// Whether it may be done (in shadow mode: although it would be refused).
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Self::Allow(_))
    }
    /// The refusal; in shadow mode, the one that would have been.
    pub const fn denial(&self) -> Option<&Denial> {
        match self {
            Self::Allow(allowed) => allowed.would_deny(),
            Self::Deny(denial) => Some(denial),
        }
    }
    /// The reasons of that refusal; empty when the contract allows it.
    pub fn reasons(&self) -> &[ReasonDetail] {
        self.denial().map_or(&[], |denial| &denial.reasons)
    }
}

/// What was allowed, by what, and what comes with it. Only `decide` makes one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Allowed {
    pub(crate) contract: ContractHash,
    pub(crate) basis: Basis,
    pub(crate) policies: Vec<String>,
    pub(crate) raises: Labels,
    pub(crate) steps: Vec<Name>,
    pub(crate) findings: Vec<Reason>,
    pub(crate) exception: Option<Excepted>,
}

/// What an allowed decision rests on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Basis {
    /// A grant, within every limit.
    Granted {
        /// The first grant (by id) that permits it.
        grant: GrantRef,
        /// What the action means to the business, from the grant.
        business_action: Arc<str>,
    },
    /// The contract's shadow mode: it would be refused for these reasons, all of which shadow mode waives.
    Shadow(Denial),
}

impl Allowed {
    /// The contract.
    pub const fn contract(&self) -> ContractHash {
        self.contract
    }
    /// What it rests on.
    pub const fn basis(&self) -> &Basis {
        &self.basis
    }
    /// The grant; `None` in shadow mode when it would be refused, and where an exception stands in for one.
    pub const fn grant(&self) -> Option<&GrantRef> {
        match &self.basis {
            Basis::Granted { grant, .. } if self.exception.is_none() => Some(grant),
            Basis::Granted { .. } | Basis::Shadow(_) => None,
        }
    }
    /// The exception, without which it would be refused.
    pub const fn exception(&self) -> Option<&Excepted> {
        self.exception.as_ref()
    }
    /// What the action means to the business; `None` when no grant says so.
    pub fn business_action(&self) -> Option<&str> {
        match &self.basis {
            Basis::Granted { business_action, .. } => Some(business_action),
            Basis::Shadow(_) => None,
        }
    }
    /// The refusal that shadow mode waived.
    pub const fn would_deny(&self) -> Option<&Denial> {
        match &self.basis {
            Basis::Granted { .. } => None,
            Basis::Shadow(denial) => Some(denial),
        }
    }
    /// The policies that determined it, by id, sorted: every satisfied permit.
    pub fn policies(&self) -> &[String] {
        &self.policies
    }
    /// What the task has seen once the call was made. Raised before the call is forwarded.
    pub const fn raises(&self) -> &Labels {
        &self.raises
    }
    /// The steps of the declared workflow that the call is.
    pub fn steps(&self) -> &[Name] {
        &self.steps
    }
    /// What is reported although it is allowed.
    pub fn findings(&self) -> &[Reason] {
        &self.findings
    }
}

/// A grant and its place in the contract.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct GrantRef {
    /// Its id.
    pub id: Name,
    /// Its line in the contract's text.
    pub line: u32,
}

/// A refusal with everything an operator wants to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Denial {
    /// The contract.
    pub contract: ContractHash,
    /// Every reason, in the order of the taxonomy. Never empty.
    pub reasons: Vec<ReasonDetail>,
    /// The policies that determined it, by id, sorted; empty when only a grant is missing.
    pub policies: Vec<String>,
    /// The grant that came closest, when no grant permits it.
    pub nearest: Option<Box<Nearest>>,
}

impl Denial {
    /// The first reason's code as the caller sees it.
    pub fn caller_code(&self) -> &'static str {
        self.first().caller_code()
    }
    /// The fixed sentence that the caller sees.
    pub fn caller_sentence(&self) -> &'static str {
        self.first().caller_sentence()
    }
    /// What the caller can do: nothing, if any reason leaves nothing; else ask, if any has to be asked for.
    pub fn remedy(&self) -> Remedy {
        self.reasons
            .iter()
            .map(|detail| detail.reason.remedy())
            .max()
            .unwrap_or(Remedy::None)
    }
    /// Whether `reason` is among the reasons.
    pub fn has(&self, reason: Reason) -> bool {
        self.reasons.iter().any(|detail| detail.reason == reason)
    }
    fn first(&self) -> Reason {
        self.reasons
            .first()
            .map_or(Reason::PolicyError, |detail| detail.reason)
    }
}

/// One reason with its limit, for operators.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ReasonDetail {
    /// The reason.
    pub reason: Reason,
    /// The grant it is about, if it is about one.
    pub grant: Option<Name>,
    /// The line of the contract that says so.
    pub line: u32,
    /// What would have been allowed.
    pub limit: String,
    /// What was asked for or found.
    pub actual: String,
    /// What would put it right.
    pub fix: String,
}

/// The grant that came closest to permitting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Nearest {
    /// The grant.
    pub grant: GrantRef,
    /// Its conditions that did not hold.
    pub failed: Vec<Atom>,
}

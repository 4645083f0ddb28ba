//! Why something is refused: one closed list with one stable code each.
//!
//! A code never changes its meaning and is never reused. The caller gets a code, a fixed sentence and the decision's
//! id; limits, values, grants and fixes are for operators. Two codes would tell a caller what exists beyond its
//! tenant, and become RESOURCE_UNAVAILABLE for it.

use std::fmt;

/// What a reason is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ReasonGroup {
    /// Who is asking.
    Identity,
    /// The agent's job description.
    Contract,
    /// Whose and which data.
    Data,
    /// On whose behalf, through whom.
    Chain,
    /// What has been done already.
    State,
    /// A human's decision.
    Approval,
    /// Ourselves, or the service called.
    System,
}

impl ReasonGroup {
    /// The spelling in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Contract => "contract",
            Self::Data => "tenant and data",
            Self::Chain => "chain",
            Self::State => "state",
            Self::Approval => "approval",
            Self::System => "system",
        }
    }
}

/// What the caller can do about a refusal (`next_action` of the AuthZEN access request profile).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Remedy {
    /// The same request may succeed later, or after a new attestation or exchange.
    Retry,
    /// Somebody has to be asked.
    Request,
    /// Nothing: the request itself is outside the job.
    None,
}

impl Remedy {
    /// The spelling on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Request => "request",
            Self::None => "none",
        }
    }
}

macro_rules! reasons {
    ($($group:ident { $($(#[$doc:meta])* $reason:ident = $code:literal, $remedy:ident, $sentence:literal;)* })*) => {
        /// Why something is refused. The order is the order in which reasons are reported.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Reason { $($($(#[$doc])* $reason),*),* }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$($(Self::$reason),*),*];

            /// The stable code, for operators and records.
            pub const fn code(self) -> &'static str {
                match self { $($(Self::$reason => $code),*),* }
            }
            /// What it is about.
            pub const fn group(self) -> ReasonGroup {
                match self { $($(Self::$reason => ReasonGroup::$group),*),* }
            }
            /// What the caller can do.
            pub const fn remedy(self) -> Remedy {
                match self { $($(Self::$reason => Remedy::$remedy),*),* }
            }
            const fn sentence(self) -> &'static str {
                match self { $($(Self::$reason => $sentence),*),* }
            }
        }
    };
}

reasons! {
    Identity {
        /// The assurance level is below the contract's minimum.
        AttestationRequired = "ATTESTATION_REQUIRED", Retry, "Stronger proof of identity is required.";
        /// The evidence is older than the contract allows.
        AttestationStale = "ATTESTATION_STALE", Retry, "The proof of identity is too old.";
        /// The agent, instance, token, family, user or another revoked dimension.
        IdentityRevoked = "IDENTITY_REVOKED", None, "The identity or credential was revoked.";
        /// The measured code is on the block list.
        WorkloadFingerprintBlocked = "WORKLOAD_FINGERPRINT_BLOCKED", None, "This program is blocked.";
        /// The proof by the bound key is missing or wrong.
        ProofOfPossessionFailed = "PROOF_OF_POSSESSION_FAILED", Retry, "The proof of possession is missing or wrong.";
        /// A proof or grant that is good for one use was used before.
        ReplayDetected = "REPLAY_DETECTED", Retry, "The proof was used before.";
        /// The credential is for another audience.
        AudienceMismatch = "AUDIENCE_MISMATCH", Retry, "The credential is meant for another service.";
        /// The credential has expired.
        TokenExpired = "TOKEN_EXPIRED", Retry, "The credential has expired.";
        /// What a caller showed for somebody else, another agent's token or a user's, is not good.
        SubjectRejected = "SUBJECT_REJECTED", Retry, "The subject token is not acceptable.";
        /// Nobody owns the agent any more.
        Ownerless = "OWNERLESS", Request, "The agent has no owner.";
    }
    Contract {
        /// The agent has no contract.
        NoContract = "NO_CONTRACT", Request, "The agent has no contract.";
        /// The contract or its agent is suspended.
        ContractSuspended = "CONTRACT_SUSPENDED", Request, "The agent's contract is suspended.";
        /// The contract has ended.
        ContractExpired = "CONTRACT_EXPIRED", Request, "The agent's contract has expired.";
        /// The contract was not reviewed in time.
        ReviewOverdue = "REVIEW_OVERDUE", Request, "The agent's contract is due for review.";
        /// No grant permits this action at this service.
        ActionNotGranted = "ACTION_NOT_GRANTED", Request, "The action is not granted.";
        /// A grant permits the action, but not with these arguments.
        ArgumentOutOfRange = "ARGUMENT_OUT_OF_RANGE", None, "An argument is outside what is granted.";
        /// The task's type or purpose is not one the contract names.
        OutsidePurpose = "OUTSIDE_PURPOSE", None, "The task is outside the agent's purpose.";
        /// The contract does not let this kind of party open tasks.
        OpenerNotAllowed = "OPENER_NOT_ALLOWED", None, "The task was opened by a party that may not open it.";
        /// Outside the hours and days of the contract.
        OutsideTimeWindow = "OUTSIDE_TIME_WINDOW", Retry, "The action is not allowed at this time.";
        /// The task has ended, or lasts longer than the contract allows.
        TaskExpired = "TASK_EXPIRED", Request, "The task has ended.";
        /// The credential was not issued for this action.
        TaskScope = "TASK_SCOPE", Retry, "The credential does not cover this action.";
        /// The task's template does not name the action.
        OutsideTask = "OUTSIDE_TASK", Request, "The action is not part of this task.";
        /// The grant, or the credential asked for, is for the agent process itself, not for a child of its run.
        ChildNotAllowed = "CHILD_NOT_ALLOWED", None, "Only the agent process itself may do this.";
        /// A rule that the contract writes in Cedar refuses it.
        CustomRule = "CUSTOM_RULE", Request, "A rule of the agent's contract refuses this.";
    }
    Data {
        /// The data belongs to a tenant that the task or contract does not reach.
        TenantBoundary = "TENANT_BOUNDARY", None, "The resource is not available.";
        /// There is no such resource.
        NotFound = "NOT_FOUND", None, "The resource is not available.";
        /// Data of a domain that the contract does not name.
        DataDomain = "DATA_DOMAIN", None, "This kind of data is not granted.";
        /// More sensitive data than the contract allows.
        SensitivityExceeded = "SENSITIVITY_EXCEEDED", None, "The data is too sensitive for this agent.";
        /// A field that the grant excludes.
        FieldDenied = "FIELD_DENIED", None, "A part of this data is not granted.";
        /// What was read may not be shown to this receiver.
        ReaderNotAllowed = "READER_NOT_ALLOWED", None, "The receiver may not see this data.";
        /// The sink is cleared for less than what was read.
        DataFlowWriteDown = "DATA_FLOW_WRITE_DOWN", None, "The data may not go to this destination.";
        /// Data of two tenants in one task.
        TenantMix = "TENANT_MIX", None, "Data of different tenants may not be combined.";
        /// A consequential action after reading untrusted content.
        TaintedSink = "TAINTED_SINK", Request, "The action needs approval after reading untrusted content.";
        /// Two things that may not be done in one task.
        ToxicCombination = "TOXIC_COMBINATION", Request, "These actions may not be combined in one task.";
    }
    Chain {
        /// More parties than the contract allows.
        ChainTooDeep = "CHAIN_TOO_DEEP", None, "Too many parties act in this request.";
        /// The contract does not let the agent delegate.
        DelegationNotAllowed = "DELEGATION_NOT_ALLOWED", None, "The agent may not delegate this.";
        /// More was asked for than the parent has.
        ScopeWidened = "SCOPE_WIDENED", None, "The request asks for more than its parent has.";
        /// The user at the beginning of the chain may not do this.
        UserNotEntitled = "USER_NOT_ENTITLED", None, "The user may not do this.";
        /// The contract requires a user and there is none.
        MissingUser = "MISSING_USER", Request, "A user has to be present.";
        /// The same party twice in a chain.
        Loop = "LOOP", None, "A party acts twice in this request.";
        /// Another party of the chain is not allowed to do this.
        ChainLinkDenied = "CHAIN_LINK_DENIED", None, "A party of the chain is not allowed to do this.";
    }
    State {
        /// More calls than the contract allows within a length of time.
        RateLimited = "RATE_LIMITED", Retry, "Too many requests.";
        /// A budget is used up.
        BudgetExhausted = "BUDGET_EXHAUSTED", Request, "The budget is used up.";
        /// The task has taken its last step.
        StepLimit = "STEP_LIMIT", Request, "The task has used all its steps.";
        /// The declared workflow has no such step here.
        OffWorkflow = "OFF_WORKFLOW", Request, "The step is not part of the declared workflow.";
        /// Another gateway keeps the counts and labels of the task, the process or the agent.
        CountedElsewhere = "COUNTED_ELSEWHERE", Retry, "Another gateway counts these calls.";
        /// Held because something unusual was seen.
        AnomalyHold = "ANOMALY_HOLD", Request, "The agent is held until somebody has looked at it.";
    }
    Approval {
        /// A human has to approve first.
        NeedsApproval = "NEEDS_APPROVAL", Request, "The action needs approval.";
        /// The approval was given too long ago.
        ApprovalExpired = "APPROVAL_EXPIRED", Request, "The approval has expired.";
        /// The approval was given for another request.
        ApprovalOutOfScope = "APPROVAL_OUT_OF_SCOPE", Request, "The approval does not cover this request.";
        /// The approval was used before.
        ApprovalUsed = "APPROVAL_USED", Request, "The approval was used before.";
        /// The person who approved may not approve this.
        ApproverIneligible = "APPROVER_INELIGIBLE", Request, "The approver may not approve this.";
        /// A human said no.
        ApprovalDenied = "APPROVAL_DENIED", None, "The approval was denied.";
    }
    System {
        /// The policy could not be evaluated; refused to be safe.
        PolicyError = "POLICY_ERROR", None, "The request could not be decided.";
        /// A counter or another state is unknown; refused to be safe.
        StateUnavailable = "STATE_UNAVAILABLE", Retry, "The request cannot be decided at the moment.";
        /// The org's decision point gave no answer on what the user may do; refused to be safe.
        RightsUnavailable = "RIGHTS_UNAVAILABLE", Retry, "What the user may do cannot be found out at the moment.";
        /// Somebody stopped everything.
        KillSwitch = "KILL_SWITCH", None, "The agent was stopped.";
        /// The service's own policy refuses it.
        ServicePolicy = "SERVICE_POLICY", None, "The service refuses the request.";
    }
}

/// The code that hides whether a resource is missing or somebody else's.
const RESOURCE_UNAVAILABLE: &str = "RESOURCE_UNAVAILABLE";

impl Reason {
    /// The code that the caller sees: it does not tell a resource of another tenant from one that does not exist.
    pub const fn caller_code(self) -> &'static str {
        match self {
            Self::TenantBoundary | Self::NotFound => RESOURCE_UNAVAILABLE,
            other => other.code(),
        }
    }
    /// The fixed sentence that the caller sees. It holds no name, number or limit.
    pub const fn caller_sentence(self) -> &'static str {
        self.sentence()
    }
    /// Whether a human may be able to let pass what is refused for this reason, where the contract names who: only a
    /// decision made again with the approval tells. What is refused for any other reason stays refused whatever
    /// anybody approved.
    pub const fn is_approvable(self) -> bool {
        matches!(
            self,
            Self::NeedsApproval
                | Self::TaintedSink
                // The trifecta; two actions that may not meet in one task stay apart.
                | Self::ToxicCombination
                | Self::OffWorkflow
                // As far as the other party's own reasons are.
                | Self::ChainLinkDenied
        )
    }
    /// Whether a contract in shadow mode only reports this reason. Never waived: who is asking (a child process included), other tenants' data,
    /// flow rules, the end of a task or contract, what a credential covers, the chain, a human's decision, and our own
    /// failures.
    pub const fn is_waivable(self) -> bool {
        matches!(
            self,
            Self::ActionNotGranted
                | Self::ArgumentOutOfRange
                | Self::OutsidePurpose
                | Self::OutsideTimeWindow
                | Self::OutsideTask
                | Self::DataDomain
                | Self::FieldDenied
                | Self::SensitivityExceeded
                | Self::RateLimited
                | Self::BudgetExhausted
                | Self::StepLimit
                | Self::OffWorkflow
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const DOCUMENT: &str = include_str!("../../../docs/reference/reasons.md");

    #[test]
    fn codes_are_unique_and_follow_from_the_variant() {
        let codes: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            let squeezed = reason.code().replace('_', "").to_lowercase();
            assert_eq!(format!("{reason:?}").to_lowercase(), squeezed);
        }
    }

    #[test]
    fn the_reference_page_says_of_every_code_what_the_code_does() {
        for reason in Reason::ALL {
            let start = format!(
                "| `{}` | {} | `{}` | {} | {} |",
                reason.code(),
                reason.caller_sentence(),
                reason.caller_code(),
                reason.remedy().as_str(),
                if reason.is_waivable() { "yes" } else { "no" }
            );
            assert!(
                DOCUMENT.lines().any(|line| line.starts_with(&start)),
                "docs/reference/reasons.md lacks: {start}"
            );
        }
        let rows = DOCUMENT.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(
            rows,
            Reason::ALL.len(),
            "docs/reference/reasons.md names a code that does not exist"
        );
    }

    #[test]
    fn a_caller_cannot_tell_another_tenants_resource_from_a_missing_one() {
        assert_eq!(
            Reason::TenantBoundary.caller_code(),
            Reason::NotFound.caller_code()
        );
        assert_eq!(
            Reason::TenantBoundary.caller_sentence(),
            Reason::NotFound.caller_sentence()
        );
        assert_eq!(Reason::TenantBoundary.remedy(), Reason::NotFound.remedy());
    }

    #[test]
    fn shadow_mode_never_waives_identity_tenants_chain_or_failures() {
        for reason in Reason::ALL {
            let never = matches!(
                reason.group(),
                ReasonGroup::Identity | ReasonGroup::Chain | ReasonGroup::System
            );
            assert!(!(never && reason.is_waivable()), "{reason}");
        }
        assert!(!Reason::TenantBoundary.is_waivable() && !Reason::TenantMix.is_waivable());
    }
}

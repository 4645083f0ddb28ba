//! Answers: a decision with its id, and for a refusal its reasons as the service may know them.

use broker::enforce::Evaluated;
use broker::{Cause, Refusal};
use identity::UnixTime;
use policy::{Reason, Remedy};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// One decision.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Decided {
    pub(super) decision: bool,
    pub(super) context: Map<String, Value>,
}

/// What a service is told with a refusal, besides its reasons.
#[derive(Debug, Clone, Default)]
pub(super) struct Advice {
    /// Where people can be asked, and until when.
    pub(super) requestable: Option<(String, UnixTime)>,
    /// It was asked with an approval.
    pub(super) named: bool,
    /// The decision would have rested on an obligation of these kinds, and the service did not say that it carries them out.
    pub(super) lacks: Option<&'static str>,
}

impl Decided {
    /// It may be done; `obligations` have to be carried out.
    pub(super) fn permitted(evaluated: &Evaluated, obligations: Vec<Value>) -> Self {
        let mut context = Map::new();
        context.insert("evaluation_id".into(), evaluated.decision().to_string().into());
        if let Some(approved) = evaluated.approved() {
            let until = approved.good_until().rfc3339();
            let approval = json!({"id": approved.id(), "approved_until": until});
            context.insert("approval".into(), approval);
        }
        if !obligations.is_empty() {
            context.insert("obligations".into(), obligations.into());
        }
        Self {
            decision: true,
            context,
        }
    }

    /// It may not.
    pub(super) fn refused(refusal: &Refusal, advice: Advice) -> Self {
        let told = reasons(refusal);
        let mut context = Map::new();
        context.insert("evaluation_id".into(), refusal.decision().to_string().into());
        let list = told.iter().map(|reason| {
            json!({
                "code": reason.caller_code(),
                "message": reason.caller_sentence(),
                "next_action": reason.remedy().as_str(),
            })
        });
        context.insert("reasons".into(), list.collect());
        let is_requestable = advice.requestable.is_some();
        if let Some((endpoint, until)) = advice.requestable {
            context.insert("reason".into(), "approval_required".into());
            let request = json!({"endpoint": endpoint, "expires_at": until.rfc3339()});
            context.insert("access_request".into(), request);
        }
        if advice.named {
            let (reason, next) = again(&told, is_requestable);
            context.insert("reason".into(), reason.into());
            context.insert("next_action".into(), next.into());
        }
        if let Some(kind) = advice.lacks {
            context.insert("required_obligations".into(), vec![kind].into());
        }
        Self {
            decision: false,
            context,
        }
    }

    /// No decision was made, for something that the service has to put right. Not recorded: nobody was judged.
    pub(super) fn not_a_question(why: super::question::NotAQuestion) -> Self {
        let reason =
            json!({"code": why.code(), "message": why.to_string(), "next_action": Remedy::None.as_str()});
        let mut context = Map::new();
        context.insert("reasons".into(), vec![reason].into());
        Self {
            decision: false,
            context,
        }
    }
}

/// The reasons that the service may know: each once, and nothing beside one that hides whether there is such a thing.
fn reasons(refusal: &Refusal) -> Vec<Reason> {
    let all: Vec<Reason> = match refusal.cause() {
        Cause::Denied(denial) => denial.reasons.iter().map(|detail| detail.reason).collect(),
        Cause::Subject(reason) | Cause::Target(reason) | Cause::Details { reason, .. } => vec![*reason],
        Cause::NoIdentity(_) | Cause::Invalid { .. } | Cause::NotPermitted { .. } | Cause::NotVerified => {
            vec![Reason::PolicyError]
        }
    };
    let hides = all.iter().find(|reason| reason.caller_code() != reason.code());
    if let Some(hidden) = hides {
        return vec![*hidden];
    }
    let mut told: Vec<Reason> = Vec::new();
    for reason in all {
        if !told.contains(&reason) {
            told.push(reason);
        }
    }
    told
}

/// What became of the approval that it was asked with, and what to do (re-evaluation denial reasons).
fn again(told: &[Reason], is_requestable: bool) -> (&'static str, &'static str) {
    match told {
        // It waits for people still, or takes more of them: whoever requests it gets the handle of what waits.
        _ if is_requestable => ("approval_required", "request"),
        [Reason::ApprovalExpired | Reason::ApprovalUsed] => ("approval_expired", "none"),
        [Reason::ApprovalOutOfScope] => ("out_of_scope", "none"),
        [Reason::ApproverIneligible] => ("approval_unverifiable", "none"),
        _ => ("policy_denied", "none"),
    }
}

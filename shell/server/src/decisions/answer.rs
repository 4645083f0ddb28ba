//! Answers: a decision with its id, and for a refusal its reasons as the service may know them.

use broker::{Cause, Refusal};
use identity::DecisionId;
use policy::{Reason, Remedy};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// One decision.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Decided {
    pub(super) decision: bool,
    pub(super) context: Map<String, Value>,
}

impl Decided {
    /// It may be done; `obligations` have to be carried out.
    pub(super) fn permitted(id: DecisionId, obligations: Vec<Value>) -> Self {
        let mut context = Map::new();
        context.insert("evaluation_id".into(), id.to_string().into());
        if !obligations.is_empty() {
            context.insert("obligations".into(), obligations.into());
        }
        Self {
            decision: true,
            context,
        }
    }

    /// It may not.
    pub(super) fn refused(refusal: &Refusal) -> Self {
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
        if let Some(request) = access_request(refusal) {
            context.insert("reason".into(), "approval_required".into());
            context.insert("access_request".into(), request);
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

/// Where a human can be asked, if nothing else stands in the way (Access Request and Approval Profile). Filled in where
/// approvals are kept; until then a refusal for want of one is a plain refusal.
const fn access_request(_: &Refusal) -> Option<Value> {
    None
}

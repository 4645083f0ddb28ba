//! One invented request, owned, so that single facts of it can be replaced.

use crate::contract::{Opener, Terms, TrustedFrom};
use crate::counter::CounterId;
use crate::facts::{
    ArgValue, Caller, Facts, Link, ResourceFacts, Stage, TaskFacts, UserFacts, WorkflowFacts,
};
use crate::flow::{DataLabels, FlowFacts, Labels, Sink};
use identity::{AgentId, Assurance, Audience, Name, OrgId, TaskId, UnixTime};
use std::collections::{BTreeMap, BTreeSet};

/// Whether a credential is asked for, a list entry, or a call is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum At {
    Exchange,
    List,
    Call,
}

/// The value of an argument.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Argument {
    Int(i64),
    Text(String),
    Bool(bool),
    Texts(Vec<String>),
}

/// The facts of one request.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) action: Name,
    pub(super) audience: Audience,
    pub(super) at: At,
    pub(super) caller: Caller,
    pub(super) arguments: BTreeMap<String, Argument>,
    pub(super) assurance: Assurance,
    pub(super) evidence_age: u64,
    pub(super) now: UnixTime,
    pub(super) kind: Name,
    pub(super) opener: Opener,
    pub(super) task_age: u64,
    pub(super) ended: bool,
    pub(super) purpose: Option<Name>,
    pub(super) task_tenant: Option<Name>,
    pub(super) tenant: Option<Name>,
    pub(super) counters: BTreeMap<CounterId, i64>,
    pub(super) depth: u8,
    pub(super) next: Option<Name>,
    pub(super) loops: bool,
    /// The user's groups; `None` without a user.
    pub(super) user: Option<Vec<Name>>,
    pub(super) entitled: bool,
    pub(super) labels: Option<Labels>,
    pub(super) data: Option<DataLabels>,
    pub(super) sink: Option<Sink>,
    /// Where the destination was named. Whether that makes it trusted is the contract's word.
    pub(super) named: BTreeSet<TrustedFrom>,
    pub(super) last: Option<Name>,
    pub(super) done: BTreeMap<Name, i64>,
    pub(super) steps: Option<i64>,
    pub(super) approvals: BTreeSet<Name>,
    /// What the presented credential covers.
    pub(super) scope: Option<Vec<Name>>,
    pub(super) review_age: u64,
}

impl Scene {
    /// The facts as the contract with these `terms` would be given them.
    pub(super) fn with<T>(&self, terms: &Terms, use_it: impl FnOnce(&Facts<'_>) -> T) -> T {
        let lists: BTreeMap<&str, Vec<ArgValue<'_>>> = self
            .arguments
            .iter()
            .filter_map(|(name, value)| match value {
                Argument::Texts(texts) => Some((
                    name.as_str(),
                    texts.iter().map(|text| ArgValue::Str(text)).collect(),
                )),
                _ => None,
            })
            .collect();
        let arguments: Vec<(&str, ArgValue<'_>)> = self
            .arguments
            .iter()
            .map(|(name, value)| {
                let value = match value {
                    Argument::Int(number) => ArgValue::Int(*number),
                    Argument::Text(text) => ArgValue::Str(text),
                    Argument::Bool(truth) => ArgValue::Bool(*truth),
                    Argument::Texts(_) => ArgValue::List(lists.get(name.as_str()).map_or(&[], Vec::as_slice)),
                };
                (name.as_str(), value)
            })
            .collect();
        let counters: Vec<(CounterId, i64)> = self
            .counters
            .iter()
            .map(|(id, count)| (id.clone(), *count))
            .collect();
        let done: Vec<(Name, i64)> = self
            .done
            .iter()
            .map(|(step, times)| (step.clone(), *times))
            .collect();
        let approvals: Vec<Name> = self.approvals.iter().cloned().collect();
        let opened_at = self.now.minus_secs(self.task_age);
        let task = TaskFacts {
            id: TaskId::from_u128(0),
            kind: &self.kind,
            opener: self.opener,
            tenant: self.task_tenant.as_ref(),
            purpose: self.purpose.as_ref(),
            opened_at,
            expires_at: if self.ended {
                self.now
            } else {
                self.now.plus_secs(60)
            },
        };
        let looks = |from: &TrustedFrom| {
            terms
                .flow
                .as_ref()
                .is_none_or(|flow| flow.trusted_destinations.contains(from))
        };
        let trusted = self.named.iter().any(looks);
        let (org, agent) = (OrgId::from_u128(0), AgentId::from_u128(0));
        use_it(&Facts {
            assurance: self.assurance,
            evidence_age_secs: self.evidence_age,
            resource: ResourceFacts {
                kind: None,
                id: None,
                tenant: self.tenant.as_ref(),
            },
            stage: match self.at {
                At::Exchange => Stage::Exchange,
                At::List => Stage::List,
                At::Call => Stage::Call {
                    arguments: &arguments,
                },
            },
            caller: self.caller,
            counters: &counters,
            link: Link {
                position: self.depth,
                depth: self.depth,
            },
            next: self.next.as_ref(),
            loops: self.loops,
            user: self.user.as_ref().map(|groups| UserFacts {
                id: "somebody",
                groups,
                entitled: self.entitled,
                outside: None,
            }),
            flow: FlowFacts {
                labels: self.labels.as_ref(),
                data: self.data.as_ref(),
                sink: self.sink.as_ref(),
                trusted,
            },
            workflow: WorkflowFacts {
                last: self.last.as_ref(),
                done: &done,
                steps: self.steps,
            },
            approvals: &approvals,
            task_scope: self.scope.as_deref(),
            reviewed_at: self.now.minus_secs(self.review_age),
            ..Facts::least(org, agent, task, &self.action, &self.audience)
        })
    }
}

//! The call that decisions are measured on: one that the bench's contract permits.

use crate::fault::{Fault, fault};
use crate::part::exchange_load::now;
use identity::{AgentId, Assurance, Audience, Name, OrgId, TaskId, UnixTime};
use policy::contract::Opener;
use policy::{
    Caller, Compiled, Contract, CounterId, Facts, FlowFacts, Labels, Link, ResourceFacts, Stage, TaskFacts,
    WorkflowFacts,
};

/// Nothing was seen.
static NO_LABELS: Labels = Labels::NONE;

/// Who calls what, in which task.
pub(super) struct Asked {
    pub(super) org: OrgId,
    pub(super) agent: AgentId,
    pub(super) task: TaskId,
    pub(super) kind: Name,
    pub(super) tenant: Name,
    pub(super) audience: Audience,
    pub(super) at: UnixTime,
    /// The one action of the task's scope.
    pub(super) scope: [Name; 1],
}

impl Asked {
    pub(super) fn new() -> Result<Self, Fault> {
        Ok(Self {
            org: OrgId::from_u128(1),
            agent: AgentId::from_u128(2),
            task: TaskId::from_u128(3),
            kind: "reconciliation".parse()?,
            tenant: "acme-eu".parse()?,
            audience: "invoices".parse()?,
            at: now(),
            scope: ["invoices.read".parse()?],
        })
    }

    pub(super) const fn action(&self) -> &Name {
        let [action] = &self.scope;
        action
    }

    /// Its facts, nothing seen before and no step taken.
    pub(super) fn facts<'a>(&'a self, counters: &'a [(CounterId, i64)]) -> Facts<'a> {
        let task = TaskFacts {
            id: self.task,
            kind: &self.kind,
            opener: Opener::Operator,
            tenant: Some(&self.tenant),
            purpose: Some(&self.kind),
            opened_at: self.at.minus_secs(60),
            expires_at: self.at.plus_secs(600),
        };
        Facts {
            assurance: Assurance {
                node: 1,
                launch: 1,
                code: 0,
                signer: 0,
            },
            evidence_age_secs: 30,
            resource: ResourceFacts {
                kind: Some("invoice"),
                id: Some("4711"),
                tenant: Some(&self.tenant),
            },
            stage: Stage::Call { arguments: &[] },
            caller: Caller::Agent,
            counters,
            link: Link::ALONE,
            loops: false,
            flow: FlowFacts {
                labels: Some(&NO_LABELS),
                ..FlowFacts::default()
            },
            workflow: WorkflowFacts {
                steps: Some(3),
                ..WorkflowFacts::default()
            },
            task_scope: Some(&self.scope),
            reviewed_at: self.at.minus_secs(3600),
            ..Facts::least(self.org, self.agent, task, self.action(), &self.audience)
        }
    }
}

/// The contract that `text` is.
pub(super) fn compiled(text: &str) -> Result<Compiled, Fault> {
    let errors = |errors: Vec<policy::ContractError>| fault(format!("{errors:?}"));
    let contract = Contract::parse("bench.yaml", text.as_bytes()).map_err(errors)?;
    Compiled::new(contract).map_err(errors)
}

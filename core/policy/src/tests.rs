//! The judgement: one test per reason that a contract can give, properties, and the committed decision matrix.

mod corpus;
mod matrix;
mod properties;
mod reasons;
mod state;

use crate::contract::Opener;
use crate::{
    ArgValue, Caller, Compiled, Contract, CounterId, Facts, FlowFacts, Labels, Link, ResourceFacts, Stage,
    TaskFacts, UserFacts, WorkflowFacts,
};
use identity::{AgentId, Assurance, Audience, Name, OrgId, TaskId, UnixTime};

pub(crate) const BILLING: &str = include_str!("../testdata/billing.yaml");
pub(crate) const REPORTER: &str = include_str!("../testdata/reporter.yaml");

/// 2026-11-23 10:00 UTC, a Monday.
pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_795_428_000);

pub(crate) const ISOLATED: Assurance = Assurance {
    node: 1,
    launch: 3,
    code: 2,
    signer: 1,
};
pub(crate) const UID: Assurance = Assurance {
    node: 1,
    launch: 1,
    code: 1,
    signer: 0,
};

pub(crate) const MINUTE: CounterId = CounterId::calls(crate::contract::RateScope::Agent, 60);
/// Nothing counted yet.
pub(crate) const NONE_YET: &[(CounterId, i64)] = &[(MINUTE, 0)];
/// Nothing read yet.
pub(crate) const CLEAN: FlowFacts<'static> = FlowFacts {
    labels: Some(&Labels::NONE),
    data: None,
    sink: None,
    trusted: false,
};

pub(crate) fn compiled(text: &str) -> Compiled {
    Compiled::new(Contract::parse("c.yaml", text.as_bytes()).unwrap()).unwrap()
}

/// Names that live as long as the test, so that facts can borrow them.
pub(crate) struct Words {
    pub(crate) action: Name,
    pub(crate) audience: Audience,
    pub(crate) tenant: Name,
    pub(crate) other_tenant: Name,
    pub(crate) task_type: Name,
    pub(crate) purpose: Name,
    pub(crate) other: Name,
    pub(crate) scope: Vec<Name>,
    pub(crate) groups: Vec<Name>,
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

impl Words {
    pub(crate) fn billing() -> Self {
        Self {
            action: name("invoices.read"),
            audience: "invoices".parse().unwrap(),
            tenant: name("acme-eu"),
            other_tenant: name("globex"),
            task_type: name("reconciliation"),
            purpose: name("reconciliation"),
            other: name("something-else"),
            scope: vec![name("invoices.read"), name("invoices.list")],
            groups: vec![name("office")],
        }
    }

    pub(crate) fn reporter() -> Self {
        Self {
            action: name("payroll.totals"),
            audience: "payroll".parse().unwrap(),
            task_type: name("monthly-report"),
            purpose: name("monthly-report"),
            scope: vec![name("payroll.totals"), name("invoices.list")],
            ..Self::billing()
        }
    }

    /// A call that the billing contract allows.
    pub(crate) fn call<'a>(&'a self, arguments: &'a [(&'a str, ArgValue<'a>)]) -> Facts<'a> {
        let task = TaskFacts {
            id: TaskId::from_u128(3),
            kind: &self.task_type,
            opener: Opener::User,
            tenant: Some(&self.tenant),
            purpose: Some(&self.purpose),
            opened_at: NOW.minus_secs(60),
            expires_at: NOW.plus_secs(600),
        };
        Facts {
            assurance: ISOLATED,
            evidence_age_secs: 30,
            resource: ResourceFacts {
                kind: Some("invoice"),
                id: Some("7"),
                tenant: Some(&self.tenant),
            },
            stage: Stage::Call { arguments },
            caller: Caller::Agent,
            counters: NONE_YET,
            link: Link {
                position: 2,
                depth: 2,
            },
            loops: false,
            user: Some(UserFacts {
                id: "user",
                groups: &self.groups,
                entitled: true,
                outside: None,
            }),
            flow: CLEAN,
            workflow: WorkflowFacts {
                steps: Some(0),
                ..WorkflowFacts::default()
            },
            task_scope: Some(&self.scope),
            reviewed_at: NOW.minus_secs(3600),
            ..Facts::least(
                OrgId::from_u128(1),
                AgentId::from_u128(2),
                task,
                &self.action,
                &self.audience,
            )
        }
    }
}

//! Runs: an identified launch becomes an instance with a task; and what ends with it.

use crate::draw::Draw;
use crate::identify::{Identified, WhyNot};
use crate::plan::{Outcome, Plan};
use crate::refusal::{Cause, Refusal};
use crate::task::who;
use crate::world::{Agent, Change, Instance, NodeRecord, Task, World};
use audit::EventKind;
use audit::event::{Decision, Minted, Ruling, Who, Why};
use identity::{DecisionId, InstanceId, NodeId, OrgId, OrgScope, RunId};

/// A run was opened.
#[derive(Debug, Clone, Copy)]
pub struct OpenedRun {
    run: RunId,
}

impl OpenedRun {
    /// Unstamped: apply [`identity::Id::at`] with the revision of its record.
    pub const fn run(&self) -> RunId {
        self.run
    }
    /// Its first instance: the same 128 bits as another kind of id.
    pub const fn instance(&self) -> InstanceId {
        InstanceId::from_u128(self.run.as_u128())
    }
}

/// Opens a run for an identified launch, under a task that is open.
pub fn open(world: &World, identified: Identified, task: &Task, draw: &mut Draw<'_>) -> Outcome<OpenedRun> {
    let Identified {
        agent,
        node,
        assurance,
        evidence,
        attested_at,
        key,
        pinned,
        running: _,
    } = identified;
    if !world.is_task_open(OrgScope::Only(agent.org), task.id, draw.now()) || task.agent != agent.id {
        return Outcome::Refused(no_task(world, &agent, node, draw));
    }
    let run: RunId = draw.minted();
    let opened = OpenedRun { run };
    let mut event = draw.event(EventKind::RunOpened, world.revision());
    event.org = Some(agent.org);
    event.minted = Some(Minted::Run(run));
    event.who = Some(Who {
        run: Some(run),
        instance: Some(opened.instance()),
        node: Some(node),
        assurance: Some(assurance.into()),
        evidence: Some(evidence),
        ..who(&agent)
    });
    event.why = Some(Why {
        task: Some(task.id),
        task_type: Some(task.kind.to_string()),
        tenant_actor: task.tenant.as_ref().map(ToString::to_string),
        contract: Some(agent.contract),
        ..Why::default()
    });
    event.detail.insert("pinned".into(), pinned.into());
    let instance = Instance {
        id: opened.instance(),
        run,
        org: agent.org,
        agent: agent.id,
        node,
        task: task.id,
        key,
        assurance,
        evidence,
        attested_at,
        pinned,
    };
    Outcome::Granted(Plan::new(world.revision(), event, opened).changing(Change::InstanceOpened(instance)))
}

/// Refuses a run under a task that is over, another agent's or org's, or was never there: all read the same.
pub fn no_task(world: &World, agent: &Agent, node: NodeId, draw: &mut Draw<'_>) -> Plan<Refusal> {
    let message = "the task is over or another agent's: open a new one".to_owned();
    let refusal = Refusal::new(
        draw.id(),
        Cause::Invalid {
            code: "TASK_NOT_OPEN",
            message,
        },
    );
    let mut event = draw.event(EventKind::RunRefused, world.revision());
    event.org = Some(agent.org);
    event.who = Some(Who {
        node: Some(node),
        ..who(agent)
    });
    let mut decision = Decision::new(refusal.decision(), Ruling::Deny);
    decision.reasons = refusal.codes();
    event.decision = Some(decision);
    Plan::new(world.revision(), event, refusal)
}

/// Ends a run: its instance is nobody any more, its task closes with it unless it is kept for other runs.
pub fn close(world: &World, instance: &Instance, exit: &str, draw: &mut Draw<'_>) -> Plan<()> {
    let mut event = draw.event(EventKind::RunClosed, world.revision());
    event.org = Some(instance.org);
    event.who = Some(Who {
        agent: Some(instance.agent),
        run: Some(instance.run),
        instance: Some(instance.id),
        node: Some(instance.node),
        ..Who::default()
    });
    event.why = Some(Why {
        task: Some(instance.task),
        ..Why::default()
    });
    event.detail.insert("exit".into(), exit.into());
    Plan::new(world.revision(), event, ())
        .changing(Change::InstanceClosed {
            instance: instance.id,
            org: instance.org,
        })
        .changing(Change::TaskClosed {
            task: instance.task,
            org: instance.org,
        })
}

/// Records that a process got no identity, and why; the answer carries the decision id.
pub fn refuse(
    world: &World,
    org: Option<OrgId>,
    node: NodeId,
    why: WhyNot,
    draw: &mut Draw<'_>,
) -> Plan<Refusal> {
    let mut event = draw.event(EventKind::IdentityRefused, world.revision());
    event.org = org;
    event.who = Some(Who {
        node: Some(node),
        ..Who::default()
    });
    let mut detail = |name: &str, value: &str| event.detail.insert(name.to_owned(), value.into());
    detail("seen", &why.seen);
    detail("wanted", &why.wanted);
    detail("fix", &why.fix);
    let mut decision = Decision::new(draw.id(), Ruling::Deny);
    decision.reasons = vec![why.rule.code().to_owned()];
    decision.nearest.clone_from(&why.nearest);
    let refusal = Refusal::new(decision.id, Cause::NoIdentity(Box::new(why)));
    event.decision = Some(decision);
    Plan::new(world.revision(), event, refusal)
}

/// Longest [`LocalRefusal::seen`], in bytes: a command line that is worth reading.
pub const SEEN_BYTES_MAX: usize = 4096;

/// Something that a node agent refused by itself. It drew the id and has answered with it already.
#[derive(Debug, Clone)]
pub struct LocalRefusal {
    /// Drawn by the node agent.
    pub decision: DecisionId,
    /// Stable code.
    pub code: String,
    /// Who asked, by the kernel.
    pub uid: u32,
    /// Its pid then.
    pub pid: i32,
    /// The agent that was asked for, if any.
    pub agent: String,
    /// What was seen and what was wanted, for operators.
    pub seen: String,
}

/// Records what a node agent refused by itself.
pub fn refused_locally(
    world: &World,
    node: &NodeRecord,
    refusal: &LocalRefusal,
    draw: &mut Draw<'_>,
) -> Plan<()> {
    let mut event = draw.event(EventKind::IdentityRefused, world.revision());
    event.org = node.org;
    event.who = Some(Who {
        node: Some(node.id),
        ..Who::default()
    });
    event.detail.insert("uid".to_owned(), refusal.uid.into());
    event.detail.insert("pid".to_owned(), refusal.pid.into());
    event
        .detail
        .insert("seen".to_owned(), refusal.seen.as_str().into());
    if !refusal.agent.is_empty() {
        event
            .detail
            .insert("agent".to_owned(), refusal.agent.as_str().into());
    }
    let mut decision = Decision::new(refusal.decision, Ruling::Deny);
    decision.reasons = vec![refusal.code.clone()];
    event.decision = Some(decision);
    Plan::new(world.revision(), event, ())
}

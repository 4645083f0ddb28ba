//! Tasks: who may open one, for which agent, how long it lasts.
//!
//! The id is minted here, never chosen by a caller: a history cannot be had clean by naming a new one. Task type,
//! tenant and lifetime come from the opener's request and stay inside the contract.

use crate::admin::Administrator;
use crate::draw::Draw;
use crate::plan::{Outcome, Plan};
use crate::refusal::{Cause, Refusal};
use crate::world::{Agent, Change, Instance, Opener, OpenerKind, Role, TASK_DEPTH_MAX, Task, World};
use audit::EventKind;
use audit::event::{Decision, Human, Minted, Ruling, Who, Why};
use identity::{Name, OrgScope, Revision, TaskId, UnixTime};
use policy::contract::{Opener as MayOpen, TenantMode, Terms};
use std::collections::BTreeSet;

/// What an opener asks for. What is left out is taken from the contract where it leaves no choice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskRequest {
    /// One of the contract's task types; its first, if left out.
    pub kind: Option<Name>,
    /// Whose data; needed when the contract allows several tenants.
    pub tenant: Option<Name>,
    /// Lifetime in seconds; the contract's maximum, if left out.
    pub ttl_secs: Option<u64>,
    /// Destinations that the task may write to after untrusted content was read. An agent alone names none.
    pub trusted: BTreeSet<String>,
}

/// Most destinations that one opener names.
pub const TRUSTED_MAX: usize = 1000;

/// A task was opened. Its id is stamped with the revision of its record.
#[derive(Debug, Clone, Copy)]
pub struct OpenedTask {
    task: TaskId,
}

impl OpenedTask {
    /// Unstamped: apply [`identity::Id::at`] with the revision of its record.
    pub const fn task(&self) -> TaskId {
        self.task
    }
}

/// Opens a task for `agent` on behalf of `opener`.
pub fn open(
    world: &World,
    agent: &Agent,
    terms: &Terms,
    opener: Opener,
    request: &TaskRequest,
    draw: &mut Draw<'_>,
) -> Outcome<OpenedTask> {
    let by = By {
        opener,
        human: None,
        parent: None,
    };
    open_as(world, agent, terms, by, request, draw)
}

/// Opens a task for `agent` as a part of the one that `instance` works on: its opener, tenant, trusted destinations,
/// counts and labels are the parent's, and it ends with it. That the contract of the instance's agent names `agent`
/// under `may_launch` is judged where the launch is.
pub fn open_child(
    world: &World,
    agent: &Agent,
    terms: &Terms,
    instance: &Instance,
    request: &TaskRequest,
    draw: &mut Draw<'_>,
) -> Outcome<OpenedTask> {
    let scope = OrgScope::Only(agent.org);
    let line = world.task_line(scope, instance.task).unwrap_or_default();
    let Some(parent) = line
        .first()
        .filter(|_| line.iter().all(|task| task.is_open(draw.now())))
    else {
        let message = "the task of whoever launches is over: nothing is a part of it any more".to_owned();
        return refuse(world, agent, "TASK_PARENT", message, draw);
    };
    if line.len() >= TASK_DEPTH_MAX {
        let message = format!("a task has at most {} above it", TASK_DEPTH_MAX - 1);
        return refuse(world, agent, "TASK_DEPTH", message, draw);
    }
    if request.tenant.is_some() && request.tenant != parent.tenant {
        let message = "a child task is for its parent's tenant: leave the tenant out".to_owned();
        return refuse(world, agent, "TASK_TENANT", message, draw);
    }
    let inherited = TaskRequest {
        // A contract that knows no tenants touches no tenant's data, whatever the parent does.
        tenant: parent.tenant.clone().filter(|_| terms.tenants.is_some()),
        trusted: parent.trusted.clone(),
        ..request.clone()
    };
    let through = world
        .agent(scope, instance.agent)
        .map_or_else(String::new, |agent| agent.name.to_string());
    let opener = Opener {
        kind: parent.opener.kind,
        name: format!("{} through {through}", parent.opener.name),
    };
    let by = By {
        opener,
        human: None,
        parent: Some(parent),
    };
    open_as(world, agent, terms, by, &inherited, draw)
}

/// By whom a task is opened.
struct By<'a> {
    opener: Opener,
    human: Option<Human>,
    parent: Option<&'a Task>,
}

fn open_as(
    world: &World,
    agent: &Agent,
    terms: &Terms,
    by: By<'_>,
    request: &TaskRequest,
    draw: &mut Draw<'_>,
) -> Outcome<OpenedTask> {
    let By {
        opener,
        human,
        parent,
    } = by;
    let checked = check(world, agent, terms, opener.kind, request, draw.now());
    let (kind, tenant, expires_at) = match checked {
        Ok(checked) => checked,
        Err((code, message)) => return refuse(world, agent, code, message, draw),
    };
    let expires_at = parent.map_or(expires_at, |parent| expires_at.min(parent.expires_at));
    let id: TaskId = draw.minted();
    let mut event = draw.event(EventKind::TaskOpened, world.revision());
    event.org = Some(agent.org);
    event.minted = Some(Minted::Task(id));
    event.human = human;
    event.who = Some(who(agent));
    event.why = Some(Why {
        task: Some(id),
        task_type: Some(kind.to_string()),
        purpose: Some(terms.purpose.id.to_string()),
        tenant_actor: tenant.as_ref().map(ToString::to_string),
        contract: Some(agent.contract),
        ..Why::default()
    });
    event.detail.insert(
        "opener_kind".into(),
        format!("{:?}", opener.kind).to_lowercase().into(),
    );
    event
        .detail
        .insert("opener".into(), draw.name(&opener.name).to_string().into());
    event
        .detail
        .insert("expires_at".into(), expires_at.rfc3339().into());
    if let Some(parent) = parent {
        event.detail.insert("parent".into(), parent.id.to_string().into());
    }
    let task = Task {
        id,
        org: agent.org,
        agent: agent.id,
        kind,
        tenant,
        opener,
        opened_at: draw.now(),
        expires_at,
        parent: parent.map(|parent| parent.id),
        root: parent.map(Task::root),
        trusted: request.trusted.clone(),
        declassified: Revision(0),
        closed: false,
    };
    Outcome::Granted(
        Plan::new(world.revision(), event, OpenedTask { task: id }).changing(Change::TaskOpened(task)),
    )
}

/// Ends a task: nothing is issued for it any more. What was issued dies at its own expiry, or by a revocation.
pub fn close(world: &World, task: &Task, draw: &mut Draw<'_>) -> Plan<()> {
    let mut event = draw.event(EventKind::TaskClosed, world.revision());
    event.org = Some(task.org);
    event.why = Some(Why {
        task: Some(task.id),
        ..Why::default()
    });
    Plan::new(world.revision(), event, ()).changing(Change::TaskClosed {
        task: task.id,
        org: task.org,
    })
}

/// Ends a task on the word of an administrator: `tabard task close`.
pub fn close_by_operator(
    world: &World,
    who: &Administrator,
    task: &Task,
    draw: &mut Draw<'_>,
) -> Outcome<()> {
    if let Err(refused) = who.check(Role::Operator, Some(task.org), world, draw) {
        return refused;
    }
    let mut event = who.event(EventKind::TaskClosed, Role::Operator, world, draw);
    event.org = Some(task.org);
    event.why = Some(Why {
        task: Some(task.id),
        ..Why::default()
    });
    Outcome::Granted(
        Plan::new(world.revision(), event, ()).changing(Change::TaskClosed {
            task: task.id,
            org: task.org,
        }),
    )
}

/// Longest reason for lowering labels, in bytes: a sentence or two.
const REASON_BYTES: std::ops::RangeInclusive<usize> = 3..=300;

/// Lowers what a task is taken to have read, on the word of an administrator: `tabard task declassify`. It counts for
/// what was read so far; what is read afterwards raises the labels again. An agent is no administrator.
pub fn declassify(
    world: &World,
    who: &Administrator,
    task: &Task,
    reason: &str,
    draw: &mut Draw<'_>,
) -> Outcome<()> {
    let role = Role::Operator;
    if let Err(refused) = who.check_in_person(role, Some(task.org), world, draw) {
        return refused;
    }
    let invalid = |code, message: &str| Cause::Invalid {
        code,
        message: message.to_owned(),
    };
    if !task.is_open(draw.now()) {
        let cause = invalid("TASK_NOT_OPEN", "the task is over: nothing of it goes on");
        return who.refuse(cause, role, world, draw);
    }
    if !REASON_BYTES.contains(&reason.len()) || reason.chars().any(char::is_control) {
        let message = "say why in one line of 3 to 300 bytes: it stands in the record beside your name";
        return who.refuse(invalid("TASK_REASON", message), role, world, draw);
    }
    let mut event = who.event(EventKind::TaskDeclassified, role, world, draw);
    event.org = Some(task.org);
    event.why = Some(Why {
        task: Some(task.id),
        ..Why::default()
    });
    event.detail.insert("reason".into(), reason.into());
    let root = task.root();
    event.change_summary = vec![format!("what {root} has read was declassified")];
    // The whole tree shares what was read, and each of its tasks is asked for by itself.
    let tree = world
        .tasks(OrgScope::Only(task.org))
        .filter(|it| it.root() == root);
    let plan = Plan::new(world.revision(), event, ());
    Outcome::Granted(tree.fold(plan, |plan, it| {
        plan.changing(Change::TaskDeclassified {
            task: it.id,
            org: it.org,
        })
    }))
}

/// Opens a task on the word of an administrator: `tabard task open`.
pub fn open_by_operator(
    world: &World,
    who: &Administrator,
    agent: &Agent,
    terms: &Terms,
    request: &TaskRequest,
    draw: &mut Draw<'_>,
) -> Outcome<OpenedTask> {
    if let Err(refused) = who.check(Role::Operator, Some(agent.org), world, draw) {
        return refused;
    }
    let opener = Opener {
        kind: OpenerKind::Operator,
        name: who.principal().name.to_string(),
    };
    let by = By {
        opener,
        human: Some(who.human(Role::Operator, draw)),
        parent: None,
    };
    open_as(world, agent, terms, by, request, draw)
}

type Checked = (Name, Option<Name>, UnixTime);

fn check(
    world: &World,
    agent: &Agent,
    terms: &Terms,
    opener: OpenerKind,
    request: &TaskRequest,
    now: UnixTime,
) -> Result<Checked, (&'static str, String)> {
    if !agent.is_live(now) {
        return Err((
            "TASK_AGENT_NOT_LIVE",
            format!("{} may not act now: resume it or extend its expiry", agent.name),
        ));
    }
    let may_open = match opener {
        OpenerKind::User => MayOpen::User,
        OpenerKind::Operator => MayOpen::Operator,
        OpenerKind::Trigger => MayOpen::Trigger,
        OpenerKind::Agent => MayOpen::Itself,
    };
    if !terms.tasks.openers.contains(&may_open) {
        return Err((
            "TASK_OPENER",
            format!(
                "the contract of {} does not let this kind of party open tasks: see `tasks.openers`",
                agent.name
            ),
        ));
    }
    if opener == OpenerKind::Agent && !request.trusted.is_empty() {
        let message = "an agent alone names no trusted destinations: have the task opened by somebody else";
        return Err(("TASK_TRUSTED", message.to_owned()));
    }
    let fits = |text: &String| (1..=255).contains(&text.len()) && !text.chars().any(char::is_control);
    if request.trusted.len() > TRUSTED_MAX || !request.trusted.iter().all(fits) {
        let message =
            format!("at most {TRUSTED_MAX} destinations, each 1 to 255 bytes without control characters");
        return Err(("TASK_TRUSTED", message));
    }
    if let Some(most) = terms.tasks.max_open {
        let open = world
            .tasks(OrgScope::Only(agent.org))
            .filter(|task| task.agent == agent.id && task.is_open(now))
            .count();
        if u32::try_from(open).unwrap_or(u32::MAX) >= most {
            let message = format!(
                "{} has {open} open tasks, its contract allows {most}: close one",
                agent.name
            );
            return Err(("TASK_TOO_MANY", message));
        }
    }
    let first = terms
        .tasks
        .types
        .first()
        .ok_or(("TASK_TYPE", "the contract has no task types".to_owned()))?;
    let kind = request.kind.as_ref().unwrap_or(first);
    if !terms.tasks.types.contains(kind) {
        let known: Vec<&str> = terms.tasks.types.iter().map(Name::as_str).collect();
        return Err((
            "TASK_TYPE",
            format!("no task type {kind}; the contract has: {}", known.join(", ")),
        ));
    }
    let tenant = match &terms.tenants {
        None => request.tenant.clone().map_or(Ok(None), |tenant| {
            Err((
                "TASK_TENANT",
                format!("the contract knows no tenants, so not {tenant} either: leave it out"),
            ))
        })?,
        Some(tenants) if tenants.mode == TenantMode::Fixed && request.tenant.is_none() => None,
        Some(tenants) => {
            let only = (tenants.allowed.len() == 1)
                .then(|| tenants.allowed.first())
                .flatten();
            let known: Vec<&str> = tenants.allowed.iter().map(Name::as_str).collect();
            let tenant = request.tenant.as_ref().or(only).ok_or_else(|| {
                (
                    "TASK_TENANT",
                    format!("say whose data: --tenant, one of: {}", known.join(", ")),
                )
            })?;
            if !tenants.allowed.contains(tenant) {
                return Err((
                    "TASK_TENANT",
                    format!("no tenant {tenant}; the contract has: {}", known.join(", ")),
                ));
            }
            Some(tenant.clone())
        }
    };
    let longest = terms.tasks.max_ttl.get();
    let ttl = request.ttl_secs.unwrap_or(longest);
    if ttl == 0 || ttl > longest {
        return Err((
            "TASK_TTL",
            format!("a task of this contract lasts 1 to {longest} seconds"),
        ));
    }
    let expires_at = now.plus_secs(ttl).min(agent.expires_at);
    Ok((kind.clone(), tenant, expires_at))
}

fn refuse<P>(
    world: &World,
    agent: &Agent,
    code: &'static str,
    message: String,
    draw: &mut Draw<'_>,
) -> Outcome<P> {
    let mut event = draw.event(EventKind::TaskRefused, world.revision());
    event.org = Some(agent.org);
    event.who = Some(who(agent));
    let refusal = Refusal::new(draw.id(), Cause::Invalid { code, message });
    let mut decision = Decision::new(refusal.decision(), Ruling::Deny);
    decision.reasons = refusal.codes();
    decision.nearest = Some(refusal.sentence().to_owned());
    event.decision = Some(decision);
    Outcome::Refused(Plan::new(world.revision(), event, refusal))
}

pub(crate) fn who(agent: &Agent) -> Who {
    Who {
        agent: Some(agent.id),
        agent_name: Some(agent.name.clone()),
        spiffe_id: Some(agent.spiffe_id.clone()),
        ..Who::default()
    }
}

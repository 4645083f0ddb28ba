//! Foresee: what would be decided, before anybody asks.
//!
//! The same judgement as at a call, on facts that are invented where nothing has happened yet: nothing counted, nothing
//! read, the best proof of identity that the launch spec allows. Each invention is told ([`Foreseen::assumed`]), because
//! an answer about the future is worth no more than what it takes for granted. Nothing here is a permit.

mod could;
mod known;
mod reach;
mod who_can;

pub use could::{could, named_things};
pub use known::{Keeper, Known, Unknown, unknown};
pub use reach::{Cell, Reach, Through, Via, reach};
pub use who_can::{Able, who_can};

use crate::chain::{Asked, LinkInForce, Parties, Party};
use crate::enforce::arguments_of;
use crate::facts;
use crate::ledger::Gathered;
use crate::upstream::ArgumentValue;
use crate::upstream::route::sink_in_force;
use crate::world::{Agent, AgentState, LaunchSpec, Opener, OpenerKind, Said, Task, User, UserRight, World};
use audit::event::CommitmentKey;
use identity::{Actor, ActorKind, Assurance, Audience, Name, OrgScope, Revision, Secret, TaskId, UnixTime};
use policy::contract::{self, Terms};
use policy::{
    ChainVerdict, DataLabels, Evaluations, Facts, FlowFacts, Reason, ReasonDetail, ResourceFacts, Sink,
    Stage, Verdict, WorkflowFacts,
};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is asked about. What is left open is taken as it suits the agent best, within its contract.
#[derive(Clone, Debug)]
pub struct Supposed {
    /// The action.
    pub action: Name,
    /// The service.
    pub audience: Audience,
    /// Kind and name of the thing that it would be done to.
    pub resource: Option<(String, String)>,
    /// The arguments of the call; `None` asks whether any call could be allowed.
    pub arguments: Option<Vec<(Name, ArgumentValue)>>,
    /// A task that exists.
    pub task: Option<Arc<Task>>,
    /// What was counted and read in it; nothing, if left out.
    pub known: Option<Known>,
    /// The type of a task that does not.
    pub kind: Option<Name>,
    /// Whose data.
    pub tenant: Option<Name>,
    /// Who makes the call.
    pub caller: policy::Caller,
    /// Whether the task has read what others can write.
    pub tainted: bool,
    /// The escalations that a human has answered with yes.
    pub approved: Vec<Name>,
}

impl Supposed {
    /// Whether any call of `action` at `audience` could be allowed.
    pub const fn any_call(action: Name, audience: Audience) -> Self {
        Self {
            action,
            audience,
            resource: None,
            arguments: None,
            task: None,
            known: None,
            kind: None,
            tenant: None,
            caller: policy::Caller::Agent,
            tainted: false,
            approved: Vec::new(),
        }
    }
}

/// What would be decided.
#[derive(Clone, Debug)]
pub struct Foreseen {
    /// The contract's verdict.
    pub verdict: Verdict,
    /// Why the agent may not act now, whatever its contract says.
    pub stopped: Option<Reason>,
    /// What was taken for granted, a sentence each.
    pub assumed: Vec<String>,
}

impl Foreseen {
    /// Whether it would be done.
    pub fn is_allowed(&self) -> bool {
        self.stopped.is_none() && self.verdict.is_allowed()
    }
    /// Whether nothing but a human's yes is missing.
    pub fn needs_approval_only(&self) -> bool {
        self.stopped.is_none() && !self.verdict.is_allowed() && only_approval(self.verdict.reasons())
    }
}

/// Whether every reason is one that an approval lifts.
fn only_approval(reasons: &[ReasonDetail]) -> bool {
    !reasons.is_empty()
        && reasons
            .iter()
            .all(|detail| detail.reason == Reason::NeedsApproval)
}

/// The best proof of identity that a launch can give, on the best node there is. Immutable storage and named signers
/// are not promised by a launch spec, so they are not assumed.
pub fn best_assurance(world: &World, spec: Option<&LaunchSpec>) -> Assurance {
    let node = world.nodes().map(|node| node.assurance).max().unwrap_or(0);
    let Some(spec) = spec else {
        // A registration by uid and executable.
        return Assurance {
            node,
            launch: 1,
            code: 1,
            signer: 0,
        };
    };
    let pinned = spec.is_pinned();
    Assurance {
        node,
        launch: match (pinned, spec.isolate) {
            (true, true) => 4,
            (true, false) | (false, true) => 2,
            (false, false) => 1,
        },
        code: if pinned { 2 } else { 1 },
        signer: u8::from(pinned),
    }
}

/// What a service says of an action: the data that it returns, and what it carries out. The first route that is the
/// action speaks for it, as the gateway would have it.
pub(crate) fn declared(
    world: &World,
    scope: OrgScope,
    audience: &Audience,
    action: &Name,
) -> Option<(Option<DataLabels>, Option<Sink>)> {
    world
        .upstreams(scope)
        .filter(|upstream| upstream.audience == *audience)
        .flat_map(|upstream| &upstream.routes)
        .find(|route| route.action == *action)
        .map(|route| (route.data.clone(), sink_in_force(route)))
}

/// Decides what is supposed of the agent of `link`.
pub fn foresee(world: &World, link: &LinkInForce, supposed: &Supposed, now: UnixTime) -> Foreseen {
    let scope = OrgScope::Only(link.agent.org);
    let terms = link.compiled.contract().terms();
    let mut assumed = Vec::new();
    let task = task(&link.agent, terms, supposed, now, &mut assumed);
    let tenant = supposed.tenant.clone().or_else(|| task.tenant.clone());
    let assurance = best_assurance(world, world.launch_spec(scope, link.agent.id).map(|spec| &**spec));
    assumed.push(format!(
        "the identity is proven at level {}, the best that its launch spec allows",
        assurance.level()
    ));
    let parties = parties(link, supposed, terms, now, &mut assumed);
    let gathered = gathered(link, supposed, &mut assumed);
    let declared = declared(world, scope, &supposed.audience, &supposed.action);
    if declared.is_none() {
        assumed.push(format!(
            "no upstream declares {} at {}: what it returns counts as untrusted",
            supposed.action, supposed.audience
        ));
    }
    let (data, sink) = declared.unwrap_or_default();
    let held = supposed.arguments.as_deref();
    let verdict = arguments_of(held.unwrap_or_default(), |arguments| {
        let stage = match held {
            Some(_) => Stage::Call { arguments },
            None => Stage::List,
        };
        let scope = [supposed.action.clone()];
        let base = Facts {
            assurance,
            evidence_age_secs: 0,
            resource: ResourceFacts {
                kind: supposed.resource.as_ref().map(|(kind, _)| kind.as_str()),
                id: supposed.resource.as_ref().map(|(_, id)| id.as_str()),
                tenant: tenant.as_ref(),
            },
            stage,
            caller: supposed.caller,
            loops: false,
            flow: FlowFacts {
                labels: None,
                data: data.as_ref(),
                sink: sink.as_ref(),
                trusted: false,
            },
            workflow: WorkflowFacts::default(),
            task_scope: Some(&scope),
            approvals: &supposed.approved,
            ..Facts::least(
                link.agent.org,
                link.agent.id,
                facts::of_task(&task),
                &supposed.action,
                &supposed.audience,
            )
        };
        let destinations = destinations(sink.as_ref(), held.unwrap_or_default());
        // Nothing of this is kept, and no person is named: any key does.
        let names = CommitmentKey::new(Secret::new([0; 32]));
        let asked = Asked {
            world,
            to: None,
            links: std::slice::from_ref(link),
            parties: &parties,
            task: &task,
            gathered: &gathered,
            action: &supposed.action,
            audience: &supposed.audience,
            tenant: tenant.as_ref(),
            destinations: &destinations,
            approvals: &[],
            now,
            names: &names,
        };
        let ChainVerdict { verdict, .. } =
            asked.decide(&base, |_| false, &mut Vec::new(), &mut Evaluations::default());
        verdict
    });
    if let Verdict::Allow(allowed) = &verdict
        && let Some(used) = allowed.exception()
    {
        let terms = &used.terms;
        assumed.push(format!(
            "the exception {} is open: it ends at {}, {} answers for it; the contract alone refuses",
            terms.id,
            terms.until.rfc3339(),
            terms.owner
        ));
    }
    Foreseen {
        verdict,
        stopped: stopped(&link.agent, now).or_else(|| gathered.suspended.then_some(Reason::BudgetExhausted)),
        assumed,
    }
}

/// What is known of the task, else nothing counted and nothing read.
fn gathered(link: &LinkInForce, supposed: &Supposed, assumed: &mut Vec<String>) -> Gathered {
    let counters = link.compiled.counters();
    let known = supposed.known.as_ref();
    if supposed.tainted {
        assumed.push("the task has read what others can write".to_owned());
    } else if known.is_none() {
        assumed.push("the task has read nothing yet".to_owned());
    }
    if known.is_none() && !counters.is_empty() {
        assumed.push("nothing was counted yet: every rate and budget is unused".to_owned());
    }
    let unused = || counters.iter().map(|counter| (counter.id.clone(), 0)).collect();
    let mut gathered = known.map_or_else(
        || Gathered {
            links: vec![unused()],
            ..Gathered::default()
        },
        |known| known.gathered.clone(),
    );
    if supposed.tainted {
        gathered.labels.taint.insert(supposed.action.clone());
    }
    gathered
}

/// Why the agent may not act at all.
fn stopped(agent: &Agent, now: UnixTime) -> Option<Reason> {
    (agent.state != AgentState::Active || now >= agent.expires_at).then_some(Reason::KillSwitch)
}

fn task(
    agent: &Agent,
    terms: &Terms,
    supposed: &Supposed,
    now: UnixTime,
    assumed: &mut Vec<String>,
) -> Arc<Task> {
    if let Some(task) = &supposed.task {
        return task.clone();
    }
    let usable = |kind: &&Name| {
        let template = terms.tasks.templates.get(*kind);
        template.is_none_or(|template| template.actions.contains(&supposed.action))
    };
    let types = &terms.tasks.types;
    let found = types.iter().find(usable).or_else(|| types.first());
    let kind = supposed.kind.clone().or_else(|| found.cloned());
    let kind = kind.unwrap_or_else(|| terms.purpose.id.clone());
    let kinds = [
        (contract::Opener::User, OpenerKind::User),
        (contract::Opener::Operator, OpenerKind::Operator),
        (contract::Opener::Trigger, OpenerKind::Trigger),
        (contract::Opener::Itself, OpenerKind::Agent),
    ];
    let opener = kinds
        .iter()
        .find(|(known, _)| terms.tasks.openers.contains(known));
    let (opener, opener_kind) = opener
        .copied()
        .unwrap_or((contract::Opener::Itself, OpenerKind::Agent));
    let first = terms.tenants.as_ref().and_then(|tenants| tenants.allowed.first());
    let tenant = supposed.tenant.clone().or_else(|| first.cloned());
    assumed.push(format!(
        "a task of type {kind} is open{}, opened by: {opener}",
        tenant
            .as_ref()
            .map_or_else(String::new, |tenant| format!(" for {tenant}"))
    ));
    Arc::new(Task {
        id: TaskId::from_u128(0),
        org: agent.org,
        agent: agent.id,
        kind,
        tenant,
        opener: Opener {
            kind: opener_kind,
            name: String::new(),
        },
        opened_at: now,
        expires_at: now.plus_secs(terms.tasks.max_ttl.get()),
        parent: None,
        root: None,
        trusted: BTreeSet::new(),
        declassified: Revision(0),
        closed: false,
    })
}

/// The agent alone, or behind a user whom its contract asks for.
fn parties(
    link: &LinkInForce,
    supposed: &Supposed,
    terms: &Terms,
    now: UnixTime,
    assumed: &mut Vec<String>,
) -> Parties {
    let asks = terms
        .delegation
        .as_ref()
        .and_then(|delegation| delegation.on_behalf_of.as_ref());
    let agents = vec![link.agent.clone()];
    let Some(asks) = asks.filter(|asks| asks.require_user) else {
        return Parties {
            agents,
            user: None,
            depth: 1,
        };
    };
    let groups = &asks.groups;
    let within = if groups.is_empty() {
        String::new()
    } else {
        let names: Vec<&str> = groups.iter().map(Name::as_str).collect();
        format!(" of {}", names.join(", "))
    };
    assumed.push(format!("it acts for a user{within} who may do this themselves"));
    let tenants = terms
        .tenants
        .iter()
        .flat_map(|tenants| tenants.allowed.iter().cloned());
    let user = User {
        org: link.agent.org,
        issuer: String::new(),
        subject: String::new(),
        groups: groups.clone(),
        rights: vec![UserRight {
            agents: [link.agent.name.clone()].into(),
            services: [supposed.audience.clone()].into(),
            actions: [supposed.action.clone()].into(),
            tenants: tenants.chain(supposed.tenant.clone()).collect(),
        }],
        expires_at: now.plus_secs(1),
    };
    Parties {
        agents,
        user: Some(Party {
            actor: Actor {
                kind: ActorKind::User,
                issuer: String::new(),
                id: String::new(),
            },
            user: Some(Arc::new(user)),
            source: None,
            claimed: None,
            judged: None,
            unheard: false,
            said: Said::default(),
        }),
        depth: 2,
    }
}

fn destinations<'a>(sink: Option<&Sink>, arguments: &'a [(Name, ArgumentValue)]) -> Vec<&'a str> {
    let names = sink.iter().flat_map(|sink| &sink.destinations);
    let values = names.filter_map(|name| arguments.iter().find(|(known, _)| known == name));
    values
        .flat_map(|(_, value)| match value {
            ArgumentValue::Text(text) => vec![text.as_str()],
            ArgumentValue::Texts(texts) => texts.iter().map(String::as_str).collect(),
            ArgumentValue::Integer(_) | ArgumentValue::Boolean(_) => Vec::new(),
        })
        .collect()
}

/// One reason of a verdict, as programs read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Because {
    /// Its code.
    pub code: &'static str,
    /// The line of the contract.
    pub line: u32,
    /// The grant, if it is about one.
    pub grant: Option<String>,
    /// What would have been allowed.
    pub limit: String,
    /// What was found.
    pub actual: String,
    /// What would put it right.
    pub fix: String,
}

impl From<&ReasonDetail> for Because {
    fn from(detail: &ReasonDetail) -> Self {
        Self {
            code: detail.reason.code(),
            line: detail.line,
            grant: detail.grant.as_ref().map(ToString::to_string),
            limit: detail.limit.clone(),
            actual: detail.actual.clone(),
            fix: detail.fix.clone(),
        }
    }
}

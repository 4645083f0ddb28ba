//! Enforce: does this very request fit the credential, the contract and the state?
//!
//! The gateway verified the token and its proof and mapped the request; here the World and the contract have their
//! say, with arguments and counters. A `CallPermit` lets the upstream's credential be injected, once it is recorded.
//! A service that enforces itself gets the same judgement by [`evaluate`], and no permit: it opens no door of ours.

mod evaluate;
mod standing;

pub use evaluate::{Evaluated, evaluate, refuse};
pub use standing::{Standing, StandingOf, standing};

use crate::approve::{Approved, Found};
use crate::chain::{Asked, LinkInForce, Parties, parties};
use crate::draw::Draw;
use crate::facts;
use crate::ledger::{Gathered, Seen, carry};
use crate::plan::{OnceKind, Outcome, Plan, Precondition};
use crate::refusal::{Cause, Refusal};
use crate::replay::Fresh;
use crate::task::who;
use crate::upstream::{ArgumentValue, Mapped, Upstream, Version};
use crate::world::{Agent, Target, Task, World};
use audit::event::{Decision, Outcome as CallOutcome, Ruling, Status, What, Who, Why};
use audit::{Event, EventKind};
use credential::AccessTokenClaims;
use identity::{ApprovalId, Audience, DecisionId, Digest, EntryRef, Name, OrgScope, UpstreamId};
use policy::contract::ContractHash;
use policy::{
    ArgValue, ChainVerdict, Denial, Evaluations, Facts, FlowFacts, Reason, ResourceFacts, Stage, Verdict,
    WorkflowFacts,
};
use std::sync::Arc;

/// One request at the gateway, or at a service that asks us: verified, mapped, not yet judged.
#[derive(Debug)]
pub struct Call<'a> {
    /// Who acts, and with what right.
    pub standing: Standing<'a>,
    /// The service that enforces it and tells us of it; `None` where the gateway itself does.
    pub asked_by: Option<&'a Name>,
    /// The upstream that the request addresses.
    pub upstream: &'a Upstream,
    /// What the request is, in the words of contracts.
    pub mapped: &'a Mapped,
    /// Its method, for the entry; `None` where a service says only what it is.
    pub method: Option<&'a str>,
    /// Its path without query, for the entry.
    pub path: Option<&'a str>,
    /// Who makes the call within the run, as its node agent vouches; the run as a whole if nobody says.
    pub caller: Option<audit::event::Caller>,
    /// The agents of the chain with their contracts, the current actor last.
    pub links: &'a [LinkInForce],
    /// What was gathered from the Ledger, and taken from it: the entry carries it.
    pub gathered: &'a Gathered,
    /// What stands for exactly this request among the approvals of its task.
    pub found: &'a Found,
}

impl Call<'_> {
    /// The approval that the token was issued for: then it is good for what that approved and nothing else.
    pub fn token_approval(&self) -> Option<ApprovalId> {
        self.standing.approval()
    }
    /// The tenant that the gateway will confine the request to, where the service takes it from a header.
    pub(crate) fn confined_to<'t>(&self, task: &'t Task) -> Option<&'t Name> {
        let confines = self.upstream.tenant_header.is_some();
        confines.then_some(task.tenant.as_ref()).flatten()
    }
}

/// A request may go upstream with the upstream's own credential, once this is recorded. Made only by [`enforce`].
#[must_use = "record it, then inject and forward"]
#[derive(Debug)]
pub struct CallPermit {
    decision: DecisionId,
    upstream: UpstreamId,
    tenant: Option<Name>,
    shadowed: bool,
    seen: Seen,
    approved: Option<Approved>,
}

impl CallPermit {
    /// What the call adds to the trail of its task and its instance: raised before anything is forwarded.
    pub const fn seen(&self) -> &Seen {
        &self.seen
    }
    /// The approval that it rests on. It has to be spent before the request leaves.
    pub const fn approved(&self) -> Option<&Approved> {
        self.approved.as_ref()
    }
    /// The decision.
    pub const fn decision(&self) -> DecisionId {
        self.decision
    }
    /// The upstream whose credential may be injected.
    pub const fn upstream(&self) -> UpstreamId {
        self.upstream
    }
    /// The tenant that the request has to be confined to, where the upstream takes it from a header.
    pub const fn tenant(&self) -> Option<&Name> {
        self.tenant.as_ref()
    }
    /// Whether the contract would have denied it and only watches.
    pub const fn is_shadowed(&self) -> bool {
        self.shadowed
    }
}

/// What is revoked with a token: every dimension that it carries.
pub fn targets(token: &AccessTokenClaims) -> Vec<Target> {
    let mut targets = vec![
        Target::Token(token.token),
        Target::Family(token.family),
        Target::Agent(token.agent),
        Target::Instance(token.instance),
        Target::Org(token.org),
    ];
    if let Some(task) = token.task {
        targets.push(Target::Task(task));
    }
    for actor in token.chain.actors() {
        if actor.kind == identity::ActorKind::User {
            targets.push(Target::User(format!("{} {}", actor.issuer, actor.id)));
        }
    }
    targets
}

/// Whether a token is alive by the World: nothing it carries was revoked since, its agent may act, its task is open.
pub fn alive(world: &World, token: &AccessTokenClaims, now: identity::UnixTime) -> Result<Live, Reason> {
    let scope = OrgScope::Only(token.org);
    let agent = world.agent(scope, token.agent).ok_or(Reason::IdentityRevoked)?;
    if world.revoked(&targets(token), token.revision).is_some() {
        return Err(Reason::IdentityRevoked);
    }
    let parties = if token.chain.depth() == 1 {
        Parties {
            agents: vec![agent.clone()],
            user: None,
            depth: 1,
        }
    } else {
        parties(world, scope, &token.chain)?
    };
    if parties.agents.last().is_none_or(|last| last.id != token.agent) {
        return Err(Reason::IdentityRevoked);
    }
    // Every hop, not only the last: who was stopped takes the whole chain along.
    for agent in &parties.agents {
        if world
            .revoked(&[Target::Agent(agent.id)], token.revision)
            .is_some()
        {
            return Err(Reason::IdentityRevoked);
        }
        if !agent.is_live(now) {
            return Err(Reason::KillSwitch);
        }
    }
    // A user of whom nothing is left: calls in flight end as well. What is left of their rights is for the decision.
    if let Some(party) = &parties.user
        && !party.is_known(now)
    {
        return Err(Reason::UserNotEntitled);
    }
    let task = token
        .task
        .and_then(|task| world.task(scope, task))
        .ok_or(Reason::TaskExpired)?;
    // With the tasks that it is a part of: a child does not outlive its parent.
    let line = world.task_line(scope, task.id).ok_or(Reason::TaskExpired)?;
    if !line.iter().all(|task| task.is_open(now)) {
        return Err(Reason::TaskExpired);
    }
    let parents: Vec<Target> = line.iter().map(|task| Target::Task(task.id)).collect();
    if world.revoked(&parents, token.revision).is_some() {
        return Err(Reason::IdentityRevoked);
    }
    Ok(Live {
        parties,
        agent: agent.clone(),
        task: task.clone(),
    })
}

/// The agent and task of a token that is alive. Made only by [`alive`].
#[derive(Debug)]
#[must_use = "spend it on the decision of this request"]
pub struct Live {
    parties: Parties,
    agent: Arc<Agent>,
    task: Arc<Task>,
}

impl Live {
    /// The agents of the chain, the current actor last.
    pub fn agents(&self) -> &[Arc<Agent>] {
        &self.parties.agents
    }
    /// The task.
    pub const fn task(&self) -> &Arc<Task> {
        &self.task
    }
}

/// Judges one call. `_fresh` is spent: the proof belongs to this request and no other.
pub fn enforce(
    world: &World,
    live: &Live,
    _fresh: Fresh,
    call: &Call<'_>,
    draw: &mut Draw<'_>,
) -> Outcome<CallPermit> {
    arguments(call.mapped, |arguments| {
        judged(world, live, call, arguments, draw)
    })
}

/// The arguments of a call as decisions look at them.
pub fn arguments<T>(mapped: &Mapped, look: impl FnOnce(&[(&str, ArgValue<'_>)]) -> T) -> T {
    arguments_of(&mapped.arguments, look)
}

/// The same, of arguments that no request carries yet.
pub(crate) fn arguments_of<T>(
    arguments: &[(Name, ArgumentValue)],
    look: impl FnOnce(&[(&str, ArgValue<'_>)]) -> T,
) -> T {
    let held: Vec<(&str, Held<'_>)> = arguments
        .iter()
        .map(|(name, value)| (name.as_str(), Held::of(value)))
        .collect();
    let arguments: Vec<(&str, ArgValue<'_>)> =
        held.iter().map(|(name, held)| (*name, held.as_arg())).collect();
    look(&arguments)
}

fn judged(
    world: &World,
    live: &Live,
    call: &Call<'_>,
    arguments: &[(&str, ArgValue<'_>)],
    draw: &mut Draw<'_>,
) -> Outcome<CallPermit> {
    let now = draw.now();
    let Live { parties, agent, task } = live;
    let blocked_for = |reason, draw: &mut Draw<'_>| {
        let blocked = Blocked {
            standing: call.standing,
            audience: &call.upstream.audience,
            upstream: Some(call.upstream),
            request: call.method.zip(call.path),
            asked_by: call.asked_by,
        };
        Outcome::Refused(blocked.plan(world, reason, draw))
    };
    if call.gathered.suspended {
        return blocked_for(Reason::BudgetExhausted, draw);
    }
    let confined = call.confined_to(task);
    let tenant = call.mapped.tenant.as_ref().or(confined);
    let scope = call.standing.scope(&call.mapped.action);
    let caller = match &call.caller {
        Some(caller) if caller.kind == audit::event::CallerKind::Agent => policy::Caller::Agent,
        Some(_) | None => policy::Caller::Child,
    };
    let facts = Facts {
        assurance: call.standing.assurance,
        evidence_age_secs: world
            .instance(OrgScope::Only(agent.org), call.standing.instance)
            .map_or(u64::MAX, |instance| now.millis_since(instance.attested_at) / 1000),
        resource: ResourceFacts {
            kind: Some(call.mapped.resource_type.as_str()),
            id: Some(&call.mapped.resource_id),
            tenant,
        },
        stage: Stage::Call { arguments },
        caller,
        loops: false,
        flow: FlowFacts {
            labels: None,
            data: call.mapped.data.as_deref(),
            sink: call.mapped.sink.as_deref(),
            trusted: false,
        },
        workflow: WorkflowFacts::default(),
        task_scope: Some(&scope),
        ..Facts::least(
            agent.org,
            agent.id,
            facts::of_task(task),
            &call.mapped.action,
            &call.upstream.audience,
        )
    };
    let destinations = call.mapped.destinations();
    let asked = Asked {
        world,
        links: call.links,
        to: None,
        parties,
        task,
        gathered: call.gathered,
        action: &call.mapped.action,
        audience: &call.upstream.audience,
        tenant,
        destinations: &destinations,
        approvals: &[],
        now,
        names: draw.names(),
    };
    let mut rows = Vec::new();
    let alone = asked.decide(&facts, |_| true, &mut rows, &mut Evaluations::default());
    // Decided again with what was approved, and not used up where it is not needed.
    let (ChainVerdict { links, verdict }, approved) = match call.found {
        Found::Good(approved) if !alone.verdict.is_allowed() => {
            let asked = asked.with(approved.escalations());
            let again = asked.decide(&facts, |_| true, &mut rows, &mut Evaluations::default());
            let rests = again.verdict.is_allowed().then(|| approved.clone());
            (again, rests)
        }
        // A token that was issued for one approved request is good for that one, once.
        Found::Good(approved) if call.token_approval().is_some() => (alone, Some(approved.clone())),
        Found::Good(_) | Found::Nothing | Found::Waiting(_) | Found::Dead(..) => (alone, None),
    };
    // Whatever does not rest on what such a token is for, it is not for.
    let verdict = match call.token_approval() {
        Some(id) if verdict.is_allowed() && approved.is_none() => {
            let contract = call.links.last().map(|link| link.compiled.hash());
            let reason = match call.found {
                Found::Dead(_, reason) => *reason,
                Found::Nothing | Found::Waiting(_) | Found::Good(_) => Reason::ApprovalOutOfScope,
            };
            Verdict::Deny(only_for_approved(contract, id, reason))
        }
        Some(_) | None => verdict,
    };
    let needs = match &verdict {
        Verdict::Deny(denial) => needs(&asked, &facts, denial),
        Verdict::Allow(_) => Vec::new(),
    };
    let mut event = draw.event(kind_of(EventKind::GatewayCall, call.asked_by), world.revision());
    describe(&mut event, agent, call);
    event.chain = facts::links(call.standing.chain, &links, draw.names());
    let mut decision = Decision::new(draw.id(), Ruling::Allow);
    let own = call.links.last();
    decision.contract = own.map(|link| link.record.hash);
    decision.contract_version = own.map(|link| link.record.version);
    decision.facts = facts::recorded(rows);
    let why = event.why.get_or_insert_default();
    why.task_type = Some(task.kind.to_string());
    why.tenant_actor = task.tenant.as_ref().map(ToString::to_string);
    why.tenant_resource = tenant.map(ToString::to_string);
    match verdict {
        Verdict::Allow(allowed) => {
            facts::allowed(&mut decision, Some(&allowed));
            why.business_action = allowed.business_action().map(str::to_owned);
            let seen = Seen {
                of: call.gathered.trails.clone(),
                labels: allowed.raises().clone(),
                action: Some(call.mapped.action.clone()),
                steps: steps(call.links, &links),
                declassified: (task.declassified.0 > 0).then_some(task.declassified.0),
                at: now,
                ..Seen::default()
            };
            // A count that the entry does not carry would be lost in a crash.
            if carry(&mut event, &call.gathered.taken, Some(&seen)).is_err() {
                return blocked_for(Reason::StateUnavailable, draw);
            }
            if !allowed.findings().is_empty() {
                let findings: Vec<&str> = allowed.findings().iter().map(|reason| reason.code()).collect();
                event.detail.insert("findings".into(), findings.into());
            }
            let permit = CallPermit {
                decision: decision.id,
                upstream: call.upstream.id,
                tenant: confined.cloned(),
                shadowed: allowed.would_deny().is_some(),
                seen,
                approved,
            };
            event.decision = Some(decision);
            Outcome::Granted(resting_on_approval(world, event, permit))
        }
        Verdict::Deny(denial) => {
            denied_takes(&mut event, call.gathered, now);
            event.kind = kind_of(EventKind::GatewayBlocked, call.asked_by);
            Outcome::Refused(blocked(world, event, decision, denial, needs, call))
        }
    }
}

/// A caller as entries name it.
pub fn recorded_caller(caller: &credential::dpop::Caller) -> audit::event::Caller {
    let kind = match caller.kind {
        credential::dpop::CallerKind::Agent => audit::event::CallerKind::Agent,
        credential::dpop::CallerKind::Child => audit::event::CallerKind::Child,
    };
    let mut out = audit::event::Caller::new(kind);
    out.exe = Some(caller.exe.clone());
    out.exe_digest = Some(caller.exe_digest);
    out.argv = Some(caller.argv_digest);
    out.pid = Some(caller.pid);
    out
}

/// The plan of a permit. One that rests on an approval names it, and spends its key in this log as well: a gateway alone
/// never uses one twice, whatever its server says.
fn resting_on_approval(world: &World, mut event: Event, permit: CallPermit) -> Plan<CallPermit> {
    let Some(approved) = permit.approved.clone() else {
        return Plan::new(world.revision(), event, permit);
    };
    event.why.get_or_insert_default().approval = Some(approved.id());
    Plan::new(world.revision(), event, permit).expecting(Precondition::Unused {
        kind: OnceKind::Approval,
        key: Approved::key(approved.id()),
        until: approved.good_until(),
    })
}

/// Whose approval would let a refused call pass: the fewest escalations of the chain's contracts with which it is decided
/// otherwise. None where no approval helps.
fn needs(asked: &Asked<'_>, facts: &Facts<'_>, denial: &Denial) -> Vec<(Digest, Name)> {
    if !denial.reasons.iter().all(|detail| detail.reason.is_approvable()) {
        return Vec::new();
    }
    let mut needed: Vec<(Digest, Name)> = Vec::new();
    for link in asked.links {
        let terms = link.compiled.contract().terms();
        for escalation in terms.escalations_for(asked.action) {
            needed.push((link.record.hash, escalation.clone()));
        }
    }
    let passes = |with: &[(Digest, Name)]| {
        let (mut rows, mut known) = (Vec::new(), Evaluations::default());
        let judged = asked.with(with).decide(facts, |_| false, &mut rows, &mut known);
        judged.verdict.is_allowed()
    };
    if needed.is_empty() || !passes(&needed) {
        return Vec::new();
    }
    let mut place = 0;
    while place < needed.len() && needed.len() > 1 {
        let mut fewer = needed.clone();
        fewer.remove(place);
        if passes(&fewer) {
            needed = fewer;
        } else {
            place += 1;
        }
    }
    needed
}

/// The steps of each agent's declared graph that the call is.
fn steps(links: &[LinkInForce], verdicts: &[policy::LinkVerdict]) -> Vec<(Name, Name)> {
    let mut steps = Vec::new();
    for (link, judged) in links.iter().zip(verdicts) {
        if let Verdict::Allow(allowed) = &judged.verdict {
            steps.extend(
                allowed
                    .steps()
                    .iter()
                    .map(|step| (link.agent.name.clone(), step.clone())),
            );
        }
    }
    steps
}

/// What a refused call takes, as its entry carries it: refusals are counted too.
fn denied_takes(event: &mut Event, gathered: &Gathered, now: identity::UnixTime) {
    let ended = (!gathered.ends.is_empty()).then(|| Seen::ended(gathered.ends.clone(), now));
    // Plain numbers and texts: their form cannot fail.
    let carried = carry(event, &gathered.on_denial, ended.as_ref());
    debug_assert!(carried.is_ok(), "{carried:?}");
}

/// A list of texts, held so that an [`ArgValue`] can borrow it.
enum Held<'a> {
    One(ArgValue<'a>),
    Many(Vec<ArgValue<'a>>),
}

impl<'a> Held<'a> {
    fn of(value: &'a ArgumentValue) -> Self {
        match value {
            ArgumentValue::Text(text) => Self::One(ArgValue::Str(text)),
            ArgumentValue::Integer(number) => Self::One(ArgValue::Int(*number)),
            ArgumentValue::Boolean(value) => Self::One(ArgValue::Bool(*value)),
            ArgumentValue::Texts(texts) => Self::Many(texts.iter().map(|text| ArgValue::Str(text)).collect()),
        }
    }
    fn as_arg(&self) -> ArgValue<'_> {
        match self {
            Self::One(value) => *value,
            Self::Many(values) => ArgValue::List(values),
        }
    }
}

/// A request of somebody known that no contract is asked about: its token is dead, or it is no declared action.
#[derive(Debug, Clone, Copy)]
pub struct Blocked<'a> {
    /// Who acts.
    pub standing: Standing<'a>,
    /// The service it is for.
    pub audience: &'a Audience,
    /// The upstream, where there is one.
    pub upstream: Option<&'a Upstream>,
    /// Method and path.
    pub request: Option<(&'a str, &'a str)>,
    /// The service that tells us of it.
    pub asked_by: Option<&'a Name>,
}

impl Blocked<'_> {
    /// Its refusal.
    pub fn plan(&self, world: &World, reason: Reason, draw: &mut Draw<'_>) -> Plan<Refusal> {
        let Self { standing, .. } = self;
        let mut event = draw.event(
            kind_of(EventKind::GatewayBlocked, self.asked_by),
            world.revision(),
        );
        event.org = Some(standing.org);
        let agent = world.agent(OrgScope::Only(standing.org), standing.agent);
        event.who = Some(Who {
            instance: Some(standing.instance),
            node: standing.node,
            ..agent.map_or_else(
                || Who {
                    agent: Some(standing.agent),
                    ..Who::default()
                },
                |agent| who(agent),
            )
        });
        event.why = Some(Why {
            task: standing.task,
            contract: Some(standing.contract),
            ..Why::default()
        });
        event.what = Some(What {
            audience: Some(self.audience.clone()),
            upstream: self.upstream.map(|upstream| upstream.name.to_string()),
            method: self.request.map(|(method, _)| method.to_owned()),
            path: self.request.map(|(_, path)| path.to_owned()),
            ..What::default()
        });
        tell_who_asked(&mut event, self.asked_by);
        let refusal = Refusal::new(draw.id(), Cause::Subject(reason));
        let mut decision = Decision::new(refusal.decision(), Ruling::Deny);
        decision.reasons = refusal.codes();
        event.decision = Some(decision);
        Plan::new(world.revision(), event, refusal)
    }
}

/// What happened, by who enforces it: a service's questions are answered, and whether it calls is its own affair.
fn kind_of(at_the_gateway: EventKind, asked_by: Option<&Name>) -> EventKind {
    asked_by.map_or(at_the_gateway, |_| EventKind::DecisionMade)
}

fn tell_who_asked(event: &mut Event, asked_by: Option<&Name>) {
    if let Some(service) = asked_by {
        event.detail.insert("asked_by".into(), service.as_str().into());
    }
}

/// How a permitted call ended: the second entry of each call.
#[derive(Debug, Clone, Default)]
pub struct Ended {
    /// The upstream's status; `None` when it did not answer.
    pub http_status: Option<u16>,
    /// Bytes of the response body that went to the agent.
    pub bytes: u64,
    /// From the decision to the last byte, in milliseconds.
    pub duration_ms: u64,
    /// What went wrong, as a class: `upstream_unreachable`, `cut_by_revocation`, ….
    pub error: Option<&'static str>,
}

/// Records how a call ended.
pub fn outcome(
    world: &World,
    token: &AccessTokenClaims,
    of: EntryRef,
    ended: &Ended,
    draw: &mut Draw<'_>,
) -> Plan<()> {
    let mut event = draw.event(EventKind::GatewayOutcome, world.revision());
    event.org = Some(token.org);
    event.who = Some(Who {
        agent: Some(token.agent),
        instance: Some(token.instance),
        ..Who::default()
    });
    event.why = Some(Why {
        task: token.task,
        ..Why::default()
    });
    let status = match (ended.error, ended.http_status) {
        (None, Some(status)) if status < 400 => Status::Success,
        _ => Status::Failure,
    };
    let mut record = CallOutcome::new(status);
    record.of = Some(of);
    record.http_status = ended.http_status;
    record.bytes = Some(ended.bytes);
    record.duration_ms = Some(ended.duration_ms);
    record.error = ended.error.map(str::to_owned);
    event.outcome = Some(record);
    Plan::new(world.revision(), event, ())
}

/// The refusal of a request that its token, which is for one approved request, is not for.
fn only_for_approved(contract: Option<ContractHash>, id: ApprovalId, reason: Reason) -> Denial {
    Denial {
        contract: contract.unwrap_or(ContractHash(Digest::from_bytes([0; 32]))),
        reasons: vec![dead(id, reason)],
        policies: Vec::new(),
        nearest: None,
    }
}

/// Why a request whose approval is worth nothing is refused.
fn dead(id: ApprovalId, reason: Reason) -> policy::ReasonDetail {
    policy::ReasonDetail {
        reason,
        grant: None,
        line: 1,
        limit: "an approval of exactly this request that nobody used".to_owned(),
        actual: id.to_string(),
        fix: "leave the approval's id out to ask anew, unless a human said no".to_owned(),
    }
}

fn describe(event: &mut Event, agent: &Agent, call: &Call<'_>) {
    let standing = &call.standing;
    event.org = Some(agent.org);
    event.who = Some(Who {
        instance: Some(standing.instance),
        node: standing.node,
        assurance: Some(standing.assurance.into()),
        caller: call.caller.clone(),
        ..who(agent)
    });
    event.why = Some(Why {
        task: standing.task,
        purpose: standing.purpose().map(ToString::to_string),
        contract: Some(standing.contract),
        ..Why::default()
    });
    tell_who_asked(event, call.asked_by);
    event.what = Some(What {
        action: Some(call.mapped.action.to_string()),
        audience: Some(call.upstream.audience.clone()),
        upstream: Some(call.upstream.name.to_string()),
        method: call.method.map(str::to_owned),
        path: call.path.map(str::to_owned),
        resource_type: Some(call.mapped.resource_type.to_string()),
        resource_id: Some(call.mapped.resource_id.clone()),
        ..What::default()
    });
}

fn blocked(
    world: &World,
    mut event: Event,
    mut decision: Decision,
    mut denial: Denial,
    mut needs: Vec<(Digest, Name)>,
    call: &Call<'_>,
) -> Plan<Refusal> {
    decision.outcome = if needs.is_empty() {
        Ruling::Deny
    } else {
        Ruling::StepUp
    };
    facts::denied(&mut decision, &denial);
    if !needs.is_empty() {
        let approvals: Vec<String> = needs.iter().map(|(_, name)| name.to_string()).collect();
        event.detail.insert("approvable_by".into(), approvals.into());
    }
    match call.found {
        Found::Waiting(approval) => {
            event.why.get_or_insert_default().approval = Some(approval.id);
        }
        Found::Dead(id, reason) if !needs.is_empty() || denial.has(*reason) => {
            event.why.get_or_insert_default().approval = Some(*id);
            decision.outcome = Ruling::Deny;
            needs.clear();
            denial.reasons = vec![dead(*id, *reason)];
            facts::limit(&mut decision, *reason, &format!("{id} is not good for this"));
        }
        Found::Nothing | Found::Good(_) | Found::Dead(..) => {}
    }
    // A yes to whatever stands there at that time would be a yes to anything.
    if !needs.is_empty() && call.mapped.version == Version::Missing {
        needs.clear();
        decision.outcome = Ruling::Deny;
        let text = "the request names the version of what it acts upon, or nobody can approve it";
        facts::limit(&mut decision, Reason::NeedsApproval, text);
    }
    let refusal = Refusal::new(decision.id, Cause::Denied(Box::new(denial))).approvable(needs);
    decision.reasons = refusal.codes();
    event.decision = Some(decision);
    Plan::new(world.revision(), event, refusal)
}

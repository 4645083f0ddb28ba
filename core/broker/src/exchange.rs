//! Exchange: an identity becomes a credential for one audience, one task, minutes (RFC 8693).
//!
//! Granted is what was asked for, inside the contract, inside the task. A new action is a new credential, never a
//! broadened one. The chain is the subject's own: nobody but this function writes it, and leaving out an actor token
//! drops nobody.

use crate::behalf::{Behalf, parent_actions, receiver, task_of};
use crate::chain::{Asked, LinkInForce, Parties};
use crate::draw::Draw;
use crate::facts;
use crate::identify::{Identified, Running};
use crate::issue::record_of;
use crate::ledger::{Gathered, carry};
use crate::permit::{Grant, Permit, family_of};
use crate::plan::{OnceKind, Outcome, Plan, Precondition};
use crate::refusal::{Cause, Refusal};
use crate::replay::Fresh;
use crate::task::who;
use crate::world::approval::State;
use crate::world::{Task, World};
use audit::event::{CredentialClass, Decision, Ruling, What, Who, Why};
use audit::{Event, EventKind};
use credential::{AccessTokenClaims, AgentTask, Binding, Constraints, EntryPlace, Verified};
use identity::{ActorChain, ApprovalId, Audience, Name, OrgScope, TaskId, Thumbprint, TokenId, UnixTime};
use policy::{
    Allowed, ChainVerdict, Denial, Evaluations, Facts, FlowFacts, Reason, Stage, Verdict, WorkflowFacts,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Longest life of an access token, in seconds.
pub const ACCESS_TOKEN_SECS: u64 = 300;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The one audience.
    pub audience: Audience,
    /// The actions; empty for all that the contract grants there.
    pub actions: BTreeSet<Name>,
    /// The task; the instance's own, if left out.
    pub task: Option<TaskId>,
    /// The tenant; has to be the task's, if given.
    pub tenant: Option<Name>,
    /// The purpose; has to be the contract's, if given.
    pub purpose: Option<Name>,
    /// The approval that the credential shall be good for, and for nothing else.
    pub approval: Option<ApprovalId>,
    /// The key that the credential is bound to.
    pub binding: Binding,
    /// Latest end that the caller's own credentials allow.
    pub not_after: UnixTime,
}

/// Who acts: the chain with the contracts that judge it, and what the Ledger knows.
#[derive(Debug, Clone, Copy)]
pub struct Acting<'a> {
    /// On whose behalf.
    pub behalf: &'a Behalf,
    /// The whole chain, the caller last; made by [`chain_of`](crate::behalf::chain_of).
    pub chain: &'a ActorChain,
    /// Its parties, looked up.
    pub parties: &'a Parties,
    /// Its agents with their contracts.
    pub links: &'a [LinkInForce],
    /// What was gathered for this request.
    pub gathered: &'a Gathered,
}

/// How the caller proved its key for this very request.
#[derive(Debug)]
pub enum Possession {
    /// A DPoP proof, not seen before.
    Proof(Fresh),
    /// The connection's own X.509-SVID.
    Connection,
}

/// Decides one exchange. Of all that is decided on one `possession` one commit alone succeeds, so a decision that went
/// stale is made again with the same: a proof is never given back in between.
#[expect(
    clippy::needless_pass_by_value,
    reason = "an identity is spent: it authorises one exchange"
)]
pub fn exchange(
    world: &World,
    acting: Acting<'_>,
    subject: Identified,
    possession: &Possession,
    ask: Ask,
    draw: &mut Draw<'_>,
) -> Outcome<Permit> {
    let now = draw.now();
    let mut event = draw.event(EventKind::TokenExchanged, world.revision());
    event.org = Some(subject.agent.org);
    event.what = Some(What {
        audience: Some(ask.audience.clone()),
        ..What::default()
    });
    let mut judged = judge(world, acting, &subject, &ask, now, draw);
    fill(&mut event, &subject, &mut judged, acting, draw);
    let plan = match judged.ruling {
        Ok(allowed) => grant(world, acting, &subject, ask, judged.task, &allowed, event, draw),
        Err(cause) => {
            let Some(mut decision) = event.decision.take() else {
                return refused(world, event, cause, Decision::new(draw.id(), Ruling::Deny));
            };
            decision.id = draw.id();
            return refused(world, event, cause, decision);
        }
    };
    Outcome::Granted(spend(plan, possession))
}

/// A DPoP proof at the token endpoint is spent in the very commit that it guards, so it is dead after a restart too.
fn spend(plan: Plan<Permit>, possession: &Possession) -> Plan<Permit> {
    match possession {
        Possession::Connection => plan,
        Possession::Proof(fresh) => {
            let mut key = [0; 32];
            if let Some(slot) = key.first_chunk_mut() {
                *slot = fresh.key();
            }
            plan.expecting(Precondition::Unused {
                kind: OnceKind::DpopProof,
                key,
                until: fresh.until(),
            })
        }
    }
}

/// A judgement, before anything is written down.
struct Judged {
    task: Option<Arc<Task>>,
    ruling: Result<Vec<(Name, Allowed)>, Cause>,
    rows: Vec<policy::FactRow>,
    links: Vec<policy::LinkVerdict>,
}

impl Judged {
    const fn stopped(task: Option<Arc<Task>>, cause: Cause) -> Self {
        Self {
            task,
            ruling: Err(cause),
            rows: Vec::new(),
            links: Vec::new(),
        }
    }
    const fn at(task: Option<Arc<Task>>, member: &'static str, reason: Reason) -> Self {
        Self::stopped(task, Cause::Details { member, reason })
    }
}

fn judge(
    world: &World,
    acting: Acting<'_>,
    subject: &Identified,
    ask: &Ask,
    now: UnixTime,
    draw: &Draw<'_>,
) -> Judged {
    let Some(running) = subject.running else {
        return Judged::stopped(None, Cause::Subject(Reason::AttestationRequired));
    };
    let Some(own) = acting.links.last() else {
        return Judged::stopped(None, Cause::Subject(Reason::NoContract));
    };
    if acting.gathered.suspended {
        return Judged::stopped(None, Cause::Subject(Reason::BudgetExhausted));
    }
    let scope = OrgScope::Only(subject.agent.org);
    let asked = task_of(acting.behalf, ask, subject);
    let known = asked.and_then(|task| world.task(scope, task)).cloned();
    let task = match (&acting.behalf, known) {
        (Behalf::Token(_), Some(task)) if ask.task.is_none_or(|asked| asked == task.id) => task,
        (Behalf::Own | Behalf::User(_), Some(task))
            if task.agent == subject.agent.id && task.id == running.task =>
        {
            task
        }
        _ => return Judged::at(None, "task", Reason::TaskScope),
    };
    if !world.is_task_open(scope, task.id, now) {
        return Judged::at(Some(task), "task", Reason::TaskExpired);
    }
    if ask
        .tenant
        .as_ref()
        .is_some_and(|tenant| task.tenant.as_ref() != Some(tenant))
    {
        return Judged::at(Some(task), "tenant", Reason::TenantBoundary);
    }
    let terms = own.compiled.contract().terms();
    if ask
        .purpose
        .as_ref()
        .is_some_and(|purpose| *purpose != terms.purpose.id)
    {
        return Judged::at(Some(task), "purpose", Reason::OutsidePurpose);
    }
    if let Some(approval) = ask.approval
        && let Err(reason) = approved(world, approval, subject, &task, now)
    {
        return Judged::at(Some(task), "approval", reason);
    }
    let to = receiver(world, &subject.agent, &ask.audience);
    let known = to.is_some()
        || world
            .upstreams(scope)
            .any(|upstream| upstream.audience == ask.audience)
        || excepted(own, &ask.audience, now).next().is_some()
        || terms
            .grants
            .iter()
            .any(|grant| grant.services.contains(&ask.audience));
    if !known {
        return Judged::stopped(Some(task), Cause::Target(Reason::NotFound));
    }
    // Whoever is in the chain already gets nothing handed on, itself included.
    if let Some(to) = to
        && acting.parties.agents.iter().any(|agent| agent.id == to.id)
    {
        return Judged::stopped(Some(task), Cause::Target(Reason::Loop));
    }
    let parent = parent_actions(acting.behalf);
    if let Some(parent) = &parent
        && !ask.actions.is_subset(parent)
    {
        return Judged::at(Some(task), "actions", Reason::ScopeWidened);
    }
    let actions = wanted(own, ask, to.is_some(), parent.as_ref(), now);
    decide_all(world, acting, subject, ask, &task, to, actions, now, draw)
}

/// The actions that are decided on: those that were asked for by name, else all that the contract grants there; of a token
/// that was handed on, no more than it covers.
pub(crate) fn wanted(
    own: &LinkInForce,
    ask: &Ask,
    hands_on: bool,
    parent: Option<&BTreeSet<Name>>,
    now: UnixTime,
) -> BTreeSet<Name> {
    let mut actions: BTreeSet<Name> = if ask.actions.is_empty() {
        let grants = own.compiled.contract().terms().grants.iter();
        let here = grants.filter(|grant| hands_on || grant.services.contains(&ask.audience));
        here.flat_map(|grant| &grant.actions)
            .chain(excepted(own, &ask.audience, now).map(|terms| &terms.action))
            .cloned()
            .collect()
    } else {
        ask.actions.clone()
    };
    if let Some(parent) = parent {
        actions.retain(|action| parent.contains(action));
    }
    actions
}

/// What the agent may do there besides its contract, for a while.
fn excepted<'a>(
    own: &'a LinkInForce,
    audience: &'a Audience,
    now: UnixTime,
) -> impl Iterator<Item = &'a policy::ExceptionTerms> {
    let open = own
        .exceptions
        .iter()
        .filter(move |exception| exception.is_open(now));
    open.map(policy::Exception::terms)
        .filter(move |terms| terms.audience == *audience)
}

/// Whether a credential may be issued for what that approval approved: it is this agent's, for this task, and good now.
/// It is not spent by that: the call spends it.
fn approved(
    world: &World,
    id: ApprovalId,
    subject: &Identified,
    task: &Task,
    now: UnixTime,
) -> Result<(), Reason> {
    let known = world.approval(OrgScope::Only(task.org), id);
    let own = known.filter(|known| known.agent == subject.agent.id && known.task == task.id);
    match own.map(|known| known.state(now)) {
        None => Err(Reason::ApprovalOutOfScope),
        Some(State::Approved) => Ok(()),
        Some(State::Pending) => Err(Reason::NeedsApproval),
        Some(State::Denied) => Err(Reason::ApprovalDenied),
        Some(State::Used) => Err(Reason::ApprovalUsed),
        Some(State::Expired | State::Withdrawn) => Err(Reason::ApprovalExpired),
    }
}

/// Where an action would be done: at the audience; with a token that is handed on, at any service that grants it.
pub(crate) fn places<'a>(
    ask: &'a Ask,
    own: &'a LinkInForce,
    to: Option<&Arc<crate::world::Agent>>,
    action: &Name,
) -> Vec<&'a Audience> {
    if to.is_none() {
        return vec![&ask.audience];
    }
    let grants = own.compiled.contract().terms().grants.iter();
    let places: BTreeSet<&Audience> = grants
        .filter(|grant| grant.actions.contains(action))
        .flat_map(|grant| &grant.services)
        .collect();
    if places.is_empty() {
        return vec![&ask.audience];
    }
    places.into_iter().collect()
}

/// One decision an action, along the chain. Asked for by name, one denial denies all; not named, what is allowed is
/// granted.
#[expect(
    clippy::too_many_arguments,
    reason = "what one decision is made of, each from another place"
)]
fn decide_all(
    world: &World,
    acting: Acting<'_>,
    subject: &Identified,
    ask: &Ask,
    task: &Arc<Task>,
    to: Option<&Arc<crate::world::Agent>>,
    actions: BTreeSet<Name>,
    now: UnixTime,
    draw: &Draw<'_>,
) -> Judged {
    let assurance = match acting.behalf {
        Behalf::Token(token) => subject.assurance.min(token.claims().assurance),
        Behalf::Own | Behalf::User(_) => subject.assurance,
    };
    let parent = parent_actions(acting.behalf);
    let parent: Option<Vec<Name>> = parent.map(|actions| actions.into_iter().collect());
    let mut evaluations = Evaluations::default();
    let mut decide_one =
        |action: &Name, keeps: &dyn Fn(&Verdict) -> bool, rows: &mut Vec<policy::FactRow>| {
            let mut judged: Option<ChainVerdict> = None;
            for audience in acting
                .links
                .last()
                .map_or_else(Vec::new, |own| places(ask, own, to, action))
            {
                let base = Facts {
                    assurance,
                    evidence_age_secs: now.millis_since(subject.attested_at) / 1000,
                    stage: Stage::Exchange,
                    caller: policy::Caller::Agent,
                    loops: false,
                    task_scope: parent.as_deref(),
                    flow: FlowFacts::default(),
                    workflow: WorkflowFacts::default(),
                    resource: policy::ResourceFacts {
                        tenant: task.tenant.as_ref(),
                        ..policy::ResourceFacts::default()
                    },
                    ..Facts::least(task.org, subject.agent.id, facts::of_task(task), action, audience)
                };
                let asked = Asked {
                    world,
                    links: acting.links,
                    to: to.map(|to| &to.name),
                    parties: acting.parties,
                    task,
                    gathered: acting.gathered,
                    action,
                    audience,
                    tenant: task.tenant.as_ref(),
                    destinations: &[],
                    approvals: &[],
                    now,
                    names: draw.names(),
                };
                let found = asked.decide(&base, keeps, rows, &mut evaluations);
                let allows = found.verdict.is_allowed();
                if allows || judged.is_none() {
                    judged = Some(found);
                }
                if allows {
                    break;
                }
            }
            judged.unwrap_or_else(ChainVerdict::nobody)
        };
    let denies_all = |verdict: &Verdict| matches!(verdict, Verdict::Deny(_)) && !ask.actions.is_empty();
    let mut allowed = Vec::new();
    let mut denied: Option<Denial> = None;
    let mut rows = Vec::new();
    let mut links = Vec::new();
    let last = actions.len().saturating_sub(1);
    let mut again = None;
    for (place, action) in actions.into_iter().enumerate() {
        // The entry keeps the facts of one decision: the one that ended it.
        let keeps = |verdict: &Verdict| place == last || denies_all(verdict);
        let ChainVerdict { links: each, verdict } = decide_one(&action, &keeps, &mut rows);
        let denies_all = denies_all(&verdict);
        match verdict {
            Verdict::Allow(yes) => {
                allowed.push((action, yes));
                links = each;
            }
            Verdict::Deny(denial) if denies_all => {
                return Judged {
                    task: Some(task.clone()),
                    ruling: Err(Cause::Denied(Box::new(denial))),
                    rows,
                    links: each,
                };
            }
            Verdict::Deny(denial) => {
                denied = Some(denial);
                if allowed.is_empty() {
                    links = each;
                } else if place == last {
                    again = allowed.last().map(|(action, _)| action.clone());
                }
            }
        }
    }
    // The last action was refused and an earlier one is granted: the facts that the entry keeps are those of a decision
    // that came out as the entry says.
    if let Some(action) = again {
        links = decide_one(&action, &|_| true, &mut rows).links;
    }
    let ruling = if allowed.is_empty() {
        Err(denied.map_or(Cause::Target(Reason::ActionNotGranted), |denial| {
            Cause::Denied(Box::new(denial))
        }))
    } else {
        Ok(allowed)
    };
    Judged {
        task: Some(task.clone()),
        ruling,
        rows,
        links,
    }
}

/// Writes what is known whatever the ruling was.
fn fill(event: &mut Event, subject: &Identified, judged: &mut Judged, acting: Acting<'_>, draw: &Draw<'_>) {
    let agent = &subject.agent;
    event.chain = facts::links(acting.chain, &judged.links, draw.names());
    event.who = Some(Who {
        instance: subject.running.map(|running| running.instance),
        run: subject.running.map(|running| running.run),
        node: Some(subject.node),
        assurance: Some(subject.assurance.into()),
        evidence: Some(subject.evidence),
        ..who(agent)
    });
    let own = acting.links.last();
    let purpose = own.map(|link| link.compiled.contract().terms().purpose.id.to_string());
    event.why = Some(Why {
        task: judged.task.as_ref().map(|task| task.id),
        task_type: judged.task.as_ref().map(|task| task.kind.to_string()),
        tenant_actor: judged
            .task
            .as_ref()
            .and_then(|task| task.tenant.as_ref().map(ToString::to_string)),
        purpose,
        contract: own.map(|link| link.record.hash),
        ..Why::default()
    });
    let mut decision = Decision::new(identity::DecisionId::from_u128(0), Ruling::Deny);
    decision.contract = own.map(|link| link.record.hash);
    decision.contract_version = own.map(|link| link.record.version);
    decision.facts = facts::recorded(std::mem::take(&mut judged.rows));
    event.decision = Some(decision);
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one credential, each from another place"
)]
fn grant(
    world: &World,
    acting: Acting<'_>,
    subject: &Identified,
    ask: Ask,
    task: Option<Arc<Task>>,
    allowed: &[(Name, Allowed)],
    mut event: Event,
    draw: &mut Draw<'_>,
) -> Plan<Permit> {
    let now = draw.now();
    let agent = &subject.agent;
    let issuer = world
        .founding()
        .map(|founding| founding.issuer.clone())
        .unwrap_or_default();
    let token: TokenId = draw.id();
    let decision_id = draw.id();
    let task_end = task.as_ref().map_or(UnixTime::MAX, |task| task.expires_at);
    let actions: BTreeSet<Name> = allowed.iter().map(|(action, _)| action.clone()).collect();
    // A credential does not outlive an exception that anybody in its chain could have needed for it.
    let exception_end = acting
        .links
        .iter()
        .flat_map(|link| excepted(link, &ask.audience, now))
        .filter(|terms| actions.contains(&terms.action))
        .map(|terms| terms.until)
        .min()
        .unwrap_or(UnixTime::MAX);
    let own = acting.links.last();
    let rights_end = rights_end(world, acting, &ask, task.as_deref(), &actions, now);
    let approval = ask.approval;
    let purpose = own.map(|link| link.compiled.contract().terms().purpose.id.clone());
    let tenant = task.as_ref().and_then(|task| task.tenant.clone());
    let detail = AgentTask {
        task: task.as_ref().map(|task| task.id),
        purpose,
        actions: Some(actions),
        locations: None,
        datatypes: None,
        data_domains: None,
        tenant: tenant.clone(),
        workflow: None,
        step: None,
        constraints: Constraints::default(),
        approval: ask.approval,
    };
    let claims = AccessTokenClaims {
        issuer,
        chain: acting.chain.clone(),
        audience: ask.audience,
        client_id: agent.spiffe_id.to_string(),
        issued_at: now,
        valid_from: now,
        expires_at: now
            .plus_secs(ACCESS_TOKEN_SECS)
            .min(ask.not_after)
            .min(task_end)
            .min(exception_end)
            .min(rights_end)
            .min(agent.expires_at),
        token,
        family: match acting.behalf {
            Behalf::Token(parent) => parent.claims().family,
            Behalf::Own | Behalf::User(_) => family_of(token),
        },
        binding: ask.binding,
        details: vec![detail],
        scope: None,
        revision: world.revision(),
        // Known only once it is recorded; see `token_for`.
        entry: EntryPlace {
            origin: String::new(),
            index: 0,
        },
        agent: agent.id,
        instance: subject.running.map_or_else(
            || identity::InstanceId::from_u128(0),
            |running: Running| running.instance,
        ),
        node: Some(subject.node),
        org: agent.org,
        tenant,
        task: task.map(|task| task.id),
        assurance: match acting.behalf {
            Behalf::Token(parent) => subject.assurance.min(parent.claims().assurance),
            Behalf::Own | Behalf::User(_) => subject.assurance,
        },
        contract: own.map_or(identity::Digest::from_bytes([0; 32]), |link| link.record.hash),
        decision: decision_id,
    };
    if let Some(what) = &mut event.what {
        what.action = Some(join(allowed.iter().map(|(action, _)| action.as_str())));
    }
    if let Some(why) = &mut event.why {
        why.approval = approval;
        why.business_action = allowed
            .first()
            .and_then(|(_, allowed)| allowed.business_action().map(str::to_owned));
    }
    if let Some(decision) = &mut event.decision {
        decision.id = decision_id;
        decision.outcome = Ruling::Allow;
        facts::allowed(decision, allowed.first().map(|(_, allowed)| allowed));
    }
    // Plain numbers and texts: their form cannot fail.
    let carried = carry(&mut event, &acting.gathered.taken, None);
    debug_assert!(carried.is_ok(), "{carried:?}");
    let bound = bound_key(&claims.binding);
    let grant = Grant::AccessToken(Box::new(claims));
    let mut record = record_of(&grant, CredentialClass::AccessToken, Some(bound));
    if let Behalf::Token(parent) = acting.behalf {
        record.parent = Some(parent.claims().token.to_string());
    }
    event.credential = Some(record);
    Plan::new(world.revision(), event, Permit::new(grant))
}

/// When the first of the user's rights ends that only a decision point's answer gives: no credential outlives it.
fn rights_end(
    world: &World,
    acting: Acting<'_>,
    ask: &Ask,
    task: Option<&Task>,
    actions: &BTreeSet<Name>,
    now: UnixTime,
) -> UnixTime {
    let (Some(party), Some(own), Some(task)) = (&acting.parties.user, acting.links.last(), task) else {
        return UnixTime::MAX;
    };
    let to = receiver(world, &own.agent, &ask.audience);
    let mut end = UnixTime::MAX;
    for action in actions {
        for place in places(ask, own, to, action) {
            for link in acting.links {
                let (agent, tenant) = (&link.agent.name, task.tenant.as_ref());
                if !party.may_by_the_org(agent, place, action, tenant, now)
                    && let Some(answer) = party.answer(agent, place, action, tenant, now)
                    && answer.yes
                {
                    end = end.min(answer.until);
                }
            }
        }
    }
    end
}

fn refused<P>(world: &World, mut event: Event, cause: Cause, mut decision: Decision) -> Outcome<P> {
    event.kind = EventKind::TokenDenied;
    let refusal = Refusal::new(decision.id, cause);
    decision.reasons = refusal.codes();
    if let Cause::Denied(denial) = refusal.cause() {
        facts::denied(&mut decision, denial);
    }
    event.decision = Some(decision);
    Outcome::Refused(Plan::new(world.revision(), event, refusal))
}

fn bound_key(binding: &Binding) -> Thumbprint {
    match binding {
        Binding::Key(key) | Binding::Certificate(key) => *key,
    }
}

fn join<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    parts.collect::<Vec<_>>().join(" ")
}

/// Records a refusal of a caller who is known but has nothing acceptable to show. `subject` says, for operators only,
/// what was wrong with what it showed for somebody else; it never holds any of it.
pub fn refuse_subject(
    world: &World,
    svid: &Verified<credential::JwtSvidClaims>,
    reason: Reason,
    subject: Option<&str>,
    draw: &mut Draw<'_>,
) -> Plan<Refusal> {
    let mut event = draw.event(EventKind::TokenDenied, world.revision());
    let agent = world.agent_of(OrgScope::Every, &svid.claims().spiffe_id);
    event.org = agent.map(|agent| agent.org);
    event.who = Some(agent.map_or_else(
        || Who {
            spiffe_id: Some(svid.claims().spiffe_id.clone()),
            ..Who::default()
        },
        |agent| who(agent),
    ));
    let refusal = Refusal::new(draw.id(), Cause::Subject(reason));
    let mut decision = Decision::new(refusal.decision(), Ruling::Deny);
    decision.reasons = refusal.codes();
    if let Some(subject) = subject {
        facts::limit(&mut decision, reason, subject);
    }
    event.decision = Some(decision);
    Plan::new(world.revision(), event, refusal)
}

//! Exchange: an identity becomes a credential for one audience, one task, minutes (RFC 8693).
//!
//! Granted is what was asked for, inside the contract, inside the task. A new action is a new credential, never a
//! broadened one. The chain is the subject's own: nobody but this function writes it, and leaving out an actor token
//! drops nobody.

use crate::draw::Draw;
use crate::facts;
use crate::identify::{Identified, Running};
use crate::issue::record_of;
use crate::permit::{Grant, Permit, family_of};
use crate::plan::{OnceKind, Outcome, Plan, Precondition};
use crate::refusal::{Cause, Refusal};
use crate::replay::Fresh;
use crate::task::who;
use crate::world::{ContractRecord, Task, World};
use audit::event::{CredentialClass, Decision, Link as ChainLink, LinkVerdict, Ruling, What, Who, Why};
use audit::{Event, EventKind};
use credential::{AccessTokenClaims, AgentTask, Binding, Constraints, EntryPlace};
use identity::{
    Actor, ActorChain, ActorKind, Audience, Name, OrgScope, TaskId, Thumbprint, TokenId, UnixTime,
};
use policy::{Allowed, Compiled, Denial, Facts, Reason, Stage, Verdict};
use std::collections::BTreeSet;

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
    /// The key that the credential is bound to.
    pub binding: Binding,
    /// Latest end that the caller's own credentials allow.
    pub not_after: UnixTime,
}

/// How the caller proved its key for this very request.
#[derive(Debug)]
pub enum Possession {
    /// A DPoP proof, not seen before.
    Proof(Fresh),
    /// The connection's own X.509-SVID.
    Connection,
}

/// The contract that the agent acts under, with its compiled form.
#[derive(Debug, Clone, Copy)]
pub struct ContractInForce<'a> {
    /// As it was published.
    pub record: &'a ContractRecord,
    /// As it is evaluated.
    pub compiled: &'a Compiled,
}

/// Decides one exchange.
#[expect(
    clippy::needless_pass_by_value,
    reason = "an identity is spent: it authorises one exchange"
)]
pub fn exchange(
    world: &World,
    contract: ContractInForce<'_>,
    subject: Identified,
    possession: Possession,
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
    let mut judged = judge(world, contract, &subject, &ask, now);
    fill(&mut event, &subject, &mut judged, contract);
    let plan = match judged.ruling {
        Ok(allowed) => grant(world, contract, &subject, ask, judged.task, &allowed, event, draw),
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
fn spend(plan: Plan<Permit>, possession: Possession) -> Plan<Permit> {
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
    task: Option<std::sync::Arc<Task>>,
    ruling: Result<Vec<(Name, Allowed)>, Cause>,
    rows: Vec<policy::FactRow>,
}

fn judge(
    world: &World,
    contract: ContractInForce<'_>,
    subject: &Identified,
    ask: &Ask,
    now: UnixTime,
) -> Judged {
    let stop = |task, cause| Judged {
        task,
        ruling: Err(cause),
        rows: Vec::new(),
    };
    let Some(running) = subject.running else {
        return stop(None, Cause::Subject(Reason::AttestationRequired));
    };
    let scope = OrgScope::Only(subject.agent.org);
    let task_id = ask.task.unwrap_or(running.task);
    let task = match world.task(scope, task_id) {
        Some(task) if task.agent == subject.agent.id && task.id == running.task => task.clone(),
        _ => {
            return stop(
                None,
                Cause::Details {
                    member: "task",
                    reason: Reason::TaskScope,
                },
            );
        }
    };
    if !task.is_open(now) {
        return stop(
            Some(task),
            Cause::Details {
                member: "task",
                reason: Reason::TaskExpired,
            },
        );
    }
    if ask
        .tenant
        .as_ref()
        .is_some_and(|tenant| task.tenant.as_ref() != Some(tenant))
    {
        return stop(
            Some(task),
            Cause::Details {
                member: "tenant",
                reason: Reason::TenantBoundary,
            },
        );
    }
    let terms = contract.compiled.contract().terms();
    if ask
        .purpose
        .as_ref()
        .is_some_and(|purpose| *purpose != terms.purpose.id)
    {
        return stop(
            Some(task),
            Cause::Details {
                member: "purpose",
                reason: Reason::OutsidePurpose,
            },
        );
    }
    let known = world
        .upstreams(scope)
        .any(|upstream| upstream.audience == ask.audience)
        || terms
            .grants
            .iter()
            .any(|grant| grant.services.contains(&ask.audience));
    if !known {
        return stop(Some(task), Cause::Target(Reason::NotFound));
    }
    let actions: BTreeSet<Name> = if ask.actions.is_empty() {
        let here = terms
            .grants
            .iter()
            .filter(|grant| grant.services.contains(&ask.audience));
        here.flat_map(|grant| grant.actions.iter().cloned()).collect()
    } else {
        ask.actions.clone()
    };
    decide_all(contract, subject, ask, &task, actions, now)
}

/// One decision an action. Asked for by name, one denial denies all; not named, what is allowed is granted.
fn decide_all(
    contract: ContractInForce<'_>,
    subject: &Identified,
    ask: &Ask,
    task: &std::sync::Arc<Task>,
    actions: BTreeSet<Name>,
    now: UnixTime,
) -> Judged {
    let mut allowed = Vec::new();
    let mut denied: Option<Denial> = None;
    let mut rows = Vec::new();
    let last = actions.len().saturating_sub(1);
    for (place, action) in actions.into_iter().enumerate() {
        let facts = Facts {
            assurance: subject.assurance,
            evidence_age_secs: now.millis_since(subject.attested_at) / 1000,
            stage: Stage::Exchange,
            caller: policy::Caller::Agent,
            link: policy::Link::ALONE,
            reviewed_at: contract.record.published_at,
            resource: policy::ResourceFacts {
                tenant: task.tenant.as_ref(),
                ..policy::ResourceFacts::default()
            },
            ..Facts::least(
                task.org,
                subject.agent.id,
                facts::of_task(task),
                &action,
                &ask.audience,
            )
        };
        let verdict = policy::decide(contract.compiled, &facts, now);
        let denies_all = matches!(verdict, Verdict::Deny(_)) && !ask.actions.is_empty();
        if denies_all || place == last {
            // The entry keeps the facts of one decision: the one that ended it.
            rows = facts.rows(now);
        }
        match verdict {
            Verdict::Allow(yes) => allowed.push((action, yes)),
            Verdict::Deny(denial) if denies_all => {
                return Judged {
                    task: Some(task.clone()),
                    ruling: Err(Cause::Denied(Box::new(denial))),
                    rows,
                };
            }
            Verdict::Deny(denial) => denied = Some(denial),
        }
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
    }
}

/// Writes what is known whatever the ruling was.
fn fill(event: &mut Event, subject: &Identified, judged: &mut Judged, contract: ContractInForce<'_>) {
    let agent = &subject.agent;
    event.who = Some(Who {
        instance: subject.running.map(|running| running.instance),
        run: subject.running.map(|running| running.run),
        node: Some(subject.node),
        assurance: Some(subject.assurance.into()),
        evidence: Some(subject.evidence),
        ..who(agent)
    });
    let purpose = contract.compiled.contract().terms().purpose.id.to_string();
    event.why = Some(Why {
        task: judged.task.as_ref().map(|task| task.id),
        task_type: judged.task.as_ref().map(|task| task.kind.to_string()),
        tenant_actor: judged
            .task
            .as_ref()
            .and_then(|task| task.tenant.as_ref().map(ToString::to_string)),
        purpose: Some(purpose),
        contract: Some(contract.record.hash),
        ..Why::default()
    });
    let mut decision = Decision::new(identity::DecisionId::from_u128(0), Ruling::Deny);
    decision.contract = Some(contract.record.hash);
    decision.contract_version = Some(contract.record.version);
    decision.facts = facts::recorded(std::mem::take(&mut judged.rows));
    event.decision = Some(decision);
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one credential, each from another place"
)]
fn grant(
    world: &World,
    contract: ContractInForce<'_>,
    subject: &Identified,
    ask: Ask,
    task: Option<std::sync::Arc<Task>>,
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
    let actor = Actor {
        kind: ActorKind::AiAgent,
        issuer: issuer.clone(),
        id: agent.spiffe_id.to_string(),
    };
    let chain = ActorChain::starting_with(actor);
    let token: TokenId = draw.id();
    let decision_id = draw.id();
    let task_end = task.as_ref().map_or(UnixTime::MAX, |task| task.expires_at);
    let actions: BTreeSet<Name> = allowed.iter().map(|(action, _)| action.clone()).collect();
    let purpose = contract.compiled.contract().terms().purpose.id.clone();
    let tenant = task.as_ref().and_then(|task| task.tenant.clone());
    let detail = AgentTask {
        task: task.as_ref().map(|task| task.id),
        purpose: Some(purpose),
        actions: Some(actions),
        locations: None,
        datatypes: None,
        data_domains: None,
        tenant: tenant.clone(),
        workflow: None,
        step: None,
        constraints: Constraints::default(),
        approval: None,
    };
    let claims = AccessTokenClaims {
        issuer,
        chain: chain.clone(),
        audience: ask.audience,
        client_id: agent.spiffe_id.to_string(),
        issued_at: now,
        valid_from: now,
        expires_at: now
            .plus_secs(ACCESS_TOKEN_SECS)
            .min(ask.not_after)
            .min(task_end)
            .min(agent.expires_at),
        token,
        family: family_of(token),
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
        assurance: subject.assurance,
        contract: contract.record.hash,
        decision: decision_id,
    };
    event.chain = chain
        .actors()
        .iter()
        .map(|actor| ChainLink::of(actor, Some(LinkVerdict::Allow), draw.names()))
        .collect();
    if let Some(what) = &mut event.what {
        what.action = Some(join(allowed.iter().map(|(action, _)| action.as_str())));
    }
    if let Some(why) = &mut event.why {
        why.business_action = allowed
            .first()
            .and_then(|(_, allowed)| allowed.business_action().map(str::to_owned));
    }
    if let Some(decision) = &mut event.decision {
        decision.id = decision_id;
        decision.outcome = Ruling::Allow;
        facts::allowed(decision, allowed.first().map(|(_, allowed)| allowed));
    }
    let bound = bound_key(&claims.binding);
    let grant = Grant::AccessToken(Box::new(claims));
    event.credential = Some(record_of(&grant, CredentialClass::AccessToken, Some(bound)));
    Plan::new(world.revision(), event, Permit::new(grant))
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

/// Records a refusal of a subject that did verify but is not acceptable.
pub fn refuse_subject(
    world: &World,
    svid: &credential::Verified<credential::JwtSvidClaims>,
    reason: Reason,
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
    event.decision = Some(decision);
    Plan::new(world.revision(), event, refusal)
}

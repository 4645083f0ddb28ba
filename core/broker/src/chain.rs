//! The chain behind a request: who its agents are, which contract judges each, and for which user.
//!
//! Every hop is looked up again on every exchange and every call: an agent that was stopped, or a user whose rights
//! ended, takes the whole chain with it.

use crate::facts;
use crate::ledger::Gathered;
use crate::world::directory::holds;
use crate::world::{Agent, ContractRecord, Said, Task, User, World};
use audit::event::{Commitment, CommitmentKey};
use identity::{Actor, ActorChain, ActorKind, Audience, Digest, Name, OrgScope, SpiffeId, UnixTime};
use policy::contract::TrustedFrom;
use policy::{
    ChainLink, ChainVerdict, Compiled, Facts, FlowFacts, Link, Reason, UserFacts, Verdict, WorkflowFacts,
    decide_chain,
};
use std::sync::Arc;

/// One agent of a chain with the contract that it acts under.
#[derive(Debug, Clone)]
pub struct LinkInForce {
    /// The agent.
    pub agent: Arc<Agent>,
    /// Its contract, as it was published.
    pub record: Arc<ContractRecord>,
    /// Its contract, as it is evaluated.
    pub compiled: Arc<Compiled>,
}

/// The parties of a chain, looked up: its agents from the first to the current actor, and the user at its beginning.
#[derive(Debug, Clone)]
pub struct Parties {
    /// The agents; never empty, the current actor last.
    pub agents: Vec<Arc<Agent>>,
    /// The user; `None` where an agent or a service stands at the beginning.
    pub user: Option<Party>,
    /// Number of parties in all.
    pub depth: u8,
}

/// A user at the beginning of a chain.
#[derive(Debug, Clone)]
pub struct Party {
    /// As the chain names them.
    pub actor: Actor,
    /// What the org knows of them; `None` gives no right.
    pub user: Option<Arc<User>>,
    /// What they say themselves about agents that act for them.
    pub said: Said,
}

/// Looks up the parties of `chain`. Whether each is alive is for the caller to judge.
pub fn parties(world: &World, scope: OrgScope, chain: &ActorChain) -> Result<Parties, Reason> {
    let mut agents = Vec::with_capacity(chain.depth());
    let mut user = None;
    for (place, actor) in chain.actors().iter().enumerate() {
        match actor.kind {
            ActorKind::AiAgent => {
                let id: SpiffeId = actor.id.parse().map_err(|_| Reason::IdentityRevoked)?;
                agents.push(
                    world
                        .agent_of(scope, &id)
                        .cloned()
                        .ok_or(Reason::IdentityRevoked)?,
                );
            }
            // Only the originating principal is a user: nobody else writes chains.
            ActorKind::User if place == 0 => {
                let OrgScope::Only(org) = scope else {
                    return Err(Reason::IdentityRevoked);
                };
                // Who is authenticated by an issuer that is trusted no more may do nothing.
                let trusted = world.trust_source(scope, org, &actor.issuer).is_some();
                let user_of = || world.user(scope, org, &actor.issuer, &actor.id).cloned();
                user = Some(Party {
                    actor: actor.clone(),
                    user: trusted.then(user_of).flatten(),
                    said: world.said(scope, org, &actor.issuer, &actor.id),
                });
            }
            ActorKind::User | ActorKind::Service => return Err(Reason::IdentityRevoked),
        }
    }
    if agents.is_empty() {
        return Err(Reason::IdentityRevoked);
    }
    Ok(Parties {
        agents,
        user,
        depth: u8::try_from(chain.depth()).unwrap_or(u8::MAX),
    })
}

/// What is the same for every link of one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) world: &'a World,
    pub(crate) links: &'a [LinkInForce],
    /// The agent that the current actor hands a token to, where it asks for one.
    pub(crate) to: Option<&'a Name>,
    pub(crate) parties: &'a Parties,
    pub(crate) task: &'a Arc<Task>,
    pub(crate) gathered: &'a Gathered,
    pub(crate) action: &'a Name,
    pub(crate) audience: &'a Audience,
    pub(crate) tenant: Option<&'a Name>,
    pub(crate) destinations: &'a [&'a str],
    /// The escalations that a human approved exactly this request by, each with its contract.
    pub(crate) approvals: &'a [(Digest, Name)],
    pub(crate) now: UnixTime,
    pub(crate) names: &'a CommitmentKey,
}

impl<'a> Asked<'a> {
    /// The same with these approvals.
    pub(crate) const fn with<'b>(&self, approvals: &'b [(Digest, Name)]) -> Asked<'b>
    where
        'a: 'b,
    {
        Asked { approvals, ..*self }
    }

    /// Decides along the chain. `base` is what the current actor is judged on, but for what the chain and the Ledger
    /// add; `rows` gets its facts as they were looked at, and those of the others as far as they differ, where the verdict
    /// is one whose facts are kept.
    pub(crate) fn decide(
        &self,
        base: &Facts<'_>,
        keeps: impl FnOnce(&Verdict) -> bool,
        rows: &mut Vec<policy::FactRow>,
    ) -> ChainVerdict {
        let Self {
            world,
            links,
            to,
            parties,
            task,
            gathered,
            action,
            audience,
            tenant,
            destinations,
            approvals,
            now,
            names,
        } = *self;
        // A person's name is committed: facts are kept.
        let user_name = parties
            .user
            .as_ref()
            .map(|party| names.commit(Commitment::USER, &party.actor.id).to_string());
        let scope = OrgScope::Only(task.org);
        let known = parties.user.iter().filter_map(|party| party.user.as_ref());
        let groups: Vec<Name> = known.flat_map(|user| user.groups.iter().cloned()).collect();
        let tasks: Vec<Arc<Task>> = links
            .iter()
            .map(|link| task_of(world, scope, task, &link.agent))
            .collect();
        let lasts: Vec<Option<&Name>> = links
            .iter()
            .map(|link| gathered.trail.last.get(&link.agent.name))
            .collect();
        let done: Vec<(Name, i64)> = gathered
            .trail
            .done
            .iter()
            .map(|(step, times)| (step.clone(), *times))
            .collect();
        // An approval is by a contract's own escalation: those of another that are called alike are others.
        let approved: Vec<Vec<Name>> = links
            .iter()
            .map(|link| {
                let own = approvals.iter().filter(|(of, _)| *of == link.record.hash);
                own.map(|(_, name)| name.clone()).collect()
            })
            .collect();
        let first = usize::from(parties.depth).saturating_sub(links.len());
        let mut all = Vec::with_capacity(links.len());
        for (place, link) in links.iter().enumerate() {
            let next = links.get(place + 1).map_or(to, |next| Some(&next.agent.name));
            let own_task = tasks.get(place).unwrap_or(task);
            let user = parties.user.as_ref().map(|party| UserFacts {
                id: user_name.as_deref().unwrap_or_default(),
                groups: &groups,
                entitled: party
                    .user
                    .as_ref()
                    .is_some_and(|user| user.may(&link.agent.name, audience, action, tenant, now))
                    && party.said.lets(&link.agent.name, audience, action, tenant, now),
            });
            all.push(Facts {
                agent: link.agent.id,
                task: facts::of_task(own_task),
                counters: gathered.links.get(place).map_or(&[][..], Vec::as_slice),
                link: Link {
                    position: u8::try_from(first + place + 1).unwrap_or(u8::MAX),
                    depth: parties.depth,
                },
                next,
                // A chain with a loop cannot be made: `ActorChain` refuses it.
                loops: false,
                user,
                flow: FlowFacts {
                    labels: Some(&gathered.labels),
                    trusted: is_trusted(world, scope, link, task, tenant, destinations),
                    ..base.flow
                },
                workflow: WorkflowFacts {
                    last: lasts.get(place).copied().flatten(),
                    done: &done,
                    steps: i64::try_from(gathered.trail.calls).ok(),
                },
                caller: if next.is_some() {
                    policy::Caller::Agent
                } else {
                    base.caller
                },
                approvals: approved.get(place).map_or(&[][..], Vec::as_slice),
                reviewed_at: link.record.published_at,
                ..base.clone()
            });
        }
        let chain: Vec<ChainLink<'_>> = links
            .iter()
            .zip(&all)
            .map(|(link, facts)| ChainLink {
                compiled: &link.compiled,
                facts,
            })
            .collect();
        let Some((actor, before)) = chain.split_last() else {
            // `parties` gives at least one agent. Without one nothing is allowed.
            return ChainVerdict::nobody();
        };
        let verdict = decide_chain(before, *actor, now);
        if keeps(&verdict.verdict) {
            *rows = actor.facts.rows(now);
            let others: Vec<policy::FactRow> = before
                .iter()
                .flat_map(|link| policy::link_rows(rows, link.facts, now))
                .collect();
            rows.extend(others);
        }
        verdict
    }
}

/// The task that an agent of the chain works on: its own among those that led to `task`, else `task` itself.
fn task_of(world: &World, scope: OrgScope, task: &Arc<Task>, agent: &Agent) -> Arc<Task> {
    let mut at = task.clone();
    for _ in 0..identity::CHAIN_DEPTH_MAX {
        if at.agent == agent.id {
            return at;
        }
        match at.parent.and_then(|parent| world.task(scope, parent)) {
            Some(parent) => at = parent.clone(),
            None => break,
        }
    }
    task.clone()
}

/// Whether there is a destination and each was named where the contract looks: by the opener, or in the directory of
/// the task's tenant.
fn is_trusted(
    world: &World,
    scope: OrgScope,
    link: &LinkInForce,
    task: &Task,
    tenant: Option<&Name>,
    destinations: &[&str],
) -> bool {
    let flow = link.compiled.contract().terms().flow.as_ref();
    let looks = |from: TrustedFrom| flow.is_none_or(|flow| flow.trusted_destinations.contains(&from));
    let directory = tenant
        .filter(|_| looks(TrustedFrom::Directory))
        .and_then(|tenant| world.directory(scope, task.org, tenant));
    !destinations.is_empty()
        && destinations.iter().all(|destination| {
            (looks(TrustedFrom::Task) && holds(&task.trusted, destination))
                || directory.is_some_and(|directory| holds(&directory.destinations, destination))
        })
}

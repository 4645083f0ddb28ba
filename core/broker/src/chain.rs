//! The chain behind a request: who its agents are, which contract judges each, and for which user.
//!
//! Every hop is looked up again on every exchange and every call: an agent that was stopped, or a user whose rights
//! ended, takes the whole chain with it.

use crate::facts;
use crate::ledger::{Gathered, TrailKey};
use crate::world::directory::holds;
use crate::world::{
    Agent, Answer, Claimed, ContractRecord, DecisionPoint, Judged, Said, Task, TrustSource, User, UserRight,
    World,
};
use audit::event::{Commitment, CommitmentKey};
use identity::{Actor, ActorChain, ActorKind, Audience, Digest, Name, OrgScope, SpiffeId, UnixTime};
use policy::contract::TrustedFrom;
use policy::{
    ChainLink, ChainVerdict, Compiled, Evaluations, Exception, Facts, FlowFacts, Link, Outside, Reason,
    UserFacts, Verdict, WorkflowFacts, decide_chain,
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
    /// What it may do besides, for a while. Only what is under this very contract counts.
    pub exceptions: Vec<Exception>,
    /// What was counted of the agent before then is not known here; 0 where all of it is.
    pub counted_since: UnixTime,
}

impl LinkInForce {
    /// An agent with the contract that it acts under; `None` where the World has no such contract, or where `compiled`
    /// gives none.
    pub fn of<E>(
        world: &World,
        agent: &Arc<Agent>,
        compiled: impl FnOnce(&Arc<ContractRecord>) -> Result<Arc<Compiled>, E>,
    ) -> Option<Result<Self, E>> {
        let scope = OrgScope::Only(agent.org);
        let record = world.contract(scope, &agent.contract)?;
        let home = world.home(scope, TrailKey(agent.id.as_u128()));
        Some(compiled(record).map(|compiled| Self {
            agent: agent.clone(),
            record: record.clone(),
            compiled,
            exceptions: Vec::new(),
            counted_since: home.map_or_else(UnixTime::default, |home| home.since),
        }))
    }

    /// The same with the exceptions that are open at `now`. What `compiled` gives nothing for permits nothing.
    #[must_use]
    pub fn excepting(
        mut self,
        world: &World,
        now: UnixTime,
        compiled: impl Fn(&crate::world::Exception, &Compiled) -> Option<Exception>,
    ) -> Self {
        let known = world.exceptions_of(OrgScope::Only(self.agent.org), self.agent.id);
        let open = known.filter(|exception| exception.is_open(now));
        self.exceptions = open.filter_map(|it| compiled(it, &self.compiled)).collect();
        self
    }
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
    /// What the org itself says of them; `None` gives no right.
    pub user: Option<Arc<User>>,
    /// What they say themselves about agents that act for them.
    pub said: Said,
    /// The issuer that the org trusts to say who they are; `None` where it does no more, which leaves no right.
    pub source: Option<Arc<TrustSource>>,
    /// What their issuer says of them; worth what the org's table of now says.
    pub claimed: Option<Arc<Claimed>>,
    /// What the org's decision point says of them.
    pub judged: Option<Arc<Judged>>,
    /// Whether it was asked just now and gave no answer: then only an older one counts that says it may be used again.
    pub unheard: bool,
}

impl Parties {
    /// The same after the decision point of the user's issuer gave no answer.
    #[must_use]
    pub fn unheard(mut self) -> Self {
        if let Some(user) = &mut self.user {
            user.unheard = true;
        }
        self
    }
}

impl Party {
    /// Whether anything is left of their rights.
    pub fn is_known(&self, now: UnixTime) -> bool {
        self.user.as_ref().is_some_and(|user| now < user.expires_at)
            || self.claimed_rights(now).next().is_some()
            || self
                .answers(now)
                .is_some_and(|judged| judged.rights(now).next().is_some())
    }

    /// Whether they may do `action` at `service` through `agent` for `tenant`: on the org's own word, on their issuer's as
    /// far as the org gave it a meaning, or on that of the org's decision point.
    pub fn may(
        &self,
        agent: &Name,
        service: &Audience,
        action: &Name,
        tenant: Option<&Name>,
        now: UnixTime,
    ) -> bool {
        let answer = || self.answer(agent, service, action, tenant, now);
        self.may_by_the_org(agent, service, action, tenant, now) || answer().is_some_and(|it| it.yes)
    }

    /// The same without asking anybody else.
    pub(crate) fn may_by_the_org(
        &self,
        agent: &Name,
        service: &Audience,
        action: &Name,
        tenant: Option<&Name>,
        now: UnixTime,
    ) -> bool {
        let own = self.user.as_ref();
        own.is_some_and(|user| user.may(agent, service, action, tenant, now))
            || self
                .claimed_rights(now)
                .any(|right| right.covers(agent, service, action, tenant))
    }

    /// By the table of now: a value that was taken out of it is worth nothing any more.
    fn claimed_rights(&self, now: UnixTime) -> impl Iterator<Item = &UserRight> {
        let alive = self.claimed.iter().zip(&self.source);
        let alive = alive.filter(move |(claimed, _)| now < claimed.until);
        alive.flat_map(|(claimed, source)| {
            let table = source.rights.as_ref().map(|rights| &rights.values);
            let values = claimed.values.iter();
            values
                .filter_map(move |value| table.and_then(|table| table.get(value)))
                .flatten()
        })
    }

    /// Who else is asked about them.
    pub(crate) fn decision_point(&self) -> Option<&DecisionPoint> {
        self.source.as_ref()?.pdp.as_ref()
    }

    /// What it said, as long as it is the one to ask.
    fn answers(&self, now: UnixTime) -> Option<&Judged> {
        self.decision_point()?;
        self.judged.as_deref().filter(|judged| !judged.is_over(now))
    }

    /// Its answer to that question, if it has one that is good at `now`.
    pub(crate) fn answer(
        &self,
        agent: &Name,
        service: &Audience,
        action: &Name,
        tenant: Option<&Name>,
        now: UnixTime,
    ) -> Option<&Answer> {
        let answer = self.answers(now)?.answer(agent, service, action, tenant, now);
        answer.filter(|answer| !self.unheard || now < answer.fresh_until)
    }

    /// What a decision looks at of that: `None` where nobody else is asked, or where the answer decides nothing.
    fn outside(
        &self,
        agent: &Name,
        service: &Audience,
        action: &Name,
        tenant: Option<&Name>,
        now: UnixTime,
    ) -> Option<Outside> {
        self.decision_point()?;
        if self.may_by_the_org(agent, service, action, tenant, now) {
            return None;
        }
        match self.answer(agent, service, action, tenant, now) {
            Some(answer) => Some(Outside::Said {
                yes: answer.yes,
                age_secs: now.millis_since(answer.asked_at) / 1000,
            }),
            // Whoever was stopped by the user themselves need not wait for anybody's word.
            None => self
                .said
                .lets(agent, service, action, tenant, now)
                .then_some(Outside::Silent),
        }
    }
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
                let source = world.trust_source(scope, org, &actor.issuer);
                let user_of = || world.user(scope, org, &actor.issuer, &actor.id).cloned();
                user = Some(Party {
                    actor: actor.clone(),
                    user: source.and_then(|_| user_of()),
                    source: source.cloned(),
                    claimed: world.claimed(scope, org, &actor.issuer, &actor.id).cloned(),
                    judged: world.judged(scope, org, &actor.issuer, &actor.id).cloned(),
                    unheard: false,
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
    /// is one whose facts are kept; `known` is what the same request came to so far.
    pub(crate) fn decide(
        &self,
        base: &Facts<'_>,
        keeps: impl FnOnce(&Verdict) -> bool,
        rows: &mut Vec<policy::FactRow>,
        known: &mut Evaluations,
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
        let users = parties.user.iter().filter_map(|party| party.user.as_ref());
        let groups: Vec<Name> = users.flat_map(|user| user.groups.iter().cloned()).collect();
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
                entitled: party.may(&link.agent.name, audience, action, tenant, now)
                    && party.said.lets(&link.agent.name, audience, action, tenant, now),
                outside: party.outside(&link.agent.name, audience, action, tenant, now),
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
                exceptions: &link.exceptions,
                facts,
            })
            .collect();
        let Some((actor, before)) = chain.split_last() else {
            // `parties` gives at least one agent. Without one nothing is allowed.
            return ChainVerdict::nobody();
        };
        let verdict = decide_chain(before, *actor, now, known);
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

//! Home: one gateway counts the calls of a task tree, an instance or an agent, and no other decides them.
//!
//! What two gateways count for themselves can be taken twice, and what one has seen read the other would let out. So
//! the first gateway that has a call to decide asks the server to be the home of all that the call is counted on; the
//! Changes are ordered, the first one has it, and every gateway reads in its own World where that is. A home never
//! moves while its gateway is a member. When that was removed, its tasks and processes are over, since nobody else
//! knows what they used and saw; its agents find another, where a window that reaches back into the old one's time
//! counts as unknown.

use crate::chain::LinkInForce;
use crate::draw::Draw;
use crate::ledger::TrailKey;
use crate::plan::{Outcome, Plan};
use crate::world::{Change, NodeRecord, Task, World};
use audit::EventKind;
use audit::event::{Who, Why};
use identity::{AgentId, InstanceId, LogId, OrgId, OrgScope, TaskId, UnixTime};
use policy::contract::RateScope;
use std::collections::BTreeMap;

/// How long after the end of its membership a gateway may still decide: it closes when it has heard nobody for 3 s.
pub const FENCE_SECS: u64 = 5;

/// What the calls of one process in one task are counted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The task at the root of the tree.
    pub task: TaskId,
    /// The process.
    pub instance: InstanceId,
    /// The agents of the chain whose contracts count over all their tasks.
    pub agents: Vec<AgentId>,
}

/// Which gateway counts something, as one of them sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// This one, all of it.
    Ours,
    /// Nobody, some of it: ask the server.
    Nobodys,
    /// Another, some of it.
    Others,
}

impl Counted {
    /// What calls of `instance` in `task` are counted on, by the contracts of their chain.
    pub fn of(task: &Task, instance: InstanceId, links: &[LinkInForce]) -> Self {
        let mut agents: Vec<AgentId> = links
            .iter()
            .filter(|link| counts_over_tasks(link))
            .map(|link| link.agent.id)
            .collect();
        agents.sort_unstable();
        agents.dedup();
        Self {
            task: task.root(),
            instance,
            agents,
        }
    }

    /// The same as keys of the Ledger.
    pub fn keys(&self) -> impl Iterator<Item = TrailKey> {
        let agents = self.agents.iter().map(|agent| TrailKey(agent.as_u128()));
        [TrailKey(self.task.as_u128()), TrailKey(self.instance.as_u128())]
            .into_iter()
            .chain(agents)
    }

    /// Who counts that, for the gateway with the log `own`.
    pub fn whose(&self, world: &World, scope: OrgScope, own: LogId) -> Whose {
        let mut whose = Whose::Ours;
        for key in self.keys() {
            match world.home(scope, key).and_then(|home| home.log) {
                Some(log) if log == own => {}
                Some(_) => return Whose::Others,
                None => whose = Whose::Nobodys,
            }
        }
        whose
    }
}

/// Whether a contract counts calls of the agent over all its tasks. What credentials are counted by is the server's.
fn counts_over_tasks(link: &LinkInForce) -> bool {
    let mut counters = link.compiled.counters().iter();
    counters.any(|counter| counter.id.scope == RateScope::Agent && !counter.id.is_of_exchange())
}

/// What of `wanted` may be at home at `member`, and from when on it is known there: what exists and has no home.
fn homeless(
    world: &World,
    member: &NodeRecord,
    wanted: &Counted,
    now: UnixTime,
) -> Option<(OrgId, Vec<(TrailKey, UnixTime)>)> {
    let reach = member.org.map_or(OrgScope::Every, OrgScope::Only);
    let task = world.task(reach, wanted.task)?;
    let scope = OrgScope::Only(task.org);
    let exists = |key: TrailKey| {
        let is_task = key.0 == task.id.as_u128() && task.root() == task.id && task.is_open(now);
        let is_agent = || world.agent(scope, AgentId::from_u128(key.0)).is_some();
        is_task || world.instance(scope, InstanceId::from_u128(key.0)).is_some() || is_agent()
    };
    let since = |key: TrailKey| match world.home(scope, key) {
        None => Some(UnixTime::default()),
        Some(left) => (left.log.is_none() && now >= left.since).then_some(left.since),
    };
    let found = wanted.keys().filter(|key| exists(*key));
    Some((
        task.org,
        found
            .filter_map(|key| since(key).map(|since| (key, since)))
            .collect(),
    ))
}

/// Whether a claim of `wanted` by `member` changes anything. One that does not is no entry: a process that calls on and
/// on, and is at home nowhere, would fill the log.
pub fn is_claimable(world: &World, member: &NodeRecord, wanted: &Counted, now: UnixTime) -> bool {
    homeless(world, member, wanted, now).is_some_and(|(_, found)| !found.is_empty())
}

/// Makes `member` the home of what is `wanted`, as far as it has none. A plan without a Change came too late.
pub fn claim(world: &World, member: &NodeRecord, wanted: &Counted, draw: &mut Draw<'_>) -> Outcome<()> {
    let mut event = draw.event(EventKind::HomeClaimed, world.revision());
    event.who = Some(Who {
        node: Some(member.id),
        spiffe_id: Some(member.spiffe_id.clone()),
        ..Who::default()
    });
    event.why = Some(Why {
        task: Some(wanted.task),
        ..Why::default()
    });
    let Some((org, mut found)) = homeless(world, member, wanted, draw.now()) else {
        return Outcome::Granted(Plan::new(world.revision(), event, ()));
    };
    event.org = Some(org);
    event.change_summary = vec![format!(
        "gateway {} counts {} of what a call is counted on",
        member.id,
        found.len()
    )];
    let mut plan = Plan::new(world.revision(), event, ());
    found.sort_unstable_by_key(|(_, since)| *since);
    for same in found.chunk_by(|(_, one), (_, other)| one == other) {
        if let [(_, since), ..] = same {
            plan = plan.changing(Change::Homed {
                org,
                log: LogId(member.log),
                of: same.iter().map(|(key, _)| *key).collect(),
                since: *since,
            });
        }
    }
    Outcome::Granted(plan)
}

/// What ends with a gateway that is removed, and what may find another home: the tasks that it counted for are closed,
/// for nobody else knows what they used and saw.
pub(crate) fn left(world: &World, member: &NodeRecord, now: UnixTime) -> (Vec<Change>, Left) {
    let log = LogId(member.log);
    let (mut changes, mut left) = (Vec::new(), Left::default());
    let mut agents: BTreeMap<OrgId, Vec<TrailKey>> = BTreeMap::new();
    for (key, home) in world.at_home(log) {
        let scope = OrgScope::Only(home.org);
        if let Some(task) = world.task(scope, TaskId::from_u128(key.0)) {
            if task.is_open(now) {
                left.tasks += 1;
                changes.push(Change::TaskClosed {
                    task: task.id,
                    org: task.org,
                });
            }
        } else if world.agent(scope, AgentId::from_u128(key.0)).is_some() {
            left.agents += 1;
            agents.entry(home.org).or_default().push(key);
        }
    }
    let since = now.plus_secs(FENCE_SECS);
    changes.extend(
        agents
            .into_iter()
            .map(|(org, of)| Change::HomeLeft { org, log, of, since }),
    );
    (changes, left)
}

/// How much was at home at a gateway that is removed.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// Tasks that were open.
    pub(crate) tasks: usize,
    /// Agents.
    pub(crate) agents: usize,
}

//! Standing: who acts, by a verified token, or by what the World knows of an agent's task where no token is shown.

use super::{Live, Parties};
use crate::issue::live_agent;
use crate::world::{Agent, Instance, Target, World};
use credential::{AccessTokenClaims, AgentTask};
use identity::{
    ActorChain, AgentId, ApprovalId, Assurance, Digest, InstanceId, Name, NodeId, OrgId, OrgScope, TaskId,
    UnixTime,
};
use policy::Reason;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Who acts, and with what right.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// For whom, and through whom.
    pub chain: &'a ActorChain,
    /// The agent's org.
    pub org: OrgId,
    /// The agent that acts.
    pub agent: AgentId,
    /// Its process.
    pub instance: InstanceId,
    /// The node that vouches for the process.
    pub node: Option<NodeId>,
    /// The task.
    pub task: Option<TaskId>,
    /// How well the weakest link of the chain is proven.
    pub assurance: Assurance,
    /// The contract it acts under.
    pub contract: Digest,
    /// What was granted; `None` where no credential narrows what the contract allows.
    details: Option<&'a [AgentTask]>,
}

impl<'a> Standing<'a> {
    /// What a verified token says.
    pub fn of(token: &'a AccessTokenClaims) -> Self {
        Self {
            chain: &token.chain,
            org: token.org,
            agent: token.agent,
            instance: token.instance,
            node: token.node,
            task: token.task,
            assurance: token.assurance,
            contract: token.contract,
            details: Some(&token.details),
        }
    }

    /// The actions that the credential holds; without one, the action itself: a credential for it could be asked for.
    pub(super) fn scope(&self, action: &Name) -> Vec<Name> {
        let Some(details) = self.details else {
            return vec![action.clone()];
        };
        let granted = details
            .iter()
            .filter_map(|detail| detail.actions.as_ref())
            .flatten();
        let granted: BTreeSet<Name> = granted.cloned().collect();
        granted.into_iter().collect()
    }

    /// The approval that the credential was issued for.
    pub(super) fn approval(&self) -> Option<ApprovalId> {
        self.details?.iter().find_map(|detail| detail.approval)
    }

    /// The purpose that the credential names.
    pub(super) fn purpose(&self) -> Option<&'a Name> {
        self.details?.first()?.purpose.as_ref()
    }
}

/// The standing of an agent's process in a task, without a token.
#[derive(Debug, Clone)]
pub struct StandingOf {
    chain: ActorChain,
    agent: Arc<Agent>,
    instance: Arc<Instance>,
}

impl StandingOf {
    /// As decisions look at it.
    pub fn standing(&self) -> Standing<'_> {
        Standing {
            chain: &self.chain,
            org: self.agent.org,
            agent: self.agent.id,
            instance: self.instance.id,
            node: Some(self.instance.node),
            task: Some(self.instance.task),
            assurance: self.instance.assurance,
            contract: self.agent.contract,
            details: None,
        }
    }
}

/// What `agent` may claim in its own `task`, or in the only task in which it has a process, where nobody shows a token.
///
/// Nobody says which process acts or for whom, so nothing is guessed: the agent acts for itself, as it could at the
/// token endpoint, and has one process in the task. Where it has several, only a token tells them apart.
pub fn standing(
    world: &World,
    agent: &Arc<Agent>,
    task: Option<TaskId>,
    now: UnixTime,
) -> Result<(StandingOf, Live), Reason> {
    let scope = OrgScope::Only(agent.org);
    if !agent.is_live(now) {
        return Err(Reason::KillSwitch);
    }
    let open = |instance: &&Arc<Instance>| world.is_task_open(scope, instance.task, now);
    let mut running = world.instances_of(scope, agent.id, task).filter(open);
    let instance = match (running.next(), running.next()) {
        (Some(instance), None) => instance.clone(),
        (Some(_), Some(_)) => return Err(Reason::AttestationRequired),
        (None, _) => {
            let known = task.and_then(|task| world.task(scope, task));
            let over = known.is_some_and(|task| task.agent == agent.id && !task.is_open(now));
            return Err(if over {
                Reason::TaskExpired
            } else {
                Reason::AttestationRequired
            });
        }
    };
    let agent = live_agent(world, &instance, now)?;
    let line = world.task_line(scope, instance.task).ok_or(Reason::TaskExpired)?;
    let Some(task) = line.first().filter(|task| task.agent == agent.id) else {
        return Err(Reason::TaskExpired);
    };
    let targets: Vec<Target> = line.iter().map(|task| Target::Task(task.id)).collect();
    if world.revoked(&targets, instance.id.revision()).is_some() {
        return Err(Reason::IdentityRevoked);
    }
    let chain = crate::behalf::chain_of(world, &crate::behalf::Behalf::Own, &agent.spiffe_id)?;
    let live = Live {
        parties: Parties {
            agents: vec![agent.clone()],
            user: None,
            depth: 1,
        },
        agent: agent.clone(),
        task: Arc::clone(task),
    };
    let standing = StandingOf {
        chain,
        agent,
        instance,
    };
    Ok((standing, live))
}

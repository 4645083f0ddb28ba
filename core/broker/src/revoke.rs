//! Revoke: stop it now. A revocation is a Change; it refuses every credential decided before it.

use crate::admin::Administrator;
use crate::draw::Draw;
use crate::inventory::set_agent_state;
use crate::plan::{Outcome, Plan};
use crate::service::service_org;
use crate::world::{AgentState, Change, Revocation, Role, Target, World};
use audit::EventKind;
use identity::{OrgId, OrgScope};
use serde_json::Value;

/// How long a revocation is remembered, in seconds: longer than any credential of ours lives (an X.509-SVID has an
/// hour), with as much again for clocks and restarts. A service's may live for a day; its keys are forgotten at once.
pub const MEMORY_SECS: u64 = 2 * 3600;

/// Something was revoked. Its record's revision is the line: what was decided before it is dead.
#[derive(Debug)]
pub struct RevokedNow {
    target: Target,
}

impl RevokedNow {
    /// What.
    pub const fn target(&self) -> &Target {
        &self.target
    }
}

/// Revokes. For an agent this also suspends it, in the same commit: until a human resumes it, it gets nothing new.
pub fn revoke(
    world: &World,
    who: &Administrator,
    target: Target,
    reason: &str,
    draw: &mut Draw<'_>,
) -> Outcome<RevokedNow> {
    let role = Role::Operator;
    let org = org_of(world, &target);
    if let Err(refused) = who.check(role, org, world, draw) {
        return refused;
    }
    let mut event = who.event(EventKind::CredentialRevoked, role, world, draw);
    event.org = org;
    event
        .detail
        .insert("dimension".into(), Value::String(target.dimension().to_owned()));
    event
        .detail
        .insert("value".into(), Value::String(value_of(&target, draw)));
    if !reason.is_empty() {
        event
            .detail
            .insert("reason".into(), Value::String(reason.to_owned()));
    }
    event.change_summary = vec![format!("{} revoked", target.dimension())];
    let revocation = Revocation {
        target: target.clone(),
        org,
        forget_at: draw.now().plus_secs(MEMORY_SECS),
    };
    let agent = match &target {
        Target::Agent(id) => world.agent(OrgScope::Every, *id).cloned(),
        Target::Task(_)
        | Target::Token(_)
        | Target::Family(_)
        | Target::Instance(_)
        | Target::User(_)
        | Target::Org(_)
        | Target::Service(_) => None,
    };
    let closes_task = match &target {
        Target::Task(id) => world.task(OrgScope::Every, *id).map(|task| (task.id, task.org)),
        Target::Agent(_)
        | Target::Token(_)
        | Target::Family(_)
        | Target::Instance(_)
        | Target::User(_)
        | Target::Org(_)
        | Target::Service(_) => None,
    };
    if let Some(agent) = &agent {
        event.who = Some(audit::event::Who {
            agent: Some(agent.id),
            agent_name: Some(agent.name.clone()),
            spiffe_id: Some(agent.spiffe_id.clone()),
            ..audit::event::Who::default()
        });
        event
            .change_summary
            .push(format!("agent {} suspended", agent.name));
    }
    let mut plan =
        Plan::new(world.revision(), event, RevokedNow { target }).changing(Change::Revoked(revocation));
    if let Some(agent) = agent
        && agent.state == AgentState::Active
    {
        plan = plan.changing(Change::AgentStateSet {
            agent: agent.id,
            org: agent.org,
            state: AgentState::Suspended,
        });
    }
    if let Some((task, org)) = closes_task {
        plan = plan.changing(Change::TaskClosed { task, org });
    }
    Outcome::Granted(plan)
}

/// Undoes the suspension, never the revocation: credentials of before stay dead.
pub fn resume(
    world: &World,
    who: &Administrator,
    agent: &crate::world::Agent,
    draw: &mut Draw<'_>,
) -> Outcome<crate::inventory::Done> {
    set_agent_state(world, who, agent, AgentState::Active, draw)
}

fn org_of(world: &World, target: &Target) -> Option<OrgId> {
    match target {
        Target::Agent(id) => world.agent(OrgScope::Every, *id).map(|agent| agent.org),
        Target::Instance(id) => world.instance(OrgScope::Every, *id).map(|instance| instance.org),
        Target::Task(id) => world.task(OrgScope::Every, *id).map(|task| task.org),
        Target::Org(id) => Some(*id),
        Target::Service(id) => service_org(world, id),
        Target::Token(_) | Target::Family(_) | Target::User(_) => None,
    }
}

fn value_of(target: &Target, draw: &Draw<'_>) -> String {
    match target {
        Target::Token(id) => id.to_string(),
        Target::Family(id) => id.to_string(),
        Target::Agent(id) => id.to_string(),
        Target::Instance(id) => id.to_string(),
        Target::User(user) => draw.name(user).to_string(),
        Target::Task(id) => id.to_string(),
        Target::Org(id) => id.to_string(),
        Target::Service(id) => id.to_string(),
    }
}

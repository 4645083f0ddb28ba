//! Members: how a node agent or gateway stops being one.
//!
//! How one is admitted is [`crate::inventory::join`]. A member that was removed stays known by its number, so that
//! nobody else ever gets its log; its key opens nothing any more, and what ran on a removed node dies with it.

use crate::admin::Administrator;
use crate::draw::Draw;
use crate::home;
use crate::inventory::Done;
use crate::plan::{Outcome, Plan};
use crate::revoke::MEMORY_SECS;
use crate::world::{Change, NodeRecord, Revocation, Role, Target, World};
use audit::EventKind;
use identity::OrgScope;
use serde_json::Value;

/// Removes a member. Everything issued to processes that a node agent attested is revoked in the
/// same commit, and the tasks whose calls a gateway counted are closed.
pub fn remove(
    world: &World,
    who: &Administrator,
    member: &NodeRecord,
    reason: &str,
    draw: &mut Draw<'_>,
) -> Outcome<Done> {
    let role = Role::Operator;
    if let Err(refused) = who.check(role, member.org, world, draw) {
        return refused;
    }
    let kind = member.role.word();
    let mut event = who.event(EventKind::NodeRemoved, role, world, draw);
    event.org = member.org;
    event.who = Some(audit::event::Who {
        node: Some(member.id),
        spiffe_id: Some(member.spiffe_id.clone()),
        ..audit::event::Who::default()
    });
    if !reason.is_empty() {
        event
            .detail
            .insert("reason".into(), Value::String(reason.to_owned()));
    }
    event.change_summary = vec![format!("{kind} {} removed", member.id)];
    let attested: Vec<_> = world
        .instances(OrgScope::Every)
        .filter(|instance| instance.node == member.id)
        .cloned()
        .collect();
    if !attested.is_empty() {
        event
            .change_summary
            .push(format!("{} processes that it attested revoked", attested.len()));
    }
    let (changes, left) = home::left(world, member, draw.now());
    if left.tasks + left.agents > 0 {
        event.change_summary.push(format!(
            "{} tasks whose calls it counted closed; {} agents may find another home",
            left.tasks, left.agents
        ));
    }
    let forget_at = draw.now().plus_secs(MEMORY_SECS);
    let mut plan = Plan::new(world.revision(), event, Done::nothing_made())
        .changing(Change::NodeRemoved { node: member.id });
    for change in changes {
        plan = plan.changing(change);
    }
    for instance in attested {
        plan = plan
            .changing(Change::Revoked(Revocation {
                target: Target::Instance(instance.id),
                org: Some(instance.org),
                forget_at,
            }))
            .changing(Change::InstanceClosed {
                instance: instance.id,
                org: instance.org,
            });
    }
    Outcome::Granted(plan)
}

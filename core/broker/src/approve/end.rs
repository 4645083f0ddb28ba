//! Ends that are nobody's yes or no: taken back, or too late.

use super::ask::about;
use crate::admin::Administrator;
use crate::draw::Draw;
use crate::plan::{Outcome, Plan};
use crate::refusal::Cause;
use crate::world::approval::{Ended, State};
use crate::world::{Approval, Change, Role, World};
use audit::EventKind;
use audit::event::{Decision, Ruling};
use identity::{OrgScope, UnixTime};
use policy::Reason;
use std::sync::Arc;

/// Takes an approval, or a request for one, back. An operator may, and so may whoever said yes to it: stopping never takes
/// the second person that letting pass takes.
pub fn withdraw(world: &World, who: &Administrator, approval: &Approval, draw: &mut Draw<'_>) -> Outcome<()> {
    let said_yes = approval.has_yes_of(&who.principal().name);
    let role = if said_yes && !who.may(Role::Operator, approval.org) {
        Role::Approver
    } else {
        Role::Operator
    };
    if let Err(refused) = who.check(role, Some(approval.org), world, draw) {
        return refused;
    }
    let state = approval.state(draw.now());
    if !matches!(state, State::Pending | State::Approved) {
        let message = format!("it is over: it is {}", state.word());
        let code = "APPROVAL_OVER";
        return who.refuse(Cause::Invalid { code, message }, role, world, draw);
    }
    let mut event = about(world, EventKind::ApprovalDecided, approval, draw);
    event.human = Some(who.human(role, draw));
    Outcome::Granted(ended(world, event, approval, Ended::Withdrawn, draw))
}

/// Requests that nobody decided on in time, approvals that nobody used in time, and those whose task is over, as far as
/// nobody wrote that down.
pub fn overdue(world: &World, now: UnixTime) -> Vec<Arc<Approval>> {
    let is_over = |approval: &Approval| {
        let state = approval.state(now);
        let waits = matches!(state, State::Pending | State::Approved);
        let scope = OrgScope::Only(approval.org);
        state == State::Expired || waits && !world.is_task_open(scope, approval.task, now)
    };
    world
        .approvals(OrgScope::Every)
        .filter(|approval| approval.ended.is_none() && is_over(approval))
        .cloned()
        .collect()
}

/// Writes down that it is too late. It was before: the record only says so.
pub fn expire(world: &World, approval: &Approval, draw: &mut Draw<'_>) -> Plan<()> {
    let event = about(world, EventKind::ApprovalDecided, approval, draw);
    ended(world, event, approval, Ended::Expired, draw)
}

fn ended(
    world: &World,
    mut event: audit::Event,
    approval: &Approval,
    how: Ended,
    draw: &mut Draw<'_>,
) -> Plan<()> {
    let mut decision = Decision::new(draw.id(), Ruling::Deny);
    decision.reasons = vec![Reason::ApprovalExpired.code().to_owned()];
    event.decision = Some(decision);
    let word = match how {
        Ended::Used => "used",
        Ended::Withdrawn => "withdrawn",
        Ended::Expired => "expired",
    };
    event.change_summary = vec![format!("{} {word}", approval.id)];
    Plan::new(world.revision(), event, ()).changing(Change::ApprovalEnded {
        approval: approval.id,
        org: approval.org,
        how,
        at: draw.now(),
    })
}

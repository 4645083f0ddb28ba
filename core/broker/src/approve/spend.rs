//! Spend: an approval lets one request pass, once.
//!
//! Decided where the approvers are known and where all gateways meet: at the server, in the commit that takes the key
//! away ([`OnceKind::Approval`]). The gateway has its decision ready before it asks, so that what is refused burns
//! nothing, and sends the request only after both are recorded.

use super::ask::{about, refusing};
use super::{Approved, eligible};
use crate::draw::Draw;
use crate::plan::{OnceKind, Outcome, Plan, Precondition};
use crate::refusal::Cause;
use crate::world::approval::{Ended, State};
use crate::world::{Approval, Change, World};
use audit::EventKind;
use audit::event::{Decision, Ruling};
use identity::{ApprovalId, Digest, OrgScope, UnixTime};
use policy::Reason;

/// An approval was used, once this is recorded.
#[derive(Debug, Clone, Copy)]
#[must_use = "the request may pass now"]
pub struct Spent {
    approval: ApprovalId,
}

impl Spent {
    /// Which.
    pub const fn approval(&self) -> ApprovalId {
        self.approval
    }
}

/// Spends `id` on the request with this digest.
pub fn spend(
    world: &World,
    scope: OrgScope,
    id: ApprovalId,
    digest: &Digest,
    draw: &mut Draw<'_>,
) -> Outcome<Spent> {
    let now = draw.now();
    let Some(approval) = world.approval(scope, id) else {
        let event = draw.event(EventKind::ApprovalRefused, world.revision());
        let cause = Cause::Subject(Reason::ApprovalOutOfScope);
        return Outcome::Refused(refusing(world, event, cause, draw));
    };
    if let Err(reason) = good(world, approval, digest, now) {
        let event = about(world, EventKind::ApprovalRefused, approval, draw);
        return Outcome::Refused(refusing(world, event, Cause::Subject(reason), draw));
    }
    let mut event = about(world, EventKind::ApprovalUsed, approval, draw);
    event.decision = Some(Decision::new(draw.id(), Ruling::Allow));
    event.change_summary = vec![format!("{} used", approval.id)];
    Outcome::Granted(
        Plan::new(world.revision(), event, Spent { approval: id })
            .expecting(Precondition::Unused {
                kind: OnceKind::Approval,
                key: Approved::key(id),
                until: approval.good_until(),
            })
            .changing(Change::ApprovalEnded {
                approval: id,
                org: approval.org,
                how: Ended::Used,
                at: now,
            }),
    )
}

/// The refusal of whoever came second.
pub fn spent_before(
    world: &World,
    scope: OrgScope,
    id: ApprovalId,
    draw: &mut Draw<'_>,
) -> Plan<crate::Refusal> {
    let event = match world.approval(scope, id) {
        Some(approval) => about(world, EventKind::ApprovalRefused, approval, draw),
        None => draw.event(EventKind::ApprovalRefused, world.revision()),
    };
    refusing(world, event, Cause::Subject(Reason::ApprovalUsed), draw)
}

/// Whether it is good for this now, by everything that is known now.
pub(crate) fn good(world: &World, approval: &Approval, digest: &Digest, now: UnixTime) -> Result<(), Reason> {
    if approval.digest != *digest {
        return Err(Reason::ApprovalOutOfScope);
    }
    match approval.state(now) {
        State::Approved => {}
        State::Pending => return Err(Reason::NeedsApproval),
        State::Denied => return Err(Reason::ApprovalDenied),
        State::Used => return Err(Reason::ApprovalUsed),
        State::Expired | State::Withdrawn => return Err(Reason::ApprovalExpired),
    }
    // Whoever approved has to be somebody who still may: removed, demoted or moved, their word is worth nothing.
    for (place, need) in approval.needs.iter().enumerate() {
        let votes = approval
            .votes
            .iter()
            .filter(|vote| vote.yes && vote.is_for(place));
        let stand = votes.filter(|vote| {
            world
                .principal(&vote.by)
                .is_some_and(|principal| eligible(world, approval, need, principal).is_ok())
        });
        if stand.count() < usize::from(need.quorum) {
            return Err(Reason::ApproverIneligible);
        }
    }
    Ok(())
}

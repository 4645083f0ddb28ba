//! Evaluate: the same judgement for a service that enforces it itself (AuthZEN Authorization API 1.0 section 6).
//!
//! The contract, the chain and the state are those of a call at the gateway, and what is permitted counts as a call:
//! there is one budget, whoever enforces it. But nothing of ours is opened, so no proof of a fresh request is spent,
//! and no permit is made: [`Evaluated`] buys no credential.
//!
//! What rests on an approval spends it in the very commit of the decision: the server is where approvals are spent, so there
//! is nothing between the two that could fail.

use super::{Blocked, Call, CallPermit, Live, arguments, judged, tell_who_asked};
use crate::approve::{Approved, good};
use crate::draw::Draw;
use crate::ledger::Seen;
use crate::plan::{Outcome, Plan};
use crate::refusal::{Cause, Refusal};
use crate::service::Service;
use crate::upstream::Described;
use crate::world::approval::Ended;
use crate::world::{Change, World};
use audit::EventKind;
use audit::event::{Decision, Ruling, What};
use identity::{Audience, DecisionId, Name, OrgScope};
use policy::Reason;

/// It may be done, as far as we are concerned, once this is recorded. Made only by [`evaluate`].
#[must_use = "record it, then answer"]
#[derive(Debug)]
pub struct Evaluated {
    decision: DecisionId,
    confined_to: Option<Name>,
    shadowed: bool,
    seen: Seen,
    approved: Option<Approved>,
}

impl Evaluated {
    fn of(permit: CallPermit) -> Self {
        let CallPermit {
            decision,
            tenant,
            shadowed,
            seen,
            approved,
            ..
        } = permit;
        Self {
            decision,
            confined_to: tenant,
            shadowed,
            seen,
            approved,
        }
    }
    /// The decision.
    pub const fn decision(&self) -> DecisionId {
        self.decision
    }
    /// The tenant that the service has to confine the request to: the decision rests on it.
    pub const fn confined_to(&self) -> Option<&Name> {
        self.confined_to.as_ref()
    }
    /// Whether the contract would have denied it and only watches.
    pub const fn is_shadowed(&self) -> bool {
        self.shadowed
    }
    /// What the call adds to the trail of its task and its instance.
    pub const fn seen(&self) -> &Seen {
        &self.seen
    }
    /// The approval that it rests on. It is used up by the record of this.
    pub const fn approved(&self) -> Option<&Approved> {
        self.approved.as_ref()
    }
}

/// Judges one question of a service.
pub fn evaluate(world: &World, live: &Live, call: &Call<'_>, draw: &mut Draw<'_>) -> Outcome<Evaluated> {
    let outcome = arguments(call.mapped, |arguments| {
        judged(world, live, call, arguments, draw)
    });
    let plan = match outcome {
        Outcome::Granted(plan) => plan.map(Evaluated::of),
        Outcome::Refused(plan) => return Outcome::Refused(plan),
    };
    let Some(approved) = plan.proof().approved().cloned() else {
        return Outcome::Granted(plan);
    };
    // Looked at a second time, as at any other spend: who approved has to be somebody who still may.
    let now = draw.now();
    let known = world.approval(OrgScope::Only(live.task().org), approved.id());
    let is_good = known.map_or(Err(Reason::ApprovalOutOfScope), |known| {
        good(world, known, &approved.digest(), now)
    });
    if let Err(reason) = is_good {
        let blocked = Blocked {
            standing: call.standing,
            audience: &call.upstream.audience,
            upstream: Some(call.upstream),
            request: None,
            asked_by: call.asked_by,
        };
        return Outcome::Refused(blocked.plan(world, reason, draw));
    }
    let used = Change::ApprovalEnded {
        approval: approved.id(),
        org: live.task().org,
        how: Ended::Used,
        at: now,
    };
    Outcome::Granted(plan.saying(format!("{} used", approved.id())).changing(used))
}

/// Refuses a question of a service that names nobody we know, or nothing of its own. It is recorded like any other: the
/// service is known.
pub fn refuse(
    world: &World,
    service: &Service,
    asked: Option<(&Described<'_>, Option<&Audience>)>,
    reason: Reason,
    draw: &mut Draw<'_>,
) -> Plan<Refusal> {
    let mut event = draw.event(EventKind::DecisionMade, world.revision());
    event.org = Some(service.org());
    event.what = asked.map(|(described, audience)| What {
        action: Some(described.action.to_string()),
        audience: audience.cloned(),
        resource_type: Some(described.resource_type.to_string()),
        ..What::default()
    });
    tell_who_asked(&mut event, Some(service.name()));
    let refusal = Refusal::new(draw.id(), Cause::Subject(reason));
    let mut decision = Decision::new(refusal.decision(), Ruling::Deny);
    decision.reasons = refusal.codes();
    event.decision = Some(decision);
    Plan::new(world.revision(), event, refusal)
}

//! Evaluate: the same judgement for a service that enforces it itself (AuthZEN Authorization API 1.0 section 6).
//!
//! The contract, the chain and the state are those of a call at the gateway, and what is permitted counts as a call:
//! there is one budget, whoever enforces it. But nothing of ours is opened, so no proof of a fresh request is spent,
//! and no permit is made: [`Evaluated`] buys no credential.

use super::{Call, CallPermit, Live, arguments, judged, tell_who_asked};
use crate::draw::Draw;
use crate::ledger::Seen;
use crate::plan::{Outcome, Plan};
use crate::refusal::{Cause, Refusal};
use crate::service::Service;
use crate::upstream::Described;
use crate::world::World;
use audit::EventKind;
use audit::event::{Decision, Ruling, What};
use identity::{Audience, DecisionId, Name};
use policy::Reason;

/// It may be done, as far as we are concerned, once this is recorded. Made only by [`evaluate`].
#[must_use = "record it, then answer"]
#[derive(Debug)]
pub struct Evaluated {
    decision: DecisionId,
    confined_to: Option<Name>,
    shadowed: bool,
    seen: Seen,
}

impl Evaluated {
    fn of(permit: CallPermit) -> Self {
        let CallPermit {
            decision,
            tenant,
            shadowed,
            seen,
            ..
        } = permit;
        Self {
            decision,
            confined_to: tenant,
            shadowed,
            seen,
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
}

/// Judges one question of a service.
pub fn evaluate(world: &World, live: &Live, call: &Call<'_>, draw: &mut Draw<'_>) -> Outcome<Evaluated> {
    let outcome = arguments(call.mapped, |arguments| {
        judged(world, live, call, arguments, draw)
    });
    match outcome {
        Outcome::Granted(plan) => Outcome::Granted(plan.map(Evaluated::of)),
        Outcome::Refused(plan) => Outcome::Refused(plan),
    }
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

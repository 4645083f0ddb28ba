//! Recant: a person's no to what they said yes to.
//!
//! Their yes stays in the record, and nothing rests on it any more: the request ends as taken back, and the agent has to ask
//! anew. It would be worse to count it as half a yes, for others might make it whole again without having been asked.

use super::end::withdraw;
use super::vote::Voted;
use crate::admin::Administrator;
use crate::draw::Draw;
use crate::plan::Outcome;
use crate::world::{Approval, World};

/// Takes it back, by the vote of somebody who said yes before.
pub(super) fn recant(
    world: &World,
    who: &Administrator,
    approval: &Approval,
    draw: &mut Draw<'_>,
) -> Outcome<Voted> {
    match withdraw(world, who, approval, draw) {
        Outcome::Granted(plan) => Outcome::Granted(plan.map(|()| Voted::against(approval.id))),
        Outcome::Refused(refusal) => Outcome::Refused(refusal),
    }
}

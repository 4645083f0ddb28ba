//! Voting: a human's word, by whichever page or client it came.

use crate::installation::Installation;
use crate::settle::{Unsettled, settle};
use broker::admin::Administrator;
use broker::approve::{self, Voted};
use identity::{ApprovalId, Digest, OrgId, OrgScope};
use store::Recorded;

/// Says yes or no, on the World of now.
pub(crate) async fn vote(
    installation: &Installation,
    who: &Administrator,
    org: OrgId,
    id: ApprovalId,
    shown: &Digest,
    yes: bool,
) -> Result<Recorded<Voted>, Unsettled> {
    let world = installation.store.world();
    let Some(first) = world.approval(OrgScope::Only(org), id).cloned() else {
        return Err(Unsettled::Contended);
    };
    settle(installation, Some(org), |world, draw| {
        let now = world.approval(OrgScope::Only(org), id).unwrap_or(&first);
        approve::vote(world, who, now, shown, yes, draw)
    })
    .await
}

//! Spending: once in all, however many ask at the same instant.

use crate::installation::Installation;
use crate::settle::{Unsettled, settle};
use broker::Outcome;
use broker::approve;
use identity::{ApprovalId, Digest, OrgScope, Revision};

/// Uses an approval up for the request with this digest.
pub(crate) async fn spend(
    installation: &Installation,
    scope: OrgScope,
    id: ApprovalId,
    digest: &Digest,
) -> Result<Revision, Unsettled> {
    let org = installation
        .store
        .world()
        .approval(scope, id)
        .map(|approval| approval.org);
    // Who comes second finds it used on the World of then, and is refused by the same use case.
    let recorded = settle(installation, org, |world, draw| {
        approve::spend(world, scope, id, digest, draw)
    })
    .await;
    match recorded {
        Ok(recorded) => Ok(recorded.revision()),
        // Its key is gone and the World does not say so: used, by a record that only the log has.
        Err(Unsettled::Contended) => {
            let used = settle(installation, org, |world, draw| {
                Outcome::<()>::Refused(approve::spent_before(world, scope, id, draw))
            })
            .await;
            match used {
                Err(unsettled) => Err(unsettled),
                Ok(_) => Err(Unsettled::Contended),
            }
        }
        Err(unsettled) => Err(unsettled),
    }
}

//! Refusals of members: each an entry, up to a rate that an honest member stays below; beyond it they are counted.

use super::refusal;
use crate::installation::Installation;
use crate::settle::settle;
use broker::Outcome;
use broker::overreach::{self, Overreach};
use broker::unidentified::Source;
use broker::world::NodeRecord;
use identity::{NodeId, UnixTime};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use tonic::Status;

/// Entries of refusals of one member a second. A host whose agents are refused more often than that is broken or
/// hostile; at about 1 KiB each this is what it can make the log grow by.
const ENTRIES_MAX: u32 = 256;
/// What refusals beyond that are counted as.
const TOO_MANY: &str = "MEMBER_REFUSALS";

/// How many entries of refusals each member has caused within its newest second.
#[derive(Debug, Default)]
pub(crate) struct Allowances(Mutex<HashMap<NodeId, (u64, u32)>>);

impl Allowances {
    fn spend(&self, member: NodeId, now: UnixTime) -> bool {
        let second = now.millis() / 1000;
        let mut spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, count) = spent.entry(member).or_default();
        if *at != second {
            (*at, *count) = (second, 0);
        }
        *count = count.saturating_add(1);
        *count <= ENTRIES_MAX
    }
}

/// Whether one more refusal of `member` may be an entry; counts it otherwise.
pub(super) fn may_record(installation: &Installation, member: &NodeRecord) -> Result<(), Status> {
    if installation.allowances.spend(member.id, installation.clock.now()) {
        return Ok(());
    }
    installation
        .unidentified
        .count(Source::Member(member.id), TOO_MANY);
    Err(Status::resource_exhausted(
        "too many refusals of this member within a second: they are counted, not recorded one by one",
    ))
}

/// Records what a member may not have, and gives the status that answers it.
pub(super) async fn overreach(
    installation: &Installation,
    member: &NodeRecord,
    what: Overreach,
    seen: &str,
) -> Status {
    if let Err(status) = may_record(installation, member) {
        return status;
    }
    let settled = settle(installation, member.org, |world, draw| {
        Outcome::<()>::Refused(overreach::refuse(world, member, what, seen, draw))
    })
    .await;
    let refused = match settled.map_err(refusal) {
        Err(Ok(refused)) => refused,
        Err(Err(status)) => return status,
        Ok(_) => return Status::internal("a refusal was granted"),
    };
    let text = format!("{} ({})", refused.message, refused.decision_id);
    match what {
        Overreach::Upstream | Overreach::Home => Status::not_found(text),
        Overreach::Role | Overreach::Run | Overreach::Decision => Status::permission_denied(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_has_so_many_entries_a_second_and_another_member_its_own() {
        let allowances = Allowances::default();
        let (one, two) = (NodeId::from_u128(1), NodeId::from_u128(2));
        let now = UnixTime::from_secs(7);
        let spent = (0..1000).filter(|_| allowances.spend(one, now)).count();
        assert_eq!(spent, 256);
        assert!(allowances.spend(two, now));
        assert!(allowances.spend(one, now.plus_secs(1)));
    }
}

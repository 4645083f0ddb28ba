//! DPoP proofs seen lately, in shards (RFC 9449 section 11.1). At a server it is the fast half of the replay defence: the
//! record remembers every proof that led to a token as well, so a restart forgets nothing that matters.

use broker::Fresh;
use broker::replay::{NotFresh, ReplayCache, ReplayKey};
use credential::dpop::{FUTURE_SECS, WINDOW_SECS};
use identity::UnixTime;
use std::sync::{Mutex, PoisonError};

/// Locks that requests spread over; two cores rarely meet.
const SHARDS: usize = 16;
/// How long a proof can be good, in seconds: its window, and as much again ahead of our clock as is borne.
const LIFETIME_SECS: u64 = WINDOW_SECS + 2 * FUTURE_SECS;

/// The proofs.
#[derive(Debug)]
pub struct ProofReplays([Mutex<ReplayCache>; SHARDS]);

impl ProofReplays {
    /// Remembers so many proofs of one lifetime (75 s), and refuses what is more: one that could not be remembered could
    /// be used again.
    pub fn new(proofs_max: usize) -> Self {
        Self(std::array::from_fn(|_| {
            Mutex::new(ReplayCache::new(LIFETIME_SECS, proofs_max.div_ceil(SHARDS)))
        }))
    }

    /// Admits a proof once.
    pub fn admit(&self, key: ReplayKey, until: UnixTime, now: UnixTime) -> Result<Fresh, NotFresh> {
        let Some(shard) = self.shard(&key) else {
            return Err(NotFresh::Full);
        };
        shard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .admit(key, until, now)
    }

    fn shard(&self, key: &ReplayKey) -> Option<&Mutex<ReplayCache>> {
        let [first, ..] = *key;
        self.0.get(usize::from(first) % SHARDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_from_the_edge_of_the_future_is_admitted_once_and_remembered_to_its_end() {
        let replays = ProofReplays::new(1000);
        let now = UnixTime::from_secs(1_795_000_000);
        let until = now.plus_secs(FUTURE_SECS + WINDOW_SECS + FUTURE_SECS);
        for key in 0..32 {
            assert!(replays.admit([key; 16], until, now).is_ok());
            for later in [0, 60, 69] {
                assert_eq!(
                    replays.admit([key; 16], until, now.plus_secs(later)).unwrap_err(),
                    NotFresh::Replayed
                );
            }
        }
    }
}

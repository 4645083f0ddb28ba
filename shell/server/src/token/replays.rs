//! DPoP proofs seen lately, in shards. The fast half of the replay defence: the record remembers every proof that led
//! to a token as well, so a restart forgets nothing that matters.

use broker::Fresh;
use broker::replay::{NotFresh, ReplayCache, ReplayKey};
use credential::dpop::{FUTURE_SECS, WINDOW_SECS};
use identity::UnixTime;
use std::sync::{Mutex, PoisonError};

/// Locks that requests spread over; two cores rarely meet.
const SHARDS: usize = 16;
/// Proofs a shard remembers in one lifetime: 16 of these are 655,360, which is 9,000 requests a second.
const SHARD_PROOFS_MAX: usize = 40_960;
/// How long a proof can be good, in seconds: its window, and as much again ahead of our clock as is borne.
const LIFETIME_SECS: u64 = WINDOW_SECS + 2 * FUTURE_SECS;

/// The shards.
#[derive(Debug)]
pub(crate) struct ProofReplays([Mutex<ReplayCache>; SHARDS]);

impl Default for ProofReplays {
    fn default() -> Self {
        Self(std::array::from_fn(|_| {
            Mutex::new(ReplayCache::new(LIFETIME_SECS, SHARD_PROOFS_MAX))
        }))
    }
}

impl ProofReplays {
    /// Admits a proof once.
    pub(crate) fn admit(&self, key: ReplayKey, until: UnixTime, now: UnixTime) -> Result<Fresh, NotFresh> {
        let Some(shard) = self.shard(&key) else {
            return Err(NotFresh::Full);
        };
        shard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .admit(key, until, now)
    }
    /// Takes an admission back.
    pub(crate) fn withdraw(&self, key: &ReplayKey) {
        if let Some(shard) = self.shard(key) {
            shard.lock().unwrap_or_else(PoisonError::into_inner).withdraw(key);
        }
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
        let replays = ProofReplays::default();
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

//! Keys that were spent and still matter: join tokens, proofs, assertions, approvals, names.
//!
//! Kept in memory beside their table, so settling a plan costs no read. A key is forgotten once it is worthless by
//! itself. Should the clock then go back, a forgotten key would look new; so the newest `until` that was forgotten is
//! kept as a floor, and whatever dies at or before it counts as spent.

use crate::backend::{OnceKey, Spent};
use identity::UnixTime;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// Live keys kept at once: about 100 MB. DPoP proofs live a minute, so this allows 16,000 exchanges a second.
pub(crate) const ONCE_KEYS_MAX: usize = 1_000_000;
/// Keys forgotten at once: about 5 ms of deleting.
const FORGET_MAX: usize = 2_048;
/// How long a worthless key is kept: clocks step, and requests wait in the queue.
const GRACE_SECS: u64 = 60;

/// Why a key cannot be spent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NotSpendable {
    /// It was, or might have been.
    Spent,
    /// [`ONCE_KEYS_MAX`] are alive.
    Full,
}

#[derive(Debug, Default)]
pub(crate) struct OnceKeys {
    live: HashMap<OnceKey, UnixTime>,
    by_end: BinaryHeap<Reverse<(UnixTime, OnceKey)>>,
    floor: UnixTime,
}

impl OnceKeys {
    pub(crate) fn new(spent: Vec<Spent>, floor: UnixTime) -> Self {
        let mut it = Self {
            floor,
            ..Self::default()
        };
        for one in spent {
            it.spend(one);
        }
        it
    }

    pub(crate) fn check(&self, spent: &Spent) -> Result<(), NotSpendable> {
        if spent.until <= self.floor || self.live.contains_key(&spent.key) {
            return Err(NotSpendable::Spent);
        }
        if self.live.len() >= ONCE_KEYS_MAX {
            Err(NotSpendable::Full)
        } else {
            Ok(())
        }
    }

    pub(crate) fn spend(&mut self, spent: Spent) {
        self.live.insert(spent.key, spent.until);
        self.by_end.push(Reverse((spent.until, spent.key)));
    }

    /// Forgets keys that have been worthless for a while at `now`, and raises the floor.
    pub(crate) fn forget(&mut self, now: UnixTime) -> Vec<Spent> {
        let mut forgotten = Vec::new();
        while let Some(Reverse((until, key))) = self.by_end.peek().copied()
            && until.plus_secs(GRACE_SECS) < now
            && forgotten.len() < FORGET_MAX
        {
            self.by_end.pop();
            self.live.remove(&key);
            self.floor = self.floor.max(until);
            forgotten.push(Spent { key, until });
        }
        forgotten
    }

    /// Whatever dies at or before this instant counts as spent.
    pub(crate) const fn floor(&self) -> UnixTime {
        self.floor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_000_000);

    fn spent(n: u8, secs: u64) -> Spent {
        Spent {
            key: OnceKey {
                kind: 2,
                key: [n; 32],
            },
            until: NOW.plus_secs(secs),
        }
    }

    #[test]
    fn a_key_is_spent_once_and_kinds_do_not_mix() {
        let mut keys = OnceKeys::default();
        keys.spend(spent(1, 60));
        assert_eq!(keys.check(&spent(1, 90)), Err(NotSpendable::Spent));
        let other = Spent {
            key: OnceKey {
                kind: 3,
                key: [1; 32],
            },
            ..spent(1, 60)
        };
        assert_eq!(keys.check(&other), Ok(()));
    }

    #[test]
    fn a_clock_that_goes_back_does_not_make_a_forgotten_key_new() {
        let mut keys = OnceKeys::default();
        keys.spend(spent(1, 60));
        keys.spend(spent(2, 6_000));
        assert_eq!(keys.forget(NOW.plus_secs(119)), []);
        assert_eq!(keys.forget(NOW.plus_secs(121)), [spent(1, 60)]);
        assert_eq!(keys.check(&spent(1, 60)), Err(NotSpendable::Spent));
        assert_eq!(keys.check(&spent(3, 61)), Ok(()));
        let again = OnceKeys::new(vec![spent(2, 6_000)], keys.floor());
        assert_eq!(again.check(&spent(1, 60)), Err(NotSpendable::Spent));
        assert_eq!(again.check(&spent(2, 6_000)), Err(NotSpendable::Spent));
    }
}

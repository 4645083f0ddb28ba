//! The Ledger: what changes with every call. Rate windows now; budgets and labels join them.
//!
//! Kept beside the World, in shards the shell locks one at a time. A decision reserves before it is made and refunds
//! when it is denied or not recorded, so two racing calls never both take the last place. Entries carry what was
//! taken ([`Taken`]): the Ledger after a crash is its last snapshot plus the entries after it.

use identity::{IdHasher, UnixTime};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What is counted: whose (agent or task, by the bits of its id) and which window of which contract.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct WindowKey {
    /// The bits of an agent's or task's id.
    #[serde(with = "bits")]
    pub of: u128,
    /// The window's length: windows of equal length and subject share a count, whatever contract version asks.
    pub per_secs: u32,
}

/// 128 bits as 32 hex digits: no JSON number holds them.
mod bits {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use std::borrow::Cow;

    pub(super) fn serialize<S: Serializer>(bits: &u128, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{bits:032x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u128, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        u128::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}

/// One place taken in one window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Taken {
    /// Where.
    pub key: WindowKey,
    /// When.
    pub at: UnixTime,
}

/// A count over the last `per_secs`, kept in 16 slices: at most one sixteenth of a window early, never late.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Sliding {
    newest_slice: u64,
    slices: [u32; SLICES],
}

const SLICES: usize = 16;
const SLICES_U64: u64 = 16;

impl Sliding {
    fn slice_of(at: UnixTime, per_secs: u32) -> u64 {
        let slice_millis = (u64::from(per_secs) * 1000 / SLICES_U64).max(1);
        at.millis() / slice_millis
    }
    /// Forgets slices that left the window. A clock that goes back forgets nothing.
    fn turn(&mut self, slice: u64) {
        let passed = slice.saturating_sub(self.newest_slice);
        for step in 1..=passed.min(SLICES_U64) {
            if let Some(count) = self.slot(self.newest_slice.saturating_add(step)) {
                *count = 0;
            }
        }
        self.newest_slice = self.newest_slice.max(slice);
    }
    fn slot(&mut self, slice: u64) -> Option<&mut u32> {
        usize::try_from(slice % SLICES_U64)
            .ok()
            .and_then(|at| self.slices.get_mut(at))
    }
    fn total(&self) -> u64 {
        self.slices.iter().map(|count| u64::from(*count)).sum()
    }
}

/// One shard of the Ledger.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LedgerShard {
    windows: HashMap<WindowKey, Sliding, IdHasher>,
}

impl LedgerShard {
    /// Takes one place and says how many were taken before it within the window.
    pub fn take(&mut self, key: WindowKey, now: UnixTime) -> (u64, Taken) {
        let window = self.windows.entry(key).or_default();
        window.turn(Sliding::slice_of(now, key.per_secs));
        let before = window.total();
        let newest = window.newest_slice;
        if let Some(count) = window.slot(newest) {
            *count = count.saturating_add(1);
        }
        (before, Taken { key, at: now })
    }

    /// How many places are taken, without taking one.
    pub fn peek(&mut self, key: WindowKey, now: UnixTime) -> u64 {
        self.windows.get_mut(&key).map_or(0, |window| {
            window.turn(Sliding::slice_of(now, key.per_secs));
            window.total()
        })
    }

    /// Gives a place back: the decision was a denial, or could not be recorded.
    pub fn refund(&mut self, taken: Taken) {
        let slice = Sliding::slice_of(taken.at, taken.key.per_secs);
        if let Some(window) = self.windows.get_mut(&taken.key)
            && window.newest_slice.saturating_sub(slice) < SLICES_U64
            && let Some(count) = window.slot(slice.max(window.newest_slice.saturating_sub(SLICES_U64 - 1)))
        {
            *count = count.saturating_sub(1);
        }
    }

    /// Counts a place that an entry says was taken: recovery.
    pub fn replay(&mut self, taken: Taken) {
        let (_, _) = self.take(taken.key, taken.at);
    }

    /// Drops windows in which nothing happened for their whole length. For a housekeeper, once in a while.
    pub fn forget_idle(&mut self, now: UnixTime) {
        self.windows.retain(|key, window| {
            window.turn(Sliding::slice_of(now, key.per_secs));
            window.total() > 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_000_000);
    const KEY: WindowKey = WindowKey { of: 7, per_secs: 60 };

    #[test]
    fn a_window_slides_and_never_counts_late() {
        let mut shard = LedgerShard::default();
        for taken in 0..5 {
            assert_eq!(shard.take(KEY, NOW.plus_secs(taken)).0, taken);
        }
        assert_eq!(shard.peek(KEY, NOW.plus_secs(55)), 5);
        assert_eq!(shard.peek(KEY, NOW.plus_secs(66)), 0);
    }

    #[test]
    fn a_refund_gives_exactly_one_place_back() {
        let mut shard = LedgerShard::default();
        let (_, first) = shard.take(KEY, NOW);
        let (_, _) = shard.take(KEY, NOW.plus_secs(10));
        shard.refund(first);
        assert_eq!(shard.peek(KEY, NOW.plus_secs(10)), 1);
        shard.refund(Taken {
            key: WindowKey { of: 8, per_secs: 60 },
            at: NOW,
        });
        assert_eq!(shard.peek(KEY, NOW.plus_secs(10)), 1);
    }

    #[test]
    fn a_clock_that_goes_back_forgets_nothing() {
        let mut shard = LedgerShard::default();
        let (_, _) = shard.take(KEY, NOW);
        assert_eq!(shard.take(KEY, NOW.minus_secs(3600)).0, 1);
        assert_eq!(shard.peek(KEY, NOW), 2);
    }

    #[test]
    fn what_was_taken_survives_the_entry_it_is_written_in() {
        let taken = Taken {
            key: WindowKey {
                of: u128::MAX,
                per_secs: 60,
            },
            at: NOW,
        };
        let value = serde_json::to_value([taken]).unwrap();
        assert_eq!(serde_json::from_value::<Vec<Taken>>(value).unwrap(), [taken]);
    }

    #[test]
    fn replaying_what_entries_say_gives_the_same_counts() {
        let mut live = LedgerShard::default();
        let taken: Vec<Taken> = (0..20).map(|n| live.take(KEY, NOW.plus_secs(n * 7)).1).collect();
        let mut recovered = LedgerShard::default();
        for one in taken {
            recovered.replay(one);
        }
        assert_eq!(
            recovered.peek(KEY, NOW.plus_secs(140)),
            live.peek(KEY, NOW.plus_secs(140))
        );
    }
}

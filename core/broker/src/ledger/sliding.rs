//! A sum over a sliding length of time, or since the beginning.

use identity::UnixTime;
use serde::{Deserialize, Serialize};

const SLICES: usize = 16;
const SLICES_U64: u64 = 16;

/// A sum over the last `per_secs`, kept in 16 slices: at most one sixteenth of a window early, never late. With no
/// length of time everything lies in one slice that never passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Sliding {
    newest_slice: u64,
    slices: [u64; SLICES],
    #[serde(default)]
    pub(super) at: UnixTime,
}

/// The number of the slice that `at` lies in.
pub(super) fn slice_of(at: UnixTime, per_secs: u32) -> u64 {
    if per_secs == 0 {
        return 0;
    }
    let slice_millis = (u64::from(per_secs) * 1000 / SLICES_U64).max(1);
    at.millis() / slice_millis
}

/// The oldest slice that still counts when `newest` is the newest.
pub(super) const fn oldest(newest: u64) -> u64 {
    newest.saturating_sub(SLICES_U64 - 1)
}

impl Sliding {
    pub(super) fn take(&mut self, per_secs: u32, amount: u64, now: UnixTime) -> u64 {
        let before = self.total(per_secs, now);
        let newest = self.newest_slice;
        if let Some(sum) = self.slot(newest) {
            *sum = sum.saturating_add(amount);
        }
        self.at = self.at.max(now);
        before
    }
    pub(super) fn total(&mut self, per_secs: u32, now: UnixTime) -> u64 {
        self.turn(slice_of(now, per_secs));
        self.slices
            .iter()
            .fold(0, |sum, slice| sum.saturating_add(*slice))
    }
    pub(super) fn refund(&mut self, per_secs: u32, amount: u64, at: UnixTime) {
        let slice = slice_of(at, per_secs);
        if self.newest_slice.saturating_sub(slice) < SLICES_U64
            && let Some(sum) = self.slot(slice.max(oldest(self.newest_slice)))
        {
            *sum = sum.saturating_sub(amount);
        }
    }
    /// Whether anything in it still counts. What has no length of time counts for as long as what it is of.
    pub(super) fn is_live(&mut self, per_secs: u32, now: UnixTime) -> bool {
        per_secs == 0 || self.total(per_secs, now) > 0
    }
    /// Forgets slices that left the window. A clock that goes back forgets nothing.
    fn turn(&mut self, slice: u64) {
        let passed = slice.saturating_sub(self.newest_slice);
        for step in 1..=passed.min(SLICES_U64) {
            if let Some(sum) = self.slot(self.newest_slice.saturating_add(step)) {
                *sum = 0;
            }
        }
        self.newest_slice = self.newest_slice.max(slice);
    }
    fn slot(&mut self, slice: u64) -> Option<&mut u64> {
        usize::try_from(slice % SLICES_U64)
            .ok()
            .and_then(|at| self.slices.get_mut(at))
    }
}

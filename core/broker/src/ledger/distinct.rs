//! Different names seen over a sliding length of time, or since the beginning.

use super::sliding::{oldest, slice_of};
use identity::UnixTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most names kept: far beyond any budget, and what bounds the memory of one task.
const NAMES_MAX: usize = 10_000;

/// Names with the slice in which each was seen last.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Distinct {
    names: BTreeMap<Box<str>, u64>,
    #[serde(default)]
    pub(super) at: UnixTime,
}

impl Distinct {
    /// Adds names; gives those that were not there.
    pub(super) fn add(&mut self, per_secs: u32, names: &[&str], now: UnixTime) -> Vec<Box<str>> {
        let slice = slice_of(now, per_secs);
        let known = |seen: &BTreeMap<Box<str>, u64>, name: &str| {
            seen.get(name).is_some_and(|at| *at >= oldest(slice))
        };
        let mut new = Vec::new();
        for name in names {
            if !known(&self.names, name) {
                new.push(Box::from(*name));
            }
            if self.names.len() < NAMES_MAX {
                let at = self.names.entry(Box::from(*name)).or_default();
                *at = (*at).max(slice);
            }
        }
        self.at = self.at.max(now);
        new
    }
    pub(super) fn count(&mut self, per_secs: u32, now: UnixTime) -> u64 {
        let oldest = oldest(slice_of(now, per_secs));
        self.names.retain(|_, slice| *slice >= oldest);
        u64::try_from(self.names.len()).unwrap_or(u64::MAX)
    }
    pub(super) fn remove(&mut self, names: &[Box<str>]) {
        for name in names {
            self.names.remove(name);
        }
    }
    /// Whether anything in it still counts. What has no length of time counts for as long as what it is of.
    pub(super) fn is_live(&mut self, per_secs: u32, now: UnixTime) -> bool {
        per_secs == 0 || self.count(per_secs, now) > 0
    }
}

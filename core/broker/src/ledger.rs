//! The Ledger: what changes with every call. Counts, labels, steps.
//!
//! Kept beside the World, in shards the shell locks one at a time. A decision reserves before it is made and refunds
//! when it is denied or not recorded, so two racing calls never both take the last place. Entries carry what was
//! taken and raised ([`Taken`], [`Seen`]): the Ledger after a crash is its last snapshot plus the entries after it.
//!
//! Counts of a task are kept under the task at the root of its tree: a child task inherits what remains, and what it
//! uses is gone for its parent. Labels and steps likewise: what a child has seen its parent is taken to have seen.

mod carried;
mod distinct;
mod gathered;
mod look;
mod rows;
mod sliding;
mod taken;

pub(crate) use carried::carry;
pub use gathered::Gathered;
pub use look::{LOOK_MAX, Look, Looked};
pub use taken::{Seen, Taken, WindowKey};

use crate::world::TASK_MEMORY_SECS;
use distinct::Distinct;
use identity::{IdHasher, Name, UnixTime};
use policy::Labels;
use serde::{Deserialize, Serialize};
use sliding::Sliding;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// One shard of the Ledger.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LedgerShard {
    #[serde(with = "rows")]
    windows: HashMap<WindowKey, Sliding, IdHasher>,
    #[serde(with = "rows")]
    distinct: HashMap<WindowKey, Distinct, IdHasher>,
    #[serde(with = "rows")]
    trails: HashMap<TrailKey, Trail, IdHasher>,
}

/// Whose trail: the bits of a task's or an instance's id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct TrailKey(#[serde(with = "taken::bits")] pub u128);

/// What a task tree, or an instance, has seen and done.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Trail {
    /// What it has seen.
    #[serde(default)]
    pub labels: Labels,
    /// How many calls it made.
    #[serde(default)]
    pub calls: u64,
    /// How often each action and each step of a declared graph was taken.
    #[serde(default)]
    pub done: BTreeMap<Name, i64>,
    /// The step that each agent took last.
    #[serde(default)]
    pub last: BTreeMap<Name, Name>,
    /// Whether it is over: too many of its calls were refused.
    #[serde(default)]
    pub suspended: bool,
    /// Up to which World its labels were lowered by a human.
    #[serde(default)]
    pub declassified: u64,
    /// When something happened last, or when its task or instance was last known to be there.
    #[serde(default)]
    pub at: UnixTime,
}

/// How long counts and trails stay after the World has forgotten what they are of: no credential lives longer than an
/// hour.
pub const FORGET_AFTER_SECS: u64 = TASK_MEMORY_SECS;

impl LedgerShard {
    /// Takes `amount` and says how much was taken before it within the window.
    pub fn take(&mut self, key: WindowKey, amount: u64, now: UnixTime) -> (u64, Taken) {
        let window = self.windows.entry(key).or_default();
        let before = window.take(key.per_secs, amount, now);
        let taken = Taken {
            key,
            at: now,
            amount,
            names: Vec::new(),
        };
        (before, taken)
    }

    /// How much is taken, without taking any.
    pub fn peek(&mut self, key: WindowKey, now: UnixTime) -> u64 {
        let window = self.windows.get_mut(&key);
        window.map_or(0, |window| window.total(key.per_secs, now))
    }

    /// Adds names to those that were seen within the window, and says how many different ones there are now.
    pub fn add(&mut self, key: WindowKey, names: &[&str], now: UnixTime) -> (u64, Taken) {
        let seen = self.distinct.entry(key).or_default();
        let new = seen.add(key.per_secs, names, now);
        let taken = Taken {
            key,
            at: now,
            amount: 0,
            names: new,
        };
        (seen.count(key.per_secs, now), taken)
    }

    /// Gives back what was taken: the decision was a denial, or could not be recorded.
    pub fn refund(&mut self, taken: &Taken) {
        if let Some(window) = self.windows.get_mut(&taken.key) {
            window.refund(taken.key.per_secs, taken.amount, taken.at);
        }
        if let Some(seen) = self.distinct.get_mut(&taken.key) {
            seen.remove(&taken.names);
        }
    }

    /// Counts what an entry says was taken: recovery.
    pub fn replay(&mut self, taken: &Taken) {
        if taken.names.is_empty() {
            let (_, _) = self.take(taken.key, taken.amount, taken.at);
        } else {
            let names: Vec<&str> = taken.names.iter().map(|name| &**name).collect();
            let (_, _) = self.add(taken.key, &names, taken.at);
        }
    }

    /// What was seen and done; `None` when nothing was.
    pub fn trail(&self, key: TrailKey) -> Option<&Trail> {
        self.trails.get(&key)
    }

    /// Takes in what a permitted call sees and does.
    pub fn see(&mut self, key: TrailKey, seen: &Seen) {
        self.trails.entry(key).or_default().see(seen);
    }

    /// Drops windows in which nothing happened for their whole length, and whatever is of a task, instance or agent that
    /// was not `known` for [`FORGET_AFTER_SECS`]. Nobody waits anything out: how long nothing happened does not count
    /// for what has no end but its task's. For a housekeeper, once in a while.
    pub fn forget(&mut self, now: UnixTime, known: impl Fn(u128) -> bool) {
        let before = now.minus_secs(FORGET_AFTER_SECS);
        let stays = |of: u128, at: &mut UnixTime| {
            if known(of) {
                *at = now.max(*at);
            }
            *at >= before
        };
        self.windows
            .retain(|key, window| window.is_live(key.per_secs, now) && stays(key.of, &mut window.at));
        self.distinct
            .retain(|key, seen| seen.is_live(key.per_secs, now) && stays(key.of, &mut seen.at));
        self.trails.retain(|key, trail| stays(key.0, &mut trail.at));
    }
}

impl Trail {
    /// Takes in what a permitted call sees and does. What was seen never shrinks but by a human's word.
    fn see(&mut self, seen: &Seen) {
        if let Some(declassified) = seen.declassified
            && declassified > self.declassified
        {
            self.declassified = declassified;
            self.labels = Labels::NONE;
        }
        self.labels.join(&seen.labels);
        self.calls = self.calls.saturating_add(u64::from(seen.action.is_some()));
        let steps: BTreeSet<&Name> = seen
            .steps
            .iter()
            .map(|(_, step)| step)
            .chain(&seen.action)
            .collect();
        for step in steps {
            let times = self.done.entry(step.clone()).or_default();
            *times = times.saturating_add(1);
        }
        for (agent, step) in &seen.steps {
            self.last.insert(agent.clone(), step.clone());
        }
        self.suspended |= seen.suspends;
        self.at = self.at.max(seen.at);
    }
}

#[cfg(test)]
mod tests;

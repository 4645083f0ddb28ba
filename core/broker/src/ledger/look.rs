//! A look at the Ledger from outside: what was counted and seen, told by whoever keeps it. Nothing is taken.

use super::{LedgerShard, Trail, TrailKey, WindowKey};
use identity::UnixTime;
use serde::{Deserialize, Serialize};

/// Most windows and trails of one look: a contract has at most 24 counters.
pub const LOOK_MAX: usize = 64;

/// What is looked for.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Look {
    /// Trails of tasks and instances.
    pub trails: Vec<TrailKey>,
    /// Windows, each with the names that a supposed call would add where different names are counted.
    pub windows: Vec<(WindowKey, Vec<Box<str>>)>,
}

/// What was found, in the same order.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Looked {
    /// What each task or instance did and saw; nothing where nothing was.
    pub trails: Vec<Trail>,
    /// Each count.
    pub counts: Vec<u64>,
}

impl Looked {
    /// Whether it answers `look`.
    pub const fn answers(&self, look: &Look) -> bool {
        self.trails.len() == look.trails.len() && self.counts.len() == look.windows.len()
    }
}

impl LedgerShard {
    /// How many different names there would be within the window with these.
    pub fn would_be(&mut self, key: WindowKey, names: &[Box<str>], now: UnixTime) -> u64 {
        let mut seen = self.distinct.get(&key).cloned().unwrap_or_default();
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        seen.add(key.per_secs, &names, now);
        seen.count(key.per_secs, now)
    }
}

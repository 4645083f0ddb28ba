//! Positions: in a log (which entry) and in the history of the World (which revision).

use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of one writer's log within an installation. The log's origin (its name in checkpoints) is
/// `<trust domain>/log/<number>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogId(pub u16);

/// Where an entry stands: which log, and its dense index there. Every credential carries the one of its permit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct EntryRef {
    /// The writer's log.
    pub log: LogId,
    /// Zero-based, dense.
    pub index: u64,
}

impl fmt::Display for EntryRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.log.0, self.index)
    }
}

impl std::str::FromStr for EntryRef {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (log, index) = text.split_once(':').unwrap_or(("0", text));
        Ok(Self {
            log: LogId(log.parse()?),
            index: index.parse()?,
        })
    }
}

/// A version of the World. Each commit that carries Changes raises it by one; credentials say which one they
/// were decided on (`rev`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

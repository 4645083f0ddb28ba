//! How much is measured in a run, and of what.

use crate::row::Row;

/// How deep a run goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Depth {
    /// Every row once, with as little as there can be: whether each can be measured at all. Its numbers mean nothing.
    Smoke,
    /// Under a minute in all, for a first look.
    Short,
    /// As long as the numbers of docs/promises.md need.
    Full,
}

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort<'a> {
    pub(crate) depth: Depth,
    /// Only rows whose names begin so, and those that are measured with them; for whoever works on one path.
    pub(crate) only: &'a str,
}

impl Effort<'_> {
    /// The one for this run's depth.
    pub(crate) const fn pick<T: Copy>(self, smoke: T, short: T, full: T) -> T {
        match self.depth {
            Depth::Smoke => smoke,
            Depth::Short => short,
            Depth::Full => full,
        }
    }

    /// Whether any of `rows` is asked for.
    pub(crate) fn wants(self, rows: &[&Row]) -> bool {
        rows.iter().any(|row| row.name.starts_with(self.only))
    }
}

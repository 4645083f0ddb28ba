//! What the writer just committed, on its way into the index.
//!
//! The writer knows what an entry says before it is bytes; handed on here, nobody reads and parses it again. What does
//! not fit, and what was committed before this process began, the indexer reads from the log.

use super::query::Facets;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Most entries that wait: a few megabytes. An indexer that is further behind reads the log.
const FRESH_MAX: usize = 8_192;

/// Entries that were committed and wait to be indexed, oldest first, without gaps.
#[derive(Debug, Default)]
pub(crate) struct Fresh(Mutex<VecDeque<(u64, Facets)>>);

impl Fresh {
    /// Hands on the entries of one commit, the first at `first`.
    pub(crate) fn add(&self, first: u64, entries: Vec<Facets>) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() + entries.len() > FRESH_MAX {
            waiting.clear();
        }
        waiting.extend((first..).zip(entries));
    }

    /// Takes what waits from `next` on; nothing if the entry at `next` is not among it.
    pub(super) fn take(&self, next: u64) -> Vec<Facets> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while waiting.front().is_some_and(|(index, _)| *index < next) {
            waiting.pop_front();
        }
        if waiting.front().is_some_and(|(index, _)| *index == next) {
            std::mem::take(&mut *waiting)
                .into_iter()
                .map(|(_, facets)| facets)
                .collect()
        } else {
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use audit::{Event, EventKind};
    use identity::{EventId, LogId, Revision, UnixTime};

    fn facets(n: u64) -> Facets {
        let at = UnixTime::from_secs(n);
        Facets::of(&Event::new(
            EventId::random(at, LogId(0), 1),
            at,
            EventKind::AdminRefused,
            Revision(1),
        ))
    }

    fn times(taken: &[Facets]) -> Vec<u64> {
        taken.iter().map(|facets| facets.at.secs()).collect()
    }

    #[test]
    fn what_was_indexed_from_the_log_is_passed_over_and_a_gap_is_left_to_it() {
        let fresh = Fresh::default();
        fresh.add(5, vec![facets(5), facets(6)]);
        fresh.add(7, vec![facets(7)]);
        assert_eq!(times(&fresh.take(4)), [0u64; 0]);
        assert_eq!(times(&fresh.take(6)), [6, 7]);
        assert_eq!(times(&fresh.take(8)), [0u64; 0]);
    }

    #[test]
    fn too_many_are_dropped_and_not_kept_with_a_gap() {
        let fresh = Fresh::default();
        fresh.add(0, vec![facets(0)]);
        fresh.add(1, (1..=FRESH_MAX as u64).map(facets).collect());
        assert_eq!(times(&fresh.take(0)), [0u64; 0]);
        assert_eq!(fresh.take(1).len(), FRESH_MAX);
    }
}

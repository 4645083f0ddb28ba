//! The thread that brings the index behind the log.

use super::fresh::Fresh;
use super::query::Facets;
use super::table::Table;
use crate::error::ReadError;
use crate::log::LogReader;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Between two transactions: under load some hundred entries share one, which costs a third less than one for each
/// commit. An entry that is searched before it is indexed is found all the same.
const PAUSE: Duration = Duration::from_millis(100);

/// The writing side of the index.
#[derive(Debug)]
pub(crate) struct Indexer {
    table: Table,
    indexed: Arc<AtomicU64>,
    fresh: Arc<Fresh>,
}

impl Indexer {
    pub(super) const fn new(table: Table, indexed: Arc<AtomicU64>, fresh: Arc<Fresh>) -> Self {
        Self {
            table,
            indexed,
            fresh,
        }
    }

    /// Until `stop`. The index is a convenience: when it fails, searches read the log instead.
    pub(crate) fn run(mut self, log: &LogReader, stop: &AtomicBool) {
        while !stop.load(Ordering::Acquire) {
            match self.advance(log) {
                Ok(true) => {}
                Ok(false) => std::thread::park_timeout(PAUSE),
                Err(error) => {
                    tracing::error!(%error, "the index stopped: searches are slow until index.db is deleted and the server restarted");
                    return;
                }
            }
        }
        if let Err(error) = self.table.close() {
            tracing::warn!(%error, "the index was not closed cleanly");
        }
    }

    /// Indexes the next entries; says whether there may be more: whoever is handed them gets all that there are.
    fn advance(&mut self, log: &LogReader) -> Result<bool, ReadError> {
        let first = self.indexed.load(Ordering::Acquire);
        let mut facets = self.fresh.take(first);
        let handed = !facets.is_empty();
        if !handed {
            let entries = log.entries(first..u64::MAX)?;
            let read = (first..)
                .zip(&entries)
                .map(|(index, entry)| Facets::read(index, entry));
            facets = read.collect::<Result<_, _>>()?;
        }
        if facets.is_empty() {
            return Ok(false);
        }
        self.table.add(first, &facets)?;
        self.indexed.store(first + facets.len() as u64, Ordering::Release);
        Ok(!handed)
    }
}

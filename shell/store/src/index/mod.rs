//! Finds entries: by decision, agent, task, user, kind, reason and time.
//!
//! A database of its own, written behind the log and without any fsync. It proves nothing and holds nothing that the
//! log does not: delete `index.db` and it is built again. What it has not reached yet is searched entry by entry, so
//! a decision is found the moment it is durable.

mod fresh;
mod indexer;
mod query;
mod table;

pub(crate) use fresh::Fresh;
pub(crate) use indexer::Indexer;
pub(crate) use query::Facets;
pub use query::{Found, Query, UserKey};

use crate::error::{OpenError, ReadError};
use crate::log::LogReader;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use table::Table;

/// The reading side of the index, over the log it points into.
#[derive(Debug)]
pub struct Index {
    table: Mutex<Table>,
    log: Arc<LogReader>,
    indexed: Arc<AtomicU64>,
}

impl Index {
    /// Opens the index of `log`; one that is damaged or of another format is thrown away.
    pub(crate) fn open(
        path: &Path,
        log: Arc<LogReader>,
        fresh: Arc<Fresh>,
    ) -> Result<(Self, Indexer), OpenError> {
        let (table, writer) = Table::open(path, log.size())?;
        let indexed = Arc::new(AtomicU64::new(writer.next()?));
        let indexer = Indexer::new(writer, indexed.clone(), fresh);
        Ok((
            Self {
                table: Mutex::new(table),
                log,
                indexed,
            },
            indexer,
        ))
    }

    /// Entries below this are in the index.
    pub fn indexed(&self) -> u64 {
        self.indexed.load(Ordering::Acquire)
    }

    /// Entries that match, newest first, at most `query.limit`. Give the index of the last one as `before` for more.
    /// Blocks on files; a search of the part that is not indexed yet takes about 10 µs an entry.
    pub fn find(&self, query: &Query) -> Result<Vec<Found>, ReadError> {
        let indexed = self.indexed();
        let end = query.before.unwrap_or(u64::MAX).min(self.log.size());
        let mut found = self.scan(query, indexed, end)?;
        found.reverse();
        found.truncate(query.limit);
        if found.len() < query.limit {
            let rest = query.limit - found.len();
            let indexes = self.table.lock().unwrap_or_else(PoisonError::into_inner).find(
                query,
                end.min(indexed),
                rest,
            )?;
            for index in indexes {
                found.push(Found {
                    index,
                    entry: self.log.entry(index)?,
                });
            }
        }
        Ok(found)
    }

    /// Matching entries that the index has not reached, oldest first.
    fn scan(&self, query: &Query, from: u64, end: u64) -> Result<Vec<Found>, ReadError> {
        let (mut at, mut found) = (from, Vec::new());
        while at < end {
            let entries = self.log.entries(at..end)?;
            if entries.is_empty() {
                return Err(ReadError::NoEntry {
                    index: at,
                    size: self.log.size(),
                });
            }
            for entry in entries {
                if query.admits(&Facets::read(at, &entry)?) {
                    found.push(Found { index: at, entry });
                }
                at += 1;
            }
        }
        Ok(found)
    }
}

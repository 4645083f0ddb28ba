//! Reads entries back, wherever they are: the unsealed tail in the database, the rest in bundles.

use super::{Head, LogFiles};
use crate::backend::Rows;
use crate::error::ReadError;
use arc_swap::ArcSwap;
use audit::tile::{TILE_WIDTH, TileKind, TilePath, entries_of_bundle};
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Entries read in one transaction.
const READ_ENTRIES: usize = 256;

/// A reading side of the log. Cheap to share; its calls block on files for some microseconds to milliseconds, so
/// async callers use `spawn_blocking` for ranges.
pub struct LogReader {
    rows: Mutex<Box<dyn Rows>>,
    files: LogFiles,
    head: Arc<ArcSwap<Head>>,
    sealed: Arc<AtomicU64>,
}

impl std::fmt::Debug for LogReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogReader")
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

impl LogReader {
    pub(crate) fn new(
        rows: Box<dyn Rows>,
        files: LogFiles,
        head: Arc<ArcSwap<Head>>,
        sealed: Arc<AtomicU64>,
    ) -> Self {
        Self {
            rows: Mutex::new(rows),
            files,
            head,
            sealed,
        }
    }

    /// Durable entries.
    pub fn size(&self) -> u64 {
        self.head.load().size
    }

    /// The bytes of one entry.
    pub fn entry(&self, index: u64) -> Result<Vec<u8>, ReadError> {
        self.entries(index..index.saturating_add(1))?
            .pop()
            .ok_or_else(|| ReadError::NoEntry {
                index,
                size: self.size(),
            })
    }

    /// The bytes of entries, in order: all of `range` that exists, but at most one bundle or 256 rows. Ask again from
    /// where the answer ends.
    pub fn entries(&self, range: Range<u64>) -> Result<Vec<Vec<u8>>, ReadError> {
        let end = range.end.min(self.size());
        if range.start >= end {
            return Ok(Vec::new());
        }
        if range.start < self.sealed.load(Ordering::Acquire) {
            return self.bundle(range.start, end);
        }
        let limit =
            usize::try_from(end - range.start).map_or(READ_ENTRIES, |wanted| wanted.min(READ_ENTRIES));
        let rows = self
            .rows
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entries(range.start, limit)?;
        let found: Vec<_> = (range.start..)
            .zip(rows)
            .take_while(|(index, row)| row.index == *index)
            .collect();
        if found.is_empty() {
            // Sealed and dropped since we looked.
            return self.bundle(range.start, end);
        }
        Ok(found.into_iter().map(|(_, row)| row.body).collect())
    }

    fn bundle(&self, from: u64, end: u64) -> Result<Vec<Vec<u8>>, ReadError> {
        let path = TilePath::full(TileKind::Entries, from / TILE_WIDTH);
        let bytes = self.files.read(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => ReadError::NoEntry {
                index: from,
                size: self.size(),
            },
            _ => ReadError::Io {
                path: self.files.path_of(path),
                source,
            },
        })?;
        let not_a_bundle = || ReadError::Bundle {
            path: self.files.path_of(path),
        };
        let entries = entries_of_bundle(&bytes).map_err(|_| not_a_bundle())?;
        if entries.len() as u64 != TILE_WIDTH {
            return Err(not_a_bundle());
        }
        let skip = usize::try_from(from % TILE_WIDTH).unwrap_or(usize::MAX);
        let take = usize::try_from(end - from).unwrap_or(usize::MAX);
        Ok(entries
            .into_iter()
            .skip(skip)
            .take(take)
            .map(<[u8]>::to_vec)
            .collect())
    }
}

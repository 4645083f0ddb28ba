//! Copies the WAL into the database, continuously and off the writer's path, and keeps it short.
//!
//! A passive checkpoint never waits, but it never catches a steady writer either, and the WAL restarts only when all
//! of it was copied. So past [`RESTART_PAGES`] the writer finishes the rest itself, between two commits; past
//! [`FORCE_PAGES`] it waits for readers, too. Measured without this: 892 MB after 8 s of full load.
//!
//! The file keeps its length when the WAL starts again: writing where blocks are already allocated leaves the file
//! system nothing to journal, which is half of what a commit costs. How much was written since is counted.

use super::{BackendError, connect};
use crate::thread::spawn_behind;
use rusqlite::hooks::Wal;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Pages of 4 KiB. Fewer are not worth a copy and its two fsyncs: most will have been written again by then.
const COPY_PAGES: u64 = 1_024;
/// Past this, 16 MiB, the writer lets the WAL start again from its beginning.
const RESTART_PAGES: u64 = 4_096;
/// Past this, 24 MiB, it does so whatever it costs: the promise is 32 MiB.
const FORCE_PAGES: u64 = 6_144;
/// What remains of the file when the WAL starts again: all of what it usually has.
pub(super) const KEEP_BYTES: i64 = 24 << 20;
/// Between two looks at the WAL: a fifth of the time in which full load writes [`RESTART_PAGES`].
const PAUSE: Duration = Duration::from_millis(20);
/// With so few pages left to copy the writer finishes in a few milliseconds.
const NEARLY_PAGES: u64 = 2_000;

pub(super) struct Checkpointer {
    stop: Arc<AtomicBool>,
    /// Pages in the WAL since it last started from its beginning.
    written: Arc<AtomicU64>,
    /// How many of them are in the database.
    copied: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// Starts beside `writer`, whose commits it counts.
    pub(super) fn start(database: &Path, writer: &mut Connection) -> Result<Self, BackendError> {
        let connection = connect(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let stop = Arc::<AtomicBool>::default();
        let (written, copied) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let copy = {
            let (stop, written, copied) = (stop.clone(), written.clone(), copied.clone());
            move || {
                while !stop.load(Ordering::Relaxed) {
                    std::thread::park_timeout(PAUSE);
                    if not_copied(&written, &copied) < COPY_PAGES {
                        continue;
                    }
                    // A failure here is met again by the writer, who answers for it.
                    match checkpoint(&connection, "PASSIVE") {
                        Ok(pages) => copied.store(pages, Ordering::Relaxed),
                        Err(error) => tracing::warn!(%error, "the WAL could not be copied"),
                    }
                }
            }
        };
        let count = {
            let written = written.clone();
            move |_: &mut Wal, pages: std::ffi::c_int| {
                written.store(u64::try_from(pages).unwrap_or(0), Ordering::Relaxed);
                Ok(())
            }
        };
        writer.wal_hook(Some(count))?;
        let thread = spawn_behind("store-copy", copy)?;
        Ok(Self {
            stop,
            written,
            copied,
            thread: Some(thread),
        })
    }

    /// Called by the writer between two commits.
    pub(super) fn finish(&self, writer: &Connection) -> Result<(), BackendError> {
        let written = self.written.load(Ordering::Relaxed);
        if written > FORCE_PAGES {
            checkpoint(writer, "RESTART")?;
        } else if written > RESTART_PAGES && not_copied(&self.written, &self.copied) < NEARLY_PAGES {
            checkpoint(writer, "PASSIVE")?;
        }
        Ok(())
    }
}

/// Pages that are in the WAL only. After it started again, what was copied of the one before does not count.
fn not_copied(written: &AtomicU64, copied: &AtomicU64) -> u64 {
    let written = written.load(Ordering::Relaxed);
    written
        .checked_sub(copied.load(Ordering::Relaxed))
        .unwrap_or_else(|| {
            copied.store(0, Ordering::Relaxed);
            written
        })
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the thread that copies the WAL panicked");
            }
        }
    }
}

/// Runs a checkpoint and says how many pages of the WAL are copied.
fn checkpoint(connection: &Connection, mode: &str) -> Result<u64, BackendError> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    let copied: i64 = connection.query_row(&sql, [], |row| row.get(2))?;
    Ok(u64::try_from(copied).unwrap_or(0))
}

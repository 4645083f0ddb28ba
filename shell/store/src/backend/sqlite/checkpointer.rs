//! Copies the WAL into the database, continuously and off the writer's path, and keeps it short.
//!
//! A passive checkpoint never waits, but it never catches a steady writer either, and the WAL restarts only when all
//! of it was copied. So past [`RESTART_BYTES`] the writer finishes the rest itself, between two commits; past
//! [`FORCE_BYTES`] it waits for readers, too. Measured without this: 892 MB after 8 s of full load.

use super::{BackendError, connect, wal_of};
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Below this there is little to gain from copying.
const COPY_BYTES: u64 = 1 << 20;
/// Past this the writer lets the WAL start again from its beginning.
const RESTART_BYTES: u64 = 16 << 20;
/// What remains of the file when the WAL starts again. Its length then tells how much was written since.
pub(super) const KEEP_BYTES: i64 = 8 << 20;
/// Past this it does so whatever it costs: the promise is 32 MiB.
const FORCE_BYTES: u64 = 24 << 20;
/// Between two looks at the WAL: a fifth of the time in which full load writes [`RESTART_BYTES`].
const PAUSE: Duration = Duration::from_millis(20);
/// With so few pages left to copy (16 MiB of 4 KiB pages is 4,096) the writer finishes in a few milliseconds.
const NEARLY_PAGES: u64 = 2_000;

pub(super) struct Checkpointer {
    wal: PathBuf,
    stop: Arc<AtomicBool>,
    /// Pages that the last passive checkpoint left behind.
    left: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(super) fn start(database: &Path) -> Result<Self, BackendError> {
        let connection = connect(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let (wal, stop, left) = (
            wal_of(database),
            Arc::<AtomicBool>::default(),
            Arc::<AtomicU64>::default(),
        );
        let copy = {
            let (wal, stop, left) = (wal.clone(), stop.clone(), left.clone());
            move || {
                while !stop.load(Ordering::Relaxed) {
                    std::thread::park_timeout(PAUSE);
                    if bytes_of(&wal) < COPY_BYTES {
                        continue;
                    }
                    // A failure here is met again by the writer, who answers for it.
                    match checkpoint(&connection, "PASSIVE") {
                        Ok(pages) => left.store(pages, Ordering::Relaxed),
                        Err(error) => tracing::warn!(%error, "the WAL could not be copied"),
                    }
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("store-copy".into())
            .spawn(copy)?;
        Ok(Self {
            wal,
            stop,
            left,
            thread: Some(thread),
        })
    }

    /// Called by the writer between two commits.
    pub(super) fn finish(&self, writer: &Connection) -> Result<(), BackendError> {
        let bytes = bytes_of(&self.wal);
        if bytes > FORCE_BYTES {
            checkpoint(writer, "RESTART")?;
        } else if bytes > RESTART_BYTES && self.left.load(Ordering::Relaxed) < NEARLY_PAGES {
            checkpoint(writer, "PASSIVE")?;
        }
        Ok(())
    }
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

/// Runs a checkpoint and says how many pages are still to be copied.
fn checkpoint(connection: &Connection, mode: &str) -> Result<u64, BackendError> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    let (pages, copied): (i64, i64) = connection.query_row(&sql, [], |row| Ok((row.get(1)?, row.get(2)?)))?;
    Ok(u64::try_from(pages.saturating_sub(copied)).unwrap_or(0))
}

fn bytes_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

//! The Ledger as one file: what recovery would find, up to some entry.
//!
//! It is made from the entries, never from the live Ledger, in which are also counts of calls that are not decided
//! yet: whatever order requests come in, the snapshot at an entry is the same.

use super::{Ledger, SHARDS};
use crate::log_key::LogKey;
use crate::snapshot::{self, Content};
use broker::ledger::LedgerShard;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

/// Entries between two snapshots: they are replayed in some 50 ms at the next start.
const EVERY_ENTRIES: u64 = 16_384;
/// A snapshot larger than that is written less often, so that it never writes more than the log itself grows by: an
/// entry takes about 1 KiB.
const BYTES_AN_ENTRY: u64 = 512;

/// The shards after the first `size` entries.
#[derive(Serialize, Deserialize)]
pub(super) struct Snapshot {
    size: u64,
    shards: Vec<LedgerShard>,
}

impl Content for Snapshot {
    const MAGIC: &'static [u8] = b"tabard ledger\n";
    // JSON, because what entries say leaves members out: a format that describes itself.
    const FORMAT: u32 = 1;
    const EXTENSION: &'static str = "ledger";
    fn number(&self) -> u64 {
        self.size
    }
    fn encode(&self) -> io::Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(io::Error::other)
    }
    fn decode(body: &[u8]) -> Option<Self> {
        let read: Self = serde_json::from_slice(body).ok()?;
        (read.shards.len() == SHARDS).then_some(read)
    }
}

impl Snapshot {
    pub(super) fn of(ledger: &Ledger, size: u64) -> Self {
        let shards = ledger.0.iter().map(|shard| super::lock(shard).clone()).collect();
        Self { size, shards }
    }
    /// Puts the shards in place; says after how many entries they are.
    pub(super) fn into_ledger(self, ledger: &Ledger) -> u64 {
        for (shard, kept) in ledger.0.iter().zip(self.shards) {
            *super::lock(shard) = kept;
        }
        self.size
    }
}

/// Where snapshots of a log's Ledger lie, and when the next one is due.
pub(crate) struct Snapshots {
    directory: PathBuf,
    key: LogKey,
    due: AtomicU64,
    writing: Mutex<()>,
}

impl Snapshots {
    pub(crate) const fn new(directory: PathBuf, key: LogKey) -> Self {
        Self {
            directory,
            key,
            due: AtomicU64::new(0),
            writing: Mutex::new(()),
        }
    }
    /// Whether a log of that size has grown by enough.
    pub(super) fn are_due(&self, size: u64) -> bool {
        size >= self.due.load(Ordering::Acquire)
    }
    /// The turn to write; `None` while somebody else does.
    pub(super) fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        match self.writing.try_lock() {
            Ok(turn) => Some(turn),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
    pub(super) fn newest(&self) -> Option<Snapshot> {
        snapshot::newest(&self.directory, &self.key)
    }
    pub(super) fn write(&self, snapshot: &Snapshot) -> io::Result<()> {
        let bytes = snapshot::write(&self.directory, snapshot, &self.key)?;
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let pause = (bytes / BYTES_AN_ENTRY).max(EVERY_ENTRIES);
        self.due
            .store(snapshot.size.saturating_add(pause), Ordering::Release);
        Ok(())
    }
}

//! The Ledger after a restart: its last snapshot, and what the entries after it say was taken and seen.
//!
//! Nothing is left out for being old: a task or a window may last for years, and what is forgotten would be a right
//! won by waiting. What it costs is bounded by how often snapshots are written, not by how long anything lasts.

use super::snapshot::Snapshot;
use super::{Ledger, lock};
use crate::Store;
use crate::error::ReadError;
use crate::log::LogReader;
use audit::EventKind;
use broker::World;
use broker::ledger::{Seen, Taken};
use identity::UnixTime;
use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io;

/// Entries asked for at once; the log gives fewer.
const CHUNK: u64 = 1024;

/// Why counts and labels could not be taken from the log.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It holds counts or labels of another form.
    #[error("the counts of entry {index} cannot be read: {source}")]
    Entry {
        /// Which entry.
        index: u64,
        /// Why not.
        source: serde_json::Error,
    },
    /// A snapshot was made after more entries than there are.
    #[error(
        "the log was rolled back: a signed snapshot of its counts is over {held} entries, it has {own}. Bring the newer state back"
    )]
    RolledBack {
        /// Entries that the snapshot is over.
        held: u64,
        /// Entries of the log.
        own: u64,
    },
    /// No snapshot could be written.
    #[error("no snapshot of the counts could be written: {0}")]
    Write(#[from] io::Error),
}

/// What recovery looks at in an entry.
#[derive(Deserialize)]
struct Told<'a> {
    kind: EventKind,
    #[serde(borrow, default)]
    detail: Option<&'a RawValue>,
}

/// The part of an entry's detail that is the Ledger's.
#[derive(Deserialize, Default)]
struct Deltas {
    #[serde(default)]
    taken: Vec<Taken>,
    #[serde(default)]
    seen: Option<Seen>,
}

impl Ledger {
    /// Takes in what the log of `store` says was taken and seen: after a restart, before the first request. An entry
    /// that cannot be read is an error: a count that is lost would be a right won.
    pub fn recover(&self, store: &Store) -> Result<(), RecoverError> {
        self.recover_to(store).map(|_| ())
    }

    /// The same; says after how many entries it is.
    fn recover_to(&self, store: &Store) -> Result<u64, RecoverError> {
        let log = store.log();
        let from = match store.ledgers().newest() {
            None => 0,
            Some(snapshot) => snapshot.into_ledger(self),
        };
        if from > log.size() {
            return Err(RecoverError::RolledBack {
                held: from,
                own: log.size(),
            });
        }
        self.replay_entries(log, from)
    }

    fn replay_entries(&self, log: &LogReader, from: u64) -> Result<u64, RecoverError> {
        let mut index = from;
        loop {
            let entries = log.entries(index..index.saturating_add(CHUNK))?;
            if entries.is_empty() {
                return Ok(index);
            }
            for bytes in entries {
                self.replay_entry(&bytes)
                    .map_err(|source| RecoverError::Entry { index, source })?;
                index += 1;
            }
        }
    }

    /// Takes in what an entry says was taken and seen.
    fn replay_entry(&self, bytes: &[u8]) -> Result<(), serde_json::Error> {
        let is_there = |member: &str| memmem::find(bytes, member.as_bytes()).is_some();
        if !is_there("\"taken\"") && !is_there("\"seen\"") {
            return Ok(());
        }
        let told: Told<'_> = serde_json::from_slice(bytes)?;
        // Others have something "seen" too, in words.
        if !told.kind.counts() {
            return Ok(());
        }
        let Some(detail) = told.detail else {
            return Ok(());
        };
        let deltas: Deltas = serde_json::from_str(detail.get())?;
        for taken in &deltas.taken {
            self.replay(taken);
        }
        if let Some(seen) = &deltas.seen {
            self.see(seen);
        }
        Ok(())
    }

    /// Counts what an entry says was taken.
    pub(super) fn replay(&self, taken: &Taken) {
        lock(self.shard(taken.key.of)).replay(taken);
    }
}

impl Store {
    /// Whether [`Self::keep_ledger`] has something to do.
    pub fn is_ledger_due(&self) -> bool {
        self.ledgers().are_due(self.log().size())
    }

    /// Writes a snapshot of the Ledger as the log tells it, if the log has grown by enough since the last one, without
    /// what `world` has forgotten. Blocks for as long as a start would take.
    pub fn keep_ledger(&self, world: &World, now: UnixTime) -> Result<(), RecoverError> {
        let Some(_turn) = self.ledgers().turn() else {
            return Ok(());
        };
        if !self.is_ledger_due() {
            return Ok(());
        }
        let ledger = Ledger::default();
        let size = ledger.recover_to(self)?;
        ledger.forget(world, now);
        self.ledgers().write(&Snapshot::of(&ledger, size))?;
        Ok(())
    }
}

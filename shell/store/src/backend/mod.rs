//! What a database does for the store: keep rows, and make one group of them durable at once.
//!
//! The trait is private to this crate, so nobody outside can add a database that pretends to have recorded something.
//! It sees bytes, revisions and keys, never a plan or its proof. Chosen when the store opens, not by a type parameter:
//! the database is configuration, and no caller is generic over it. `tests/backend.rs` is the suite for any of them.
//!
//! A backend is not trusted with content. Rows that alter the World are checked against the writer's signature
//! ([`crate::history`]), entries against the tree.

pub(crate) mod sqlite;

use audit::EntryBytes;
use broker::plan::OnceKind;
use identity::{Revision, UnixTime};

/// Why a database did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// SQLite says.
    #[error("the database failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A file of it could not be made.
    #[error("cannot open the database: {0}")]
    Io(#[from] std::io::Error),
    /// A number does not fit.
    #[error("the database holds a number out of range in {0}")]
    Number(&'static str),
    /// Written by a newer version.
    #[error(
        "the store has format {found}, this version knows {known}: start the newer version, or restore a backup from \
         before the upgrade"
    )]
    NewerFormat {
        /// What it says.
        found: u32,
        /// The newest known.
        known: u32,
    },
}

/// A key that can be spent once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct OnceKey {
    pub(crate) kind: u8,
    pub(crate) key: [u8; 32],
}

impl OnceKey {
    pub(crate) const fn new(kind: OnceKind, key: [u8; 32]) -> Self {
        Self {
            kind: kind as u8,
            key,
        }
    }
}

/// A spent key, and until when that matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Spent {
    pub(crate) key: OnceKey,
    pub(crate) until: UnixTime,
}

/// The Changes of one plan as they are kept: JSON, ids unstamped, in the words of [`broker::Change`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ChangeRow {
    pub(crate) revision: Revision,
    pub(crate) body: Vec<u8>,
}

/// A signed batch as it is kept. The numbers repeat what `body` says, for the database to search by.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct BatchRow {
    pub(crate) first: u64,
    pub(crate) count: u64,
    pub(crate) revision_first: Revision,
    pub(crate) revision_last: Revision,
    pub(crate) body: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

/// One entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct EntryRow {
    pub(crate) index: u64,
    pub(crate) body: Vec<u8>,
}

/// How much of the log is in files, and the right edge of the tree there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sealed {
    pub(crate) size: u64,
    pub(crate) frontier: Vec<u8>,
}

/// All that one group commit makes durable, or nothing of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    /// In order; the first has the index `batch.first`.
    pub(crate) entries: Vec<EntryBytes>,
    pub(crate) changes: Vec<ChangeRow>,
    pub(crate) spent: Vec<Spent>,
    pub(crate) batch: BatchRow,
}

/// Rows that are not needed any more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tidy {
    /// Recorded first; entries below its size may go.
    pub(crate) sealed: Option<Sealed>,
    /// Entries below this index go.
    pub(crate) below: u64,
    /// Batches without Changes go that hold only entries between this index and `below`.
    pub(crate) from: u64,
    /// Keys that expired.
    pub(crate) forgotten: Vec<Spent>,
    /// No key that dies at or before this instant is remembered any more.
    pub(crate) once_floor: UnixTime,
}

/// The writing side: one owner, the writer thread.
pub(crate) trait Backend: Send {
    /// Makes a group durable before it returns. After an error nothing may be assumed, and nothing more is written.
    fn commit(&mut self, group: &Group) -> Result<(), BackendError>;
    /// Drops what is not needed any more.
    fn tidy(&mut self, tidy: &Tidy) -> Result<(), BackendError>;
    /// Called between commits: keeps files from growing.
    fn maintain(&mut self) -> Result<(), BackendError>;
    /// Called once, at a clean end.
    fn close(&mut self) -> Result<(), BackendError>;
    /// A reading side of its own connection.
    fn reader(&self) -> Result<Box<dyn Rows>, BackendError>;
}

/// The reading side. Each call is one short read transaction.
pub(crate) trait Rows: Send {
    /// Entries from `from` on, in order, at most `limit`; those that were sealed and dropped are left out.
    fn entries(&self, from: u64, limit: usize) -> Result<Vec<EntryRow>, BackendError>;
    /// Index of the oldest entry that has not been dropped.
    fn oldest_entry(&self) -> Result<Option<u64>, BackendError>;
    /// Changes after one revision up to another, in order.
    fn changes(&self, after: Revision, to: Revision) -> Result<Vec<ChangeRow>, BackendError>;
    /// Batches that hold a Change after `revision`, in order, at most `limit`.
    fn batches_with_changes(&self, after: Revision, limit: usize) -> Result<Vec<BatchRow>, BackendError>;
    /// Batches that hold an entry at or after `index`, in order.
    fn batches_from(&self, index: u64) -> Result<Vec<BatchRow>, BackendError>;
    /// The newest batch.
    fn last_batch(&self) -> Result<Option<BatchRow>, BackendError>;
    /// Every key that was not forgotten.
    fn spent(&self) -> Result<Vec<Spent>, BackendError>;
    /// See [`Tidy::once_floor`].
    fn once_floor(&self) -> Result<UnixTime, BackendError>;
    /// How much is in files.
    fn sealed(&self) -> Result<Sealed, BackendError>;
}

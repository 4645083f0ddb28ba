//! What can go wrong: when a store is opened, when a plan is committed, when something is read.

use crate::backend::BackendError;
use broker::plan::Precondition;
use identity::Revision;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a plan was not recorded. Nothing of it was: no entry, no Change, no spent key.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// What had to hold did not: the key was spent before, or the World moved on.
    #[error("a precondition does not hold any more: {0:?}")]
    Conflict(Precondition),
    /// A Change that narrows was committed after the decision was made: decide again.
    #[error(
        "decided at revision {decided_at}, but revision {restricted_at} narrowed what is allowed: decide again"
    )]
    Stale {
        /// The World of the decision.
        decided_at: Revision,
        /// The newest narrowing Change.
        restricted_at: Revision,
    },
    /// The event cannot be written as an entry.
    #[error("the event cannot be recorded: {0}")]
    Unrecordable(Arc<audit::EncodeError>),
    /// More live use-once keys than are kept: 1,000,000. None is forgotten early, so the plan is refused.
    #[error("1000000 use-once keys are alive: try again when some have expired")]
    TooManyKeys,
    /// An earlier write failed. What reached the disk is unknown until the store is opened again.
    #[error("the store stopped after a failed write ({0}): free or repair the disk, then restart")]
    Poisoned(Arc<str>),
    /// The store is closing.
    #[error("the store is closed")]
    Unavailable,
}

/// Why a store does not open. Nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{} is in use by another tabard process: stop that one first, or give this one a directory of its own", root.display())]
    InUse {
        /// The data directory.
        root: PathBuf,
    },
    /// The file system refused.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The database refused.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The database of another log, or the wrong key for this one.
    #[error(
        "the store belongs to the log key {expected}, but the key given is {given}: configure the key it was made with"
    )]
    OtherKey {
        /// The vkey in the store.
        expected: String,
        /// The vkey given.
        given: String,
    },
    /// The name of the log key is not one.
    #[error("the log key has no usable name: {0}")]
    KeyName(#[from] audit::note::NoteKeyError),
    /// A sealed entry or tile could not be read.
    #[error("the log's files are damaged: {0}. Restore them from a backup or an export")]
    Log(Box<dyn std::error::Error + Send + Sync>),
    /// A row is not what its writer signed.
    #[error(
        "{row} was altered after it was written: {why}. Restore a backup; keep this directory as evidence"
    )]
    Forged {
        /// Which row, e.g. `entry 136`.
        row: String,
        /// What does not fit.
        why: &'static str,
    },
    /// A signed checkpoint promises more entries than there are.
    #[error(
        "the store was rolled back: {witness} promises {held} entries, there are {own}. Restore the newer state, or start a new log with `tabard restore`"
    )]
    RolledBack {
        /// Who remembers.
        witness: String,
        /// Entries (or the revision) it remembers.
        held: u64,
        /// What there is.
        own: u64,
    },
    /// A signed checkpoint was made over other entries.
    #[error(
        "the store was forked: its first {size} entries are not those that {witness} was signed over. Restore the original; keep this directory as evidence"
    )]
    Forked {
        /// Who remembers.
        witness: String,
        /// The size at which they differ.
        size: u64,
    },
    /// A checkpoint is unreadable or not signed by the key of the log.
    #[error(
        "{witness} is not a checkpoint of this log: {why}. Put the right file there; remove it only if you accept that a rollback cannot be noticed"
    )]
    BadCheckpoint {
        /// Which file.
        witness: String,
        /// What is wrong.
        why: String,
    },
    /// Sealed entries exist, but no signed checkpoint vouches for them.
    #[error("{} is missing, but {sealed} entries were sealed under it: restore it", path.display())]
    NoCheckpoint {
        /// Where it was.
        path: PathBuf,
        /// How many entries were sealed.
        sealed: u64,
    },
    /// A Change that this version cannot read.
    #[error("the Change at revision {revision} is unreadable ({source}): start the version that wrote it")]
    UnknownChange {
        /// Its revision.
        revision: Revision,
        /// Why.
        source: serde_json::Error,
    },
}

/// Why something could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The database refused.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The file system refused.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A sealed bundle does not hold what its name says.
    #[error("{} is not an entry bundle", path.display())]
    Bundle {
        /// Which file.
        path: PathBuf,
    },
    /// The log is shorter.
    #[error("entry {index} does not exist: the log has {size}")]
    NoEntry {
        /// What was asked for.
        index: u64,
        /// How many there are.
        size: u64,
    },
    /// A stored row is not what its writer signed.
    #[error("{row} was altered after it was written: {why}")]
    Forged {
        /// Which row.
        row: String,
        /// What does not fit.
        why: &'static str,
    },
    /// A Change that this version cannot read.
    #[error("the Change at revision {revision} is unreadable: {source}")]
    Change {
        /// Its revision.
        revision: Revision,
        /// Why.
        source: serde_json::Error,
    },
    /// An entry could not be parsed.
    #[error("entry {index} is not readable: {why}")]
    Entry {
        /// Which.
        index: u64,
        /// Why.
        why: String,
    },
}

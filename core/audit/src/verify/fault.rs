//! What can be wrong with a log, each said so that one finds the place.

use crate::checkpoint::CheckpointError;
use crate::tile::{BundleError, ReadError, TileError, TilePath};
use identity::EntryRef;

/// The first thing that does not hold. A verifier stops there: what follows a fault proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A file is missing or unreadable.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A tile has the wrong length.
    #[error("{0}")]
    Tile(TileError),
    /// The checkpoint is not signed by the key, or is of another log.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The kept checkpoint is of another log.
    #[error("the checkpoint you kept is of {0}, another log")]
    KeptOrigin(String),
    /// The log is shorter than it was.
    #[error("the log was cut: it has {size} entries, and you kept a checkpoint of {kept}")]
    Truncated {
        /// Entries when the checkpoint was kept.
        kept: u64,
        /// Entries now.
        size: u64,
    },
    /// The log has another history than it had.
    #[error("the log was rewritten: its first {kept} entries are not those of the checkpoint you kept")]
    Fork {
        /// Entries when the checkpoint was kept.
        kept: u64,
    },
    /// A bundle does not read.
    #[error("{path}: {why}")]
    Bundle {
        /// Its path.
        path: TilePath,
        /// What is wrong.
        why: BundleError,
    },
    /// A bundle holds more or fewer entries than its path says.
    #[error("{path} holds {found} entries instead of {wanted}")]
    BundleCount {
        /// Its path.
        path: TilePath,
        /// Entries in it.
        found: usize,
        /// Entries it should have.
        wanted: usize,
    },
    /// An entry was changed, or its hash was.
    #[error("entry {index} ({path}) does not match its level 0 tile ({tile})")]
    EntryDiffers {
        /// Its index.
        index: u64,
        /// The bundle it is in.
        path: TilePath,
        /// The tile its hash is in.
        tile: TilePath,
    },
    /// A tile is not what the tiles below it lead to.
    #[error("{path} does not match the tiles below it")]
    TileDiffers {
        /// Its path.
        path: TilePath,
    },
    /// All tiles agree, with each other but not with the checkpoint.
    #[error("the tree of all {size} entries has another root than the checkpoint")]
    Root {
        /// Entries of the checkpoint.
        size: u64,
    },
    /// Bytes that were logged but are not an event.
    #[error("entry {index} is not an event: {why}")]
    NotAnEntry {
        /// Its index.
        index: u64,
        /// What is wrong.
        why: String,
    },
    /// An entry that was moved here, or comes from another log.
    #[error("entry {index} says that it is entry {says}")]
    Place {
        /// Where it is.
        index: u64,
        /// Where it says it is.
        says: EntryRef,
    },
    /// Time of the installation ran backwards.
    #[error("at entry {index} the {what} falls from {from} to {to}")]
    Backwards {
        /// The entry.
        index: u64,
        /// What falls: `epoch` or `revision`.
        what: &'static str,
        /// Before.
        from: u64,
        /// At this entry.
        to: u64,
    },
}

impl From<TileError> for Fault {
    fn from(error: TileError) -> Self {
        match error {
            TileError::Read(error) => Self::Read(error),
            other @ (TileError::Length { .. } | TileError::Outside { .. }) => Self::Tile(other),
        }
    }
}

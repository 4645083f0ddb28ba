//! Moves the log from the database into files, and publishes its head.
//!
//! Every second in which the log grew: write what became full, fsync; write the unfinished edge; compare the root of
//! all that with the signed head, so that an entry altered in the database is never sealed; publish the checkpoint,
//! in the log's directory and outside; only then tell the writer how much it may drop. Each step can be repeated, so a
//! crash anywhere in between costs nothing.

use super::{Head, LogFiles};
use crate::backend::{BackendError, Rows, Sealed};
use crate::directory::replace;
use crate::health::Poison;
use crate::log_key::LogKey;
use arc_swap::ArcSwap;
use audit::checkpoint::CheckpointError;
use audit::merkle::{Frontier, leaf_hash};
use audit::tile::{BundleError, TILE_WIDTH, TileBuilder, TileKind, TilePath, append_to_bundle};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A full bundle's entries.
const BUNDLE_ENTRIES: usize = 256;
/// Bundles between two fsyncs of their directories.
const BUNDLES_AT_ONCE: usize = 32;

/// Why the log could not be published. The store stops: what it signs must be where readers look for it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error("the log's files cannot be written: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("entry {0} is missing from the database")]
    Gap(u64),
    #[error("the first {0} entries in the database are not those that were signed")]
    Altered(u64),
}

/// Told to the writer: the log is in files up to here.
#[derive(Debug)]
pub(crate) struct SealedTo(pub(crate) Sealed);

/// The state of sealing: both edges stand at the sealed size, a multiple of 256.
pub(crate) struct Sealer {
    pub(crate) files: LogFiles,
    pub(crate) key: LogKey,
    pub(crate) rows: Box<dyn Rows>,
    pub(crate) tiles: TileBuilder,
    pub(crate) frontier: Frontier,
    pub(crate) head: Arc<ArcSwap<Head>>,
    pub(crate) published: Arc<AtomicU64>,
    pub(crate) outside: Option<PathBuf>,
    /// Whether the copy outside is as new as the published one.
    pub(crate) outside_is_new: bool,
}

impl Sealer {
    /// Publishes until `stop`, then once more.
    pub(crate) fn run(
        mut self,
        every: Duration,
        stop: &AtomicBool,
        poison: &Poison,
        mut tell: impl FnMut(SealedTo),
    ) {
        loop {
            let last = stop.load(Ordering::Acquire);
            if poison.get().is_some() {
                return;
            }
            match self.publish() {
                Ok(Some(sealed)) => tell(SealedTo(sealed)),
                Ok(None) => {}
                Err(error) => {
                    poison.set(&error.to_string());
                    return;
                }
            }
            if last {
                return;
            }
            std::thread::park_timeout(every);
        }
    }

    /// Brings files and checkpoint up to the newest head; says how much is sealed if that grew.
    pub(crate) fn publish(&mut self) -> Result<Option<Sealed>, SealError> {
        let head = self.head.load_full();
        if self.published.load(Ordering::Acquire) == head.size && self.outside_is_new {
            return Ok(None);
        }
        let Some(checkpoint) = head.checkpoint(&self.key)? else {
            return Ok(None);
        };
        let full = head.size - head.size % TILE_WIDTH;
        let grown = self.tiles.size() < full;
        while self.tiles.size() < full {
            self.seal_bundles(full)?;
        }
        self.write_edge(&head)?;
        self.files.publish(&checkpoint)?;
        self.published.store(head.size, Ordering::Release);
        self.copy_outside(&checkpoint);
        Ok(grown.then(|| Sealed {
            size: full,
            frontier: self.frontier.to_bytes(),
        }))
    }

    /// Writes some full bundles and the tiles that they complete; their directories are fsynced once for all.
    fn seal_bundles(&mut self, full: u64) -> Result<(), SealError> {
        let (mut directories, mut completed) = (Vec::new(), Vec::new());
        for _ in 0..BUNDLES_AT_ONCE {
            let first = self.tiles.size();
            if first >= full {
                break;
            }
            let entries = self.entries(first, BUNDLE_ENTRIES)?;
            let bundle = TilePath::full(TileKind::Entries, first / TILE_WIDTH);
            directories.push(self.files.put(bundle, &bundle_of(&entries)?)?);
            completed.push(bundle);
            for entry in &entries {
                let leaf = leaf_hash(entry);
                self.frontier.push(leaf);
                for (path, bytes) in self.tiles.push(leaf) {
                    directories.push(self.files.put(path, &bytes)?);
                    completed.push(path);
                }
            }
        }
        LogFiles::sync(directories)?;
        Ok(completed
            .into_iter()
            .try_for_each(|path| self.files.drop_partials(path))?)
    }

    /// Writes the unfinished bundle and tiles of a tree of the head's size, if it is the tree that was signed.
    fn write_edge(&self, head: &Head) -> Result<(), SealError> {
        let (mut edge, first) = (self.tiles.clone(), self.tiles.size());
        let count = usize::try_from(head.size - first).unwrap_or(BUNDLE_ENTRIES);
        let entries = self.entries(first, count)?;
        for entry in &entries {
            edge.push(leaf_hash(entry));
        }
        if edge.root() != head.root {
            return Err(SealError::Altered(head.size));
        }
        let mut directories = Vec::new();
        for (path, bytes) in edge.partial_tiles() {
            directories.push(self.files.put(path, &bytes)?);
        }
        if let Some(path) = TilePath::in_tree(TileKind::Entries, first / TILE_WIDTH, head.size) {
            directories.push(self.files.put(path, &bundle_of(&entries)?)?);
        }
        Ok(LogFiles::sync(directories)?)
    }

    fn entries(&self, first: u64, count: usize) -> Result<Vec<Vec<u8>>, SealError> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let rows = self.rows.entries(first, count)?;
        let gap = (first..)
            .zip(&rows)
            .find(|(index, row)| row.index != *index)
            .map(|(index, _)| index);
        match gap {
            Some(index) => Err(SealError::Gap(index)),
            None if rows.len() < count => Err(SealError::Gap(first + rows.len() as u64)),
            None => Ok(rows.into_iter().map(|row| row.body).collect()),
        }
    }

    /// The copy that a rolled-back data directory cannot take along. Failing to write it stops nothing, for the place
    /// may be on another machine; it is tried again with the next checkpoint.
    fn copy_outside(&mut self, checkpoint: &[u8]) {
        let Some(path) = &self.outside else {
            self.outside_is_new = true;
            return;
        };
        match replace(path, checkpoint) {
            Ok(()) => self.outside_is_new = true,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the checkpoint could not be copied outside");
                self.outside_is_new = false;
            }
        }
    }
}

fn bundle_of(entries: &[Vec<u8>]) -> Result<Vec<u8>, BundleError> {
    let mut bundle = Vec::with_capacity(entries.iter().map(|entry| entry.len() + 2).sum());
    entries
        .iter()
        .try_for_each(|entry| append_to_bundle(&mut bundle, entry))?;
    Ok(bundle)
}

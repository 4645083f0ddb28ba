//! A copy of the log that anyone can verify: tiles, bundles and the published checkpoint, in one static directory.

use super::{LogFiles, LogReader};
use crate::error::ReadError;
use audit::checkpoint::{Checkpoint, CheckpointError};
use audit::note::SignedNote;
use audit::tile::{
    BundleError, CHECKPOINT_PATH, ReadError as TileReadError, TILE_WIDTH, TilePath, TileSource,
    append_to_bundle,
};
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Why the log was not exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The target holds something.
    #[error("{} is not empty: export into a new directory", .0.display())]
    NotEmpty(PathBuf),
    /// Nothing was published yet.
    #[error("no checkpoint is published yet: try again in a second")]
    NothingPublished,
    /// The log's own files.
    #[error("the log cannot be read: {0}")]
    Tile(#[from] TileReadError),
    /// An entry.
    #[error("the log cannot be read: {0}")]
    Read(#[from] ReadError),
    /// The published checkpoint is not one of this log.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// An entry too long for a bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The target.
    #[error("{} cannot be written: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Writes the log as of its published checkpoint to `to`, which must not hold anything: every tile, and the bundles
/// that hold any of `entries`. Says how many entries the checkpoint is over. Only an export of all entries can be
/// scanned from end to end; of a part, inclusion is what can be proven.
pub(crate) fn export(
    files: &LogFiles,
    log: &LogReader,
    to: &Path,
    entries: &Range<u64>,
) -> Result<u64, ExportError> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| ExportError::Io { path, source }
    };
    fs::create_dir_all(to).map_err(failed(to))?;
    if fs::read_dir(to).map_err(failed(to))?.next().is_some() {
        return Err(ExportError::NotEmpty(to.to_path_buf()));
    }
    let note = match TileSource::read(files, CHECKPOINT_PATH) {
        Err(TileReadError::Missing(_)) => return Err(ExportError::NothingPublished),
        other => other?,
    };
    let published = SignedNote::parse(&note).map_err(CheckpointError::Note)?;
    let size = published.text_unverified().parse::<Checkpoint>()?.size;
    let write = |path: &Path, bytes: &[u8]| {
        let parent = path.parent().unwrap_or(to);
        fs::create_dir_all(parent).map_err(failed(parent))?;
        fs::write(path, bytes).map_err(failed(path))
    };
    for path in TilePath::of_tree(size) {
        write(&to.join(path.to_string()), &tile(files, path)?)?;
    }
    for path in TilePath::bundles_of_tree(size) {
        let (first, end) = (
            path.index * TILE_WIDTH,
            path.index * TILE_WIDTH + u64::from(path.width),
        );
        if first >= entries.end || end <= entries.start {
            continue;
        }
        let (mut at, mut bundle) = (first, Vec::new());
        while at < end {
            let some = log.entries(at..end)?;
            if some.is_empty() {
                return Err(ReadError::NoEntry {
                    index: at,
                    size: log.size(),
                }
                .into());
            }
            at += some.len() as u64;
            some.iter()
                .try_for_each(|entry| append_to_bundle(&mut bundle, entry))?;
        }
        write(&to.join(path.to_string()), &bundle)?;
    }
    write(&to.join(CHECKPOINT_PATH), &note)?;
    Ok(size)
}

/// A tile as it was when the tree was as large as the path says: the log may have grown since.
fn tile(files: &LogFiles, path: TilePath) -> Result<Vec<u8>, TileReadError> {
    match TileSource::read(files, &path.to_string()) {
        Err(TileReadError::Missing(_)) if !path.is_full() => {
            let mut bytes = TileSource::read(files, &path.completed().to_string())?;
            bytes.truncate(usize::from(path.width) * 32);
            Ok(bytes)
        }
        other => other,
    }
}

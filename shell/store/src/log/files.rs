//! The log as files: tiles, bundles and the published checkpoint, as any static server can serve them.

use crate::directory::{put, replace, sync_directory};
use audit::tile::{CHECKPOINT_PATH, ReadError as TileReadError, TilePath, TileSource};
use std::fs;
use std::io;
use std::path::PathBuf;

/// A directory in the form of C2SP tlog-tiles.
#[derive(Debug, Clone)]
pub(crate) struct LogFiles(PathBuf);

impl LogFiles {
    pub(crate) const fn at(root: PathBuf) -> Self {
        Self(root)
    }
    pub(crate) fn path_of(&self, path: TilePath) -> PathBuf {
        self.0.join(path.to_string())
    }
    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.0.join(CHECKPOINT_PATH)
    }
    pub(crate) fn read(&self, path: TilePath) -> io::Result<Vec<u8>> {
        fs::read(self.path_of(path))
    }

    /// Writes one tile or bundle; returns the directory whose fsync makes its name durable, too.
    pub(crate) fn put(&self, path: TilePath, bytes: &[u8]) -> io::Result<PathBuf> {
        put(&self.path_of(path), bytes)
    }

    /// Makes the names in these directories durable.
    pub(crate) fn sync(mut directories: Vec<PathBuf>) -> io::Result<()> {
        directories.sort_unstable();
        directories.dedup();
        directories
            .iter()
            .try_for_each(|directory| sync_directory(directory))
    }

    /// Removes the partial forms of a tile that is full now. Readers find the full one in their place.
    pub(crate) fn drop_partials(&self, full: TilePath) -> io::Result<()> {
        let partials = PathBuf::from(format!("{}.p", self.path_of(full).display()));
        match fs::remove_dir_all(partials) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    pub(crate) fn publish(&self, checkpoint: &[u8]) -> io::Result<()> {
        replace(&self.checkpoint(), checkpoint)
    }
}

impl TileSource for LogFiles {
    fn read(&self, path: &str) -> Result<Vec<u8>, TileReadError> {
        // Only paths of the format lead anywhere: a request cannot climb out of the directory.
        if path != CHECKPOINT_PATH && path.parse::<TilePath>().is_err() {
            return Err(TileReadError::Missing(path.to_owned()));
        }
        fs::read(self.0.join(path)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => TileReadError::Missing(path.to_owned()),
            _ => TileReadError::Failed {
                path: path.to_owned(),
                why: error.to_string(),
            },
        })
    }
}

//! Reads tiles from wherever they are, and serves proofs from them.

use super::{TILE_HEIGHT, TILE_WIDTH, TileKind, TilePath, builder};
use crate::merkle::NodeSource;
use identity::Digest;

/// Reads the files of a log: a directory, an HTTP server, an archive, a map in memory.
pub trait TileSource {
    /// The bytes at `path`, relative to the log's root: `checkpoint`, `tile/0/000`, `tile/entries/000.p/7`.
    fn read(&self, path: &str) -> Result<Vec<u8>, ReadError>;
}

/// Why a file was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is not there.
    #[error("{0} is missing")]
    Missing(String),
    /// It is there, or might be, but could not be read.
    #[error("{path} could not be read: {why}")]
    Failed {
        /// Its path.
        path: String,
        /// What the source says.
        why: String,
    },
}

/// Why a tile is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// It was not read.
    #[error(transparent)]
    Read(ReadError),
    /// It has not the length its path says.
    #[error("{path} has {found} bytes instead of {wanted}")]
    Length {
        /// Its path.
        path: TilePath,
        /// Its length.
        found: usize,
        /// 32 for each hash.
        wanted: usize,
    },
    /// The tree has no such node.
    #[error("a tree of {size} entries has no node {index} at level {level}")]
    Outside {
        /// Height above the leaves.
        level: u32,
        /// Place within the level.
        index: u64,
        /// The tree's size.
        size: u64,
    },
}

/// The tree of `size` entries as its tiles tell it. The hashes are claims: what is built from them is worth
/// something only once it leads to a root that somebody signed.
#[derive(Debug)]
pub struct TileTree<'a, S: ?Sized> {
    tiles: &'a S,
    size: u64,
}

impl<'a, S: TileSource + ?Sized> TileTree<'a, S> {
    /// The tree of the first `size` entries of the log at `tiles`.
    pub const fn new(tiles: &'a S, size: u64) -> Self {
        Self { tiles, size }
    }
}

impl<S: TileSource + ?Sized> NodeSource for TileTree<'_, S> {
    type Error = TileError;
    fn node(&self, level: u32, index: u64) -> Result<Digest, TileError> {
        let outside = TileError::Outside {
            level,
            index,
            size: self.size,
        };
        let kind = match u8::try_from(level / TILE_HEIGHT) {
            Ok(tile_level @ 0..8) => TileKind::Hashes(tile_level),
            _ => return Err(outside),
        };
        // The node spans 2^height hashes of the tile; they never cross its edge.
        let height = level % TILE_HEIGHT;
        let Some(first) = index.checked_shl(height).filter(|first| first >> height == index) else {
            return Err(outside);
        };
        let Some(path) = TilePath::in_tree(kind, first / TILE_WIDTH, self.size) else {
            return Err(outside);
        };
        let hashes = hashes_at(self.tiles, path)?;
        let begin = usize::try_from(first % TILE_WIDTH).unwrap_or(usize::MAX);
        match hashes.get(begin..begin.saturating_add(1 << height)) {
            Some(span) => Ok(builder::root_of(span)),
            None => Err(outside),
        }
    }
}

/// The hashes of a tile. A partial tile may have been replaced by its full one, of which it is the beginning.
pub(crate) fn hashes_at<S: TileSource + ?Sized>(tiles: &S, path: TilePath) -> Result<Vec<Digest>, TileError> {
    let wanted = usize::from(path.width) * 32;
    let bytes = match tiles.read(&path.to_string()) {
        Err(ReadError::Missing(_)) if !path.is_full() => {
            let full = path.completed();
            let mut bytes = tiles.read(&full.to_string()).map_err(|error| match error {
                ReadError::Missing(_) => ReadError::Missing(path.to_string()),
                failed @ ReadError::Failed { .. } => failed,
            })?;
            let found = bytes.len();
            let full_len = usize::from(full.width) * 32;
            if found != full_len {
                return Err(TileError::Length {
                    path: full,
                    found,
                    wanted: full_len,
                });
            }
            bytes.truncate(wanted);
            bytes
        }
        other => other?,
    };
    let (hashes, rest) = bytes.as_chunks::<32>();
    if bytes.len() != wanted || !rest.is_empty() {
        return Err(TileError::Length {
            path,
            found: bytes.len(),
            wanted,
        });
    }
    Ok(hashes.iter().map(|hash| Digest::from_bytes(*hash)).collect())
}

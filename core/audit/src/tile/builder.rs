//! Grows the tiles of a log, leaf by leaf, with only the unfinished tile of each level in memory.

use super::{ReadError, TILE_WIDTH, TileError, TileKind, TilePath, TileSource};
use crate::merkle::{Frontier, empty_root};
use identity::Digest;

/// The right edge of the tiles of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TileBuilder {
    size: u64,
    /// The hashes of the unfinished tile of each level, at most 255.
    levels: Vec<Vec<Digest>>,
}

impl TileBuilder {
    /// The tiles of an empty log.
    pub const fn new() -> Self {
        Self {
            size: 0,
            levels: Vec::new(),
        }
    }

    /// Continues at `size`, reading the unfinished tile of each level. Does not check them against a root:
    /// compare [`TileBuilder::root`] with the checkpoint before going on.
    pub fn resume<S: TileSource + ?Sized>(size: u64, tiles: &S) -> Result<Self, TileError> {
        let mut builder = Self {
            size,
            levels: Vec::new(),
        };
        let mut hashes = size;
        for level in 0..8 {
            if hashes == 0 {
                break;
            }
            let path = TilePath::in_tree(TileKind::Hashes(level), hashes / TILE_WIDTH, size);
            let row = path.map_or_else(|| Ok(Vec::new()), |path| super::reader::hashes_at(tiles, path))?;
            builder.levels.push(row);
            hashes /= TILE_WIDTH;
        }
        Ok(builder)
    }

    /// Number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends the hash of the next leaf. Returns the tiles that it completes, lowest level first: none but for
    /// every 256th leaf.
    pub fn push(&mut self, leaf: Digest) -> Vec<(TilePath, Vec<u8>)> {
        self.size += 1;
        let mut completed = Vec::new();
        let (mut node, mut hashes) = (leaf, self.size);
        for level in 0_u8..8 {
            if self.levels.len() == usize::from(level) {
                self.levels.push(Vec::new());
            }
            let Some(row) = self.levels.get_mut(usize::from(level)) else {
                break;
            };
            row.push(node);
            if (row.len() as u64) < TILE_WIDTH {
                break;
            }
            hashes /= TILE_WIDTH;
            let path = TilePath::full(TileKind::Hashes(level), hashes - 1);
            completed.push((path, bytes_of(row)));
            node = root_of(row);
            row.clear();
        }
        completed
    }

    /// The unfinished tiles of the log as it is now, lowest level first.
    pub fn partial_tiles(&self) -> Vec<(TilePath, Vec<u8>)> {
        let mut tiles = Vec::new();
        let mut hashes = self.size;
        for (level, row) in (0_u8..).zip(&self.levels) {
            let index = hashes / TILE_WIDTH;
            if let Some(path) = TilePath::in_tree(TileKind::Hashes(level), index, self.size) {
                tiles.push((path, bytes_of(row)));
            }
            hashes = index;
        }
        tiles
    }

    /// The root of the tree.
    pub fn root(&self) -> Digest {
        // Each level's unfinished tile is the right edge of what the levels above have completed.
        let mut right: Option<Digest> = None;
        for row in &self.levels {
            right = fold_right(row, right);
        }
        right.unwrap_or_else(empty_root)
    }
}

/// The root of a full or partial tile's hashes, as a tree of their own.
pub(super) fn root_of(hashes: &[Digest]) -> Digest {
    let mut frontier = Frontier::new();
    for hash in hashes {
        frontier.push(*hash);
    }
    frontier.root()
}

/// The root over `row` followed by the smaller subtree `right`.
fn fold_right(row: &[Digest], right: Option<Digest>) -> Option<Digest> {
    let (mut right, mut rest) = (right, row);
    while !rest.is_empty() {
        let len = 1_usize << rest.len().trailing_zeros();
        let (left, last) = rest.split_at_checked(rest.len() - len).unwrap_or_default();
        let node = root_of(last);
        right = Some(right.map_or(node, |right| crate::merkle::node_hash(&node, &right)));
        rest = left;
    }
    right
}

fn bytes_of(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

impl From<ReadError> for TileError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

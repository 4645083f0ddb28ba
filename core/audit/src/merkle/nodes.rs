//! Where proofs take their hashes from.

use super::{empty_root, node_hash};
use identity::Digest;

/// Reads the roots of perfect subtrees.
pub trait NodeSource {
    /// What can go wrong while reading.
    type Error;
    /// The root over the leaves `index * 2^level` up to `(index + 1) * 2^level`; level 0 is the leaves themselves.
    fn node(&self, level: u32, index: u64) -> Result<Digest, Self::Error>;
}

/// The root of the tree of the first `size` leaves.
pub fn root_of_size<S: NodeSource>(size: u64, nodes: &S) -> Result<Digest, S::Error> {
    root_of_range(0, size, nodes)
}

/// The root over the leaves `begin..end` (`MTH(D[begin:end])`). `begin` is a multiple of the smallest power of two
/// that is not below the length, as in every range of RFC 6962.
pub fn root_of_range<S: NodeSource>(begin: u64, end: u64, nodes: &S) -> Result<Digest, S::Error> {
    let mut end = end;
    let mut right: Option<Digest> = None;
    // From the right: the perfect subtrees of the range, smallest first.
    while end > begin {
        let level = (end - begin).trailing_zeros();
        let node = nodes.node(level, (end >> level) - 1)?;
        right = Some(right.map_or(node, |right| node_hash(&node, &right)));
        end -= 1 << level;
    }
    Ok(right.unwrap_or_else(empty_root))
}

/// All hashes of a tree, in memory: for tests, small logs and exports of one tenant.
#[derive(Clone, Debug, Default)]
pub struct MemoryTree {
    /// The complete nodes of each level, leaves first.
    levels: Vec<Vec<Digest>>,
}

/// A node was asked for that the tree does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the tree has no node {index} at level {level}")]
pub struct NoNode {
    /// Height above the leaves.
    pub level: u32,
    /// Place within the level.
    pub index: u64,
}

impl MemoryTree {
    /// Appends the hash of the next leaf.
    pub fn push(&mut self, leaf: Digest) {
        let mut node = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let Some(row) = self.levels.get_mut(level) else {
                return;
            };
            row.push(node);
            match row.as_slice() {
                [.., left, right] if row.len() % 2 == 0 => node = node_hash(left, right),
                _ => return,
            }
        }
    }
    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }
}

impl FromIterator<Digest> for MemoryTree {
    fn from_iter<I: IntoIterator<Item = Digest>>(leaves: I) -> Self {
        let mut tree = Self::default();
        for leaf in leaves {
            tree.push(leaf);
        }
        tree
    }
}

impl NodeSource for MemoryTree {
    type Error = NoNode;
    fn node(&self, level: u32, index: u64) -> Result<Digest, NoNode> {
        let place = usize::try_from(index).ok();
        let row = self.levels.get(level as usize);
        row.zip(place)
            .and_then(|(row, place)| row.get(place))
            .copied()
            .ok_or(NoNode { level, index })
    }
}

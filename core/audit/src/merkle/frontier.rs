//! The right edge of a tree: the roots of the perfect subtrees that a size is made of, largest first.
//!
//! Enough to append a leaf and to compute the root, in at most 64 hashes of memory. It cannot make proofs.

use super::{empty_root, node_hash};
use identity::Digest;

/// The right edge of a tree of [`Frontier::size`] leaves.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Frontier {
    size: u64,
    /// One hash per bit that is set in `size`, highest bit first.
    edge: Vec<Digest>,
}

/// Why bytes are not a [`Frontier`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frontier is its size in 8 bytes and 32 bytes for each bit set in it")]
pub struct FrontierError;

impl Frontier {
    /// The edge of an empty tree.
    pub const fn new() -> Self {
        Self {
            size: 0,
            edge: Vec::new(),
        }
    }
    /// Number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }
    /// Appends the hash of the next leaf ([`super::leaf_hash`]).
    pub fn push(&mut self, leaf: Digest) {
        let mut node = leaf;
        // A carry of binary addition: each trailing one of the size is a full subtree to the left of this one.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.edge.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.edge.push(node);
        self.size += 1;
    }
    /// The root of the tree (RFC 6962 section 2.1).
    pub fn root(&self) -> Digest {
        let smaller_first = self.edge.iter().rev().copied();
        smaller_first
            .reduce(|right, left| node_hash(&left, &right))
            .unwrap_or_else(empty_root)
    }
    /// Size in 8 bytes, big-endian, then the edge.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        for node in &self.edge {
            bytes.extend_from_slice(node.as_bytes());
        }
        bytes
    }
    /// Reads what [`Frontier::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrontierError> {
        let (size, edge) = bytes.split_first_chunk::<8>().ok_or(FrontierError)?;
        let size = u64::from_be_bytes(*size);
        let (nodes, []) = edge.as_chunks::<32>() else {
            return Err(FrontierError);
        };
        let edge: Vec<_> = nodes.iter().map(|node| Digest::from_bytes(*node)).collect();
        if edge.len() == size.count_ones() as usize {
            Ok(Self { size, edge })
        } else {
            Err(FrontierError)
        }
    }
}

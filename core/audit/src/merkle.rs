//! The Merkle tree of RFC 6962 section 2.1 over entry bytes (SHA-256; leaf prefix 0x00, node prefix 0x01).
//!
//! Nothing here keeps a tree. [`Frontier`] is its right edge, enough to append and to know the root; proofs ask a
//! [`NodeSource`] for the few hashes they need, be it memory or tiles.

mod frontier;
mod nodes;
mod proof;

#[cfg(test)]
mod tests;

pub use frontier::{Frontier, FrontierError};
pub use nodes::{MemoryTree, NoNode, NodeSource, root_of_range, root_of_size};
pub use proof::{
    Consistent, Included, ProofError, consistency_proof, inclusion_proof, verify_consistency,
    verify_inclusion,
};

use aws_lc_rs::digest::{Context, SHA256};
use identity::Digest;

/// The hash of an entry: SHA-256 of 0x00 and its bytes.
pub fn leaf_hash(entry: &[u8]) -> Digest {
    sha256(&[&[0], entry])
}

/// The hash of two neighbouring subtrees: SHA-256 of 0x01, left, right.
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    sha256(&[&[1], left.as_bytes(), right.as_bytes()])
}

/// The root of a tree without entries: SHA-256 of nothing.
pub fn empty_root() -> Digest {
    sha256(&[])
}

/// SHA-256 of the parts, one after the other.
pub(crate) fn sha256(parts: &[&[u8]]) -> Digest {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut bytes = [0; 32];
    for (slot, byte) in bytes.iter_mut().zip(context.finish().as_ref()) {
        *slot = *byte;
    }
    Digest::from_bytes(bytes)
}

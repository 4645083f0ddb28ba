//! Inclusion and consistency proofs (RFC 6962 sections 2.1.1 and 2.1.2), verified as RFC 9162 sections 2.1.3.2 and
//! 2.1.4.2 say.

use super::{NodeSource, node_hash, root_of_range};
use identity::Digest;

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The entry lies outside the tree.
    #[error("entry {index} is not in a tree of {size} entries")]
    Outside {
        /// The entry's index.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// The tree shrank.
    #[error("a tree of {new} entries cannot continue one of {old}")]
    Shrunk {
        /// The older size.
        old: u64,
        /// The newer size.
        new: u64,
    },
    /// Every tree continues the empty one.
    #[error("the older tree is empty: that another continues it says nothing")]
    Nothing,
    /// Not as many hashes as a tree of this size needs.
    #[error("the proof has not the number of hashes that the sizes ask for")]
    Length,
    /// It leads to another root: for consistency, the trees differ in entries that both should hold.
    #[error("the proof leads to another root")]
    Root,
}

/// Proven: the entry with this leaf hash stands at this index of the tree with this root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Included {
    index: u64,
    size: u64,
}

impl Included {
    /// Where it stands.
    pub const fn index(self) -> u64 {
        self.index
    }
    /// The size of the tree it stands in.
    pub const fn size(self) -> u64 {
        self.size
    }
}

/// Proven: the newer tree begins with every entry of the older one, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Consistent {
    old: u64,
    new: u64,
}

impl Consistent {
    /// The older size.
    pub const fn old(self) -> u64 {
        self.old
    }
    /// The newer size.
    pub const fn new_size(self) -> u64 {
        self.new
    }
}

/// The hashes from the sibling of entry `index` up to the child of the root of the tree of `size` entries.
/// Empty for an index outside the tree, which proves nothing.
pub fn inclusion_proof<S: NodeSource>(index: u64, size: u64, nodes: &S) -> Result<Vec<Digest>, S::Error> {
    let mut proof = Vec::new();
    if index >= size {
        return Ok(proof);
    }
    let (mut begin, mut end) = (0, size);
    while end - begin > 1 {
        let middle = begin + split(end - begin);
        if index < middle {
            proof.push(root_of_range(middle, end, nodes)?);
            end = middle;
        } else {
            proof.push(root_of_range(begin, middle, nodes)?);
            begin = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The hashes that show that the tree of `new` entries continues the tree of `old`.
/// Empty if either is empty, or both are the same.
pub fn consistency_proof<S: NodeSource>(old: u64, new: u64, nodes: &S) -> Result<Vec<Digest>, S::Error> {
    let mut proof = Vec::new();
    if old == 0 || old >= new {
        return Ok(proof);
    }
    let (mut begin, mut end) = (0, new);
    while end != old {
        let middle = begin + split(end - begin);
        if old <= middle {
            proof.push(root_of_range(middle, end, nodes)?);
            end = middle;
        } else {
            proof.push(root_of_range(begin, middle, nodes)?);
            begin = middle;
        }
    }
    // The older tree as one hash, unless it is known already: then it is the older root itself.
    if begin != 0 {
        proof.push(root_of_range(begin, end, nodes)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Where RFC 6962 splits `len` leaves: the largest power of two below it. `len` is at least 2.
const fn split(len: u64) -> u64 {
    1 << (len - 1).ilog2()
}

/// Verifies that `leaf` stands at `index` of the tree of `size` entries with this `root`.
pub fn verify_inclusion(
    leaf: &Digest,
    index: u64,
    size: u64,
    root: &Digest,
    proof: &[Digest],
) -> Result<Included, ProofError> {
    if index >= size {
        return Err(ProofError::Outside { index, size });
    }
    let (mut place, mut last) = (index, size - 1);
    let mut node = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if place & 1 == 1 || place == last {
            node = node_hash(sibling, &node);
            // A right edge without a sibling moves up unhashed.
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            node = node_hash(&node, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if node == *root {
        Ok(Included { index, size })
    } else {
        Err(ProofError::Root)
    }
}

/// Verifies that the tree of `new` entries continues the tree of `old`.
pub fn verify_consistency(
    old: u64,
    old_root: &Digest,
    new: u64,
    new_root: &Digest,
    proof: &[Digest],
) -> Result<Consistent, ProofError> {
    if old > new {
        return Err(ProofError::Shrunk { old, new });
    }
    if old == 0 {
        return Err(ProofError::Nothing);
    }
    if old == new {
        return match proof {
            [_, ..] => Err(ProofError::Length),
            [] if old_root == new_root => Ok(Consistent { old, new }),
            [] => Err(ProofError::Root),
        };
    }
    // A perfect older tree is a node of the newer one: its root is the first hash, and the proof leaves it out.
    let (first, rest) = match proof {
        [] => return Err(ProofError::Length),
        all if old.is_power_of_two() => (old_root, all),
        [first, rest @ ..] => (first, rest),
    };
    let (mut place, mut last) = (old - 1, new - 1);
    while place & 1 == 1 {
        place >>= 1;
        last >>= 1;
    }
    let (mut old_node, mut new_node) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if place & 1 == 1 || place == last {
            old_node = node_hash(sibling, &old_node);
            new_node = node_hash(sibling, &new_node);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            new_node = node_hash(&new_node, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if old_node == *old_root && new_node == *new_root {
        Ok(Consistent { old, new })
    } else {
        Err(ProofError::Root)
    }
}

//! From one checkpoint to a newer one, without reading entries: what a witness, gateway or node asks.

use crate::checkpoint::VerifiedCheckpoint;
use crate::merkle::{Consistent, ProofError, consistency_proof, verify_consistency};
use crate::tile::{TileError, TileSource, TileTree};

/// Why the newer checkpoint was not shown to continue the older one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrowthError {
    /// They are of different logs.
    #[error("the checkpoints are of different logs: {old} and {new}")]
    Origin {
        /// Origin of the older one.
        old: String,
        /// Origin of the newer one.
        new: String,
    },
    /// The tiles that the proof needs are missing or malformed.
    #[error(transparent)]
    Tile(#[from] TileError),
    /// The log was cut or rewritten.
    #[error("the newer checkpoint does not continue the older one: {0}")]
    Proof(#[from] ProofError),
}

/// Verifies that `new` continues `old`, with a proof made from the tiles of the newer tree. The tiles need not be
/// trusted: a wrong one leads to a wrong root.
pub fn verify_growth<S: TileSource + ?Sized>(
    old: &VerifiedCheckpoint,
    new: &VerifiedCheckpoint,
    tiles: &S,
) -> Result<Consistent, GrowthError> {
    let (old, new) = (old.get(), new.get());
    if old.origin != new.origin {
        return Err(GrowthError::Origin {
            old: old.origin.clone(),
            new: new.origin.clone(),
        });
    }
    let proof = consistency_proof(old.size, new.size, &TileTree::new(tiles, new.size))?;
    Ok(verify_consistency(
        old.size, &old.root, new.size, &new.root, &proof,
    )?)
}

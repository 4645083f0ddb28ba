//! The key that signs this log: its checkpoints, its batches and the snapshots of the World.
//!
//! Three kinds of messages, told apart by how they begin: a batch and a snapshot each with a line of their own that is
//! followed by a zero byte, which no checkpoint can hold. The private key stays with whoever gave us the signer.

use audit::batch::{Batch, SignedBatch};
use audit::checkpoint::{Checkpoint, CheckpointError, VerifiedCheckpoint, verify_checkpoint};
use audit::note::{NoteKey, NoteKeyError, NoteSigner};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use identity::Digest;
use std::sync::Arc;

/// The signer of one log, and its public half.
#[derive(Clone)]
pub(crate) struct LogKey {
    signer: Arc<dyn NoteSigner + Send + Sync>,
    public: NoteKey,
}

impl LogKey {
    pub(crate) fn new(signer: Arc<dyn NoteSigner + Send + Sync>) -> Result<Self, NoteKeyError> {
        let public = NoteKey::of(signer.as_ref())?;
        Ok(Self { signer, public })
    }
    pub(crate) fn vkey(&self) -> String {
        self.public.to_string()
    }
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signer.sign(message)
    }
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, self.public.public_key().as_bytes());
        key.verify(message, signature).is_ok()
    }
    pub(crate) fn sign_batch(&self, batch: Batch) -> SignedBatch {
        batch.sign(self.signer.as_ref())
    }
    pub(crate) fn checkpoint(&self, size: u64, root: Digest) -> Result<Arc<[u8]>, CheckpointError> {
        let head = Checkpoint {
            origin: self.signer.name().to_owned(),
            size,
            root,
        };
        let note = head.sign(self.signer.as_ref())?;
        Ok(note.to_string().into_bytes().into())
    }
    pub(crate) fn verify_checkpoint(&self, note: &[u8]) -> Result<VerifiedCheckpoint, CheckpointError> {
        verify_checkpoint(note, &self.public)
    }
}

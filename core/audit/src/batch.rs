//! What a writer signs at each commit: the database is trusted for availability only.
//!
//! A batch is one group commit of one writer: its entries, and the Changes that came with them. The writer signs
//! what the batch holds and the hash of the batch before it, so an entry or Change that was edited, inserted,
//! dropped or reordered in the database shows at the next read. Checkpoints say the same of entries to the outside;
//! a batch also covers the Changes, and is checked before they are applied.
//!
//! The signature is over a fixed binary layout that begins with `tabard batch v1` and a zero byte. A note cannot
//! hold a zero byte, so one key that signs both never signs one as the other.

use crate::merkle::{Frontier, leaf_hash, sha256};
use crate::note::{NoteSigner, PublicKey, PublicKeyError};
use identity::{Digest, LogId, Revision};

/// What makes a batch's bytes unlike everything else that is signed.
const LABEL: &[u8; 16] = b"tabard batch v1\0";
/// Label, epoch, log, first, count, both revisions, three hashes.
const BYTES: usize = 16 + 8 + 2 + 8 + 4 + 8 + 8 + 3 * 32;

/// One group commit of one writer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Batch {
    /// The cluster epoch.
    pub epoch: u64,
    /// The writer's log.
    pub log: LogId,
    /// Index of its first entry.
    pub first: u64,
    /// Number of entries, at least one.
    pub count: u32,
    /// The World revision before the batch.
    pub revision_first: Revision,
    /// The World revision after it; the same if it holds no Changes.
    pub revision_last: Revision,
    /// Root over its entries: [`hash_of`] their bytes.
    pub entries_hash: Digest,
    /// Root over its Changes: [`hash_of`] their bytes.
    pub changes_hash: Digest,
    /// [`Batch::hash`] of the batch before it in this log; the default digest for the first.
    pub prev_hash: Digest,
}

/// Why a batch is not to be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Not the fixed layout.
    #[error("a batch is 150 bytes that begin with \"tabard batch v1\"")]
    Form,
    /// Signed by another key, or not at all.
    #[error("batch at entry {first}: {why}")]
    Signature {
        /// Its first entry.
        first: u64,
        /// What the key says.
        why: PublicKeyError,
    },
    /// Not the batch after the last one.
    #[error("batch at entry {first} does not follow the batch before it: {what}")]
    Chain {
        /// Its first entry.
        first: u64,
        /// What does not fit.
        what: &'static str,
    },
    /// Its entries are not the ones that were signed.
    #[error("the entries from {first} on are not the ones that were signed")]
    Entries {
        /// Its first entry.
        first: u64,
    },
    /// Its Changes are not the ones that were signed.
    #[error("the Changes with entry {first} and after are not the ones that were signed")]
    Changes {
        /// Its first entry.
        first: u64,
    },
}

/// The hash over items of a batch: the RFC 6962 root, so that their number and borders count.
pub fn hash_of<'a>(items: impl IntoIterator<Item = &'a [u8]>) -> Digest {
    let mut frontier = Frontier::new();
    for item in items {
        frontier.push(leaf_hash(item));
    }
    frontier.root()
}

impl Batch {
    /// The bytes that are signed: every field in declaration order, big-endian.
    pub fn to_bytes(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let parts: [&[u8]; 10] = [
            LABEL,
            &self.epoch.to_be_bytes(),
            &self.log.0.to_be_bytes(),
            &self.first.to_be_bytes(),
            &self.count.to_be_bytes(),
            &self.revision_first.0.to_be_bytes(),
            &self.revision_last.0.to_be_bytes(),
            self.entries_hash.as_bytes(),
            self.changes_hash.as_bytes(),
            self.prev_hash.as_bytes(),
        ];
        for (slot, byte) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *slot = *byte;
        }
        bytes
    }

    /// Reads what [`Batch::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BatchError> {
        let mut rest = bytes;
        let batch = (|| {
            if take::<16>(&mut rest)? != *LABEL {
                return None;
            }
            Some(Self {
                epoch: u64::from_be_bytes(take(&mut rest)?),
                log: LogId(u16::from_be_bytes(take(&mut rest)?)),
                first: u64::from_be_bytes(take(&mut rest)?),
                count: u32::from_be_bytes(take(&mut rest)?),
                revision_first: Revision(u64::from_be_bytes(take(&mut rest)?)),
                revision_last: Revision(u64::from_be_bytes(take(&mut rest)?)),
                entries_hash: Digest::from_bytes(take(&mut rest)?),
                changes_hash: Digest::from_bytes(take(&mut rest)?),
                prev_hash: Digest::from_bytes(take(&mut rest)?),
            })
        })();
        batch.filter(|_| rest.is_empty()).ok_or(BatchError::Form)
    }

    /// What the next batch names as the one before it.
    pub fn hash(&self) -> Digest {
        sha256(&[&self.to_bytes()])
    }
    /// Index of the entry after its last.
    pub const fn end(&self) -> u64 {
        self.first.saturating_add(self.count as u64)
    }

    /// Signs it.
    pub fn sign<S: NoteSigner + ?Sized>(self, signer: &S) -> SignedBatch {
        SignedBatch {
            batch: self,
            signature: signer.sign(&self.to_bytes()),
        }
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

/// A batch as it is stored: nothing in it is proven.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignedBatch {
    /// What is claimed.
    pub batch: Batch,
    /// The writer's Ed25519 signature over [`Batch::to_bytes`].
    pub signature: [u8; 64],
}

/// A batch that its writer signed, that follows the one before it, and whose entries and Changes are the signed ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct VerifiedBatch(Batch);

impl VerifiedBatch {
    /// The batch.
    pub const fn get(&self) -> &Batch {
        &self.0
    }
}

impl SignedBatch {
    /// Verifies the batch: signed by `writer`, following `before` (none for the first of a log), made of exactly
    /// these entries and Changes.
    pub fn verify<'a>(
        &self,
        writer: &PublicKey,
        before: Option<&Batch>,
        entries: impl IntoIterator<Item = &'a [u8]>,
        changes: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<VerifiedBatch, BatchError> {
        let batch = self.batch;
        let first = batch.first;
        writer
            .verify(&batch.to_bytes(), &self.signature)
            .map_err(|why| BatchError::Signature { first, why })?;
        batch
            .misfit(before)
            .map_or(Ok(()), |what| Err(BatchError::Chain { first, what }))?;
        let mut count = 0_u32;
        let counted = entries.into_iter().inspect(|_| count = count.saturating_add(1));
        if hash_of(counted) != batch.entries_hash || count != batch.count {
            return Err(BatchError::Entries { first });
        }
        if hash_of(changes) != batch.changes_hash {
            return Err(BatchError::Changes { first });
        }
        Ok(VerifiedBatch(batch))
    }
}

impl Batch {
    /// What keeps this batch from following `before`. Revisions may have a gap: other writers commit in between.
    fn misfit(&self, before: Option<&Self>) -> Option<&'static str> {
        if self.count == 0 {
            return Some("it holds no entry");
        }
        if self.revision_last < self.revision_first {
            return Some("its revisions run backwards");
        }
        let Some(before) = before else {
            let genesis = self.first == 0 && self.prev_hash == Digest::default();
            return (!genesis).then_some("it is not the first of a log");
        };
        if self.log != before.log {
            return Some("it is of another log");
        }
        if self.first != before.end() {
            return Some("entries are missing or twice");
        }
        if self.prev_hash != before.hash() {
            return Some("it names another batch before it");
        }
        if self.epoch < before.epoch {
            return Some("its epoch is older");
        }
        if self.revision_first < before.revision_last {
            return Some("its revision is older");
        }
        None
    }
}

#[cfg(test)]
mod tests;

//! A receipt: proof that one entry is in the log, to be verified offline. C2SP tlog-proof, <https://c2sp.org/tlog-proof>.
//!
//! It proves that the log's key signed a tree that holds the entry. It does not prove that everybody is shown the
//! same tree: that needs witnesses.

use crate::checkpoint::{CheckpointError, verify_checkpoint_note};
use crate::merkle::{Included, NodeSource, ProofError, inclusion_proof, leaf_hash, verify_inclusion};
use crate::note::{NoteKey, SignedNote};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use identity::Digest;
use std::fmt;
use std::str::FromStr;

/// The first line of every proof of this format.
const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// A tree of 2^64 entries has proofs of 64 hashes.
const PROOF_HASHES_MAX: usize = 64;

/// The proof that one entry is in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    index: u64,
    proof: Vec<Digest>,
    checkpoint: SignedNote,
}

/// Why a receipt proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Not a tlog-proof.
    #[error(
        "a receipt is \"c2sp.org/tlog-proof@v1\", an index, base64 hashes, an empty line, a signed checkpoint"
    )]
    Form,
    /// Its checkpoint is not to be believed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Its hashes do not lead from the entry to the root.
    #[error("the receipt is not of this entry: {0}")]
    Proof(#[from] ProofError),
}

impl Receipt {
    /// The receipt of the entry at `index` below a signed checkpoint of `size` entries.
    pub fn make<S: NodeSource>(
        index: u64,
        size: u64,
        checkpoint: SignedNote,
        nodes: &S,
    ) -> Result<Self, S::Error> {
        Ok(Self {
            index,
            proof: inclusion_proof(index, size, nodes)?,
            checkpoint,
        })
    }

    /// Verifies that `entry` is in the log whose `key` the verifier got elsewhere.
    pub fn verify(&self, entry: &[u8], key: &NoteKey) -> Result<Included, ReceiptError> {
        let checkpoint = verify_checkpoint_note(&self.checkpoint, key)?;
        let head = checkpoint.get();
        let leaf = leaf_hash(entry);
        Ok(verify_inclusion(
            &leaf,
            self.index,
            head.size,
            &head.root,
            &self.proof,
        )?)
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}\nindex {}", self.index)?;
        for hash in &self.proof {
            writeln!(f, "{}", STANDARD.encode(hash.as_bytes()))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for Receipt {
    type Err = ReceiptError;
    /// Extra data is allowed by the format, proves nothing, and is dropped.
    fn from_str(text: &str) -> Result<Self, ReceiptError> {
        let (head, checkpoint) = text.split_once("\n\n").ok_or(ReceiptError::Form)?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(ReceiptError::Form);
        }
        lines.next_if(|line| line.starts_with("extra "));
        let digits = lines
            .next()
            .and_then(|line| line.strip_prefix("index "))
            .ok_or(ReceiptError::Form)?;
        let index: u64 = digits.parse().map_err(|_| ReceiptError::Form)?;
        let proof = lines.map(hash_of_line).collect::<Option<Vec<_>>>();
        let proof = proof.filter(|proof| proof.len() <= PROOF_HASHES_MAX);
        if index.to_string() != digits {
            return Err(ReceiptError::Form);
        }
        Ok(Self {
            index,
            proof: proof.ok_or(ReceiptError::Form)?,
            checkpoint: SignedNote::parse(checkpoint.as_bytes()).map_err(CheckpointError::Note)?,
        })
    }
}

fn hash_of_line(line: &str) -> Option<Digest> {
    let bytes = STANDARD.decode(line).ok()?;
    Some(Digest::from_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::merkle::{MemoryTree, root_of_size};
    use crate::test_key::TestKey;

    fn entry(n: u64) -> Vec<u8> {
        format!("entry {n}").into_bytes()
    }

    fn receipt(index: u64, size: u64, key: &TestKey) -> Receipt {
        let tree: MemoryTree = (0..size).map(|n| leaf_hash(&entry(n))).collect();
        let root = root_of_size(size, &tree).unwrap();
        let origin = "dev.tabard/log/0".to_owned();
        let note = Checkpoint { origin, size, root }.sign(key).unwrap();
        Receipt::make(index, size, note, &tree).unwrap()
    }

    #[test]
    fn a_receipt_proves_its_entry_and_no_other() {
        let key = TestKey::new("dev.tabard/log/0", 1);
        for size in [1, 2, 7, 8, 100] {
            let text = receipt(size / 2, size, &key).to_string();
            let read: Receipt = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
            let included = read.verify(&entry(size / 2), &key.vkey()).unwrap();
            assert_eq!((included.index(), included.size()), (size / 2, size));
            assert_eq!(
                read.verify(&entry(size), &key.vkey()),
                Err(ReceiptError::Proof(ProofError::Root))
            );
        }
    }

    #[test]
    fn a_receipt_by_another_key_or_with_a_changed_line_is_refused() {
        let (key, other) = (
            TestKey::new("dev.tabard/log/0", 1),
            TestKey::new("dev.tabard/log/0", 2),
        );
        let text = receipt(3, 7, &key).to_string();
        assert!(
            text.parse::<Receipt>()
                .unwrap()
                .verify(&entry(3), &other.vkey())
                .is_err()
        );
        for place in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[place] ^= 1;
            let changed = String::from_utf8(bytes).unwrap_or_default();
            let proven = changed
                .parse::<Receipt>()
                .and_then(|receipt| receipt.verify(&entry(3), &key.vkey()));
            assert!(proven.is_err(), "byte {place}");
        }
    }
}

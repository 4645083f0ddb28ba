//! The key of this server's log: Ed25519, because checkpoints are C2SP signed notes. It signs heads and batches, never
//! a credential.

use super::kek::Kek;
use super::sealed_file::{self, Label, SealError};
use super::{KeyError, Purpose};
use audit::note::{NoteKey, NoteSigner, PublicKey};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use identity::UnixTime;
use std::path::Path;
use zeroize::Zeroizing;

/// A log's private key in memory.
pub struct LogKey {
    name: String,
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl LogKey {
    /// Opens the key of the log `name` in `folder`, or makes it when there is none yet.
    pub fn open_or_make(folder: &Path, name: &str, kek: &Kek, now: UnixTime) -> Result<Self, KeyError> {
        let path = Purpose::Log.file(folder);
        if !path.exists() {
            let pair = Ed25519KeyPair::generate().map_err(|_| KeyError::Generation)?;
            let document = pair.to_pkcs8().map_err(|_| KeyError::Generation)?;
            let pkcs8 = Zeroizing::new(document.as_ref().to_vec());
            let label = Label {
                purpose: Purpose::Log.word().to_owned(),
                kid: name.to_owned(),
                created: now,
                certificate: None,
            };
            sealed_file::write(&path, kek, &label, &pkcs8)?;
        }
        let (label, pkcs8) = sealed_file::read(&path, kek, Purpose::Log.word())?;
        if label.kid != name {
            return Err(SealError::Mislabelled {
                path,
                wanted: name.to_owned(),
                found: label.kid,
            }
            .into());
        }
        let malformed = || SealError::Malformed { path: path.clone() };
        let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| malformed())?;
        let public: [u8; 32] = pair.public_key().as_ref().try_into().map_err(|_| malformed())?;
        Ok(Self {
            name: name.to_owned(),
            pair,
            public: PublicKey::from_bytes(public),
        })
    }

    /// The public half as verifiers keep it.
    pub fn vkey(&self) -> Result<String, KeyError> {
        NoteKey::of(self)
            .map(|key| key.to_string())
            .map_err(|_| KeyError::Generation)
    }
}

impl NoteSigner for LogKey {
    fn name(&self) -> &str {
        &self.name
    }
    fn public_key(&self) -> PublicKey {
        self.public
    }
    fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        for (slot, byte) in signature.iter_mut().zip(self.pair.sign(message).as_ref()) {
            *slot = *byte;
        }
        signature
    }
}

impl std::fmt::Debug for LogKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LogKey({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use audit::checkpoint::{Checkpoint, verify_checkpoint};

    #[test]
    fn a_checkpoint_that_it_signed_verifies_with_the_key_of_another_start() {
        let dir = tempfile::tempdir().unwrap();
        let kek = Kek::of([1; 32]);
        let open = |name| LogKey::open_or_make(dir.path(), name, &kek, UnixTime::default());
        let key = open("dev.tabard/log/0").unwrap();
        let head = Checkpoint {
            origin: key.name().into(),
            size: 0,
            root: audit::merkle::empty_root(),
        };
        let note = head.sign(&key).unwrap().to_string();
        let vkey = open("dev.tabard/log/0").unwrap().vkey().unwrap().parse().unwrap();
        assert!(verify_checkpoint(note.as_bytes(), &vkey).is_ok());
        assert!(matches!(
            open("dev.tabard/log/1"),
            Err(KeyError::Seal(SealError::Mislabelled { .. }))
        ));
    }
}

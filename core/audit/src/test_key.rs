//! A signing key for tests, made from one number.

use crate::note::{NoteKey, NoteSigner, PublicKey};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

pub(crate) struct TestKey {
    name: String,
    pair: Ed25519KeyPair,
}

impl TestKey {
    pub(crate) fn new(name: &str, seed: u8) -> Self {
        Self {
            name: name.to_owned(),
            pair: Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap(),
        }
    }
    pub(crate) fn vkey(&self) -> NoteKey {
        NoteKey::of(self).unwrap()
    }
}

impl NoteSigner for TestKey {
    fn name(&self) -> &str {
        &self.name
    }
    fn public_key(&self) -> PublicKey {
        PublicKey::from_bytes(self.pair.public_key().as_ref().try_into().unwrap())
    }
    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.pair.sign(message).as_ref().try_into().unwrap()
    }
}

//! The signing key of a log that only a measurement reads.

use crate::fault::{Fault, fault};
use audit::note::{NoteSigner, PublicKey};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

pub(crate) struct LogKey {
    pair: Ed25519KeyPair,
    public: [u8; 32],
}

impl LogKey {
    pub(crate) fn new() -> Result<Self, Fault> {
        let pair = Ed25519KeyPair::generate().map_err(|_| fault("no Ed25519 key"))?;
        let public = pair.public_key().as_ref().try_into()?;
        Ok(Self { pair, public })
    }
}

impl NoteSigner for LogKey {
    fn name(&self) -> &'static str {
        "bench.test/log/7"
    }
    fn public_key(&self) -> PublicKey {
        PublicKey::from_bytes(self.public)
    }
    fn sign(&self, message: &[u8]) -> [u8; 64] {
        // An Ed25519 signature has 64 bytes (RFC 8032 section 5.1.6); any other would not verify, and be seen.
        self.pair.sign(message).as_ref().try_into().unwrap_or([0; 64])
    }
}

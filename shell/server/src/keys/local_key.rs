//! A P-256 key that lives in a sealed file and signs in this process (ES256, RFC 7518 section 3.4).
//!
//! The one implementation of [`SigningKey`]. Who may call `sign` is fixed by a test over the whole source tree
//! (`tests/it/key_uses.rs`).

use super::kek::Kek;
use super::sealed_file::{self, Label, SealError};
use super::{KeyError, Purpose};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use credential::{Algorithm, Curve, PublicKey, SignError, SigningKey};
use identity::UnixTime;
use std::path::Path;
use zeroize::Zeroizing;

/// A private key in memory.
pub struct LocalKey {
    kid: String,
    pair: EcdsaKeyPair,
    public: PublicKey,
    random: SystemRandom,
}

impl LocalKey {
    /// A new key, and what to seal of it.
    pub(crate) fn generate() -> Result<(Self, Zeroizing<Vec<u8>>), KeyError> {
        let pair =
            EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| KeyError::Generation)?;
        let document = pair.to_pkcs8v1().map_err(|_| KeyError::Generation)?;
        let pkcs8 = Zeroizing::new(document.as_ref().to_vec());
        Ok((Self::of(pair).ok_or(KeyError::Generation)?, pkcs8))
    }

    /// The key in unencrypted PKCS#8.
    pub(super) fn from_pkcs8(pkcs8: &[u8]) -> Option<Self> {
        Self::of(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).ok()?)
    }

    fn of(pair: EcdsaKeyPair) -> Option<Self> {
        let public = PublicKey::ec_point(Curve::P256, pair.public_key().as_ref()).ok()?;
        Some(Self {
            kid: public.thumbprint().to_string(),
            pair,
            public,
            random: SystemRandom::new(),
        })
    }

    /// Opens the key of `purpose` in `folder`, or makes it when there is none yet.
    pub(super) fn open_or_make(
        folder: &Path,
        purpose: Purpose,
        kek: &Kek,
        now: UnixTime,
    ) -> Result<Self, KeyError> {
        let path = purpose.file(folder);
        if !path.exists() {
            let (key, pkcs8) = Self::generate()?;
            let label = Label {
                purpose: purpose.word().to_owned(),
                kid: key.kid.clone(),
                created: now,
                certificate: None,
            };
            sealed_file::write(&path, kek, &label, &pkcs8)?;
            return Ok(key);
        }
        let (label, pkcs8) = sealed_file::read(&path, kek, purpose.word())?;
        match Self::from_pkcs8(&pkcs8) {
            Some(key) if key.kid == label.kid => Ok(key),
            _ => Err(SealError::Malformed { path }.into()),
        }
    }
}

impl SigningKey for LocalKey {
    fn kid(&self) -> &str {
        &self.kid
    }
    fn algorithm(&self) -> Algorithm {
        Algorithm::Es256
    }
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signature = self.pair.sign(&self.random, message);
        signature
            .map(|it| it.as_ref().to_vec())
            .map_err(|_| SignError::Unavailable {
                kid: self.kid.clone(),
                why: "the crypto library could not sign".to_owned(),
            })
    }
    fn public_key(&self) -> &PublicKey {
        &self.public
    }
}

impl std::fmt::Debug for LocalKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LocalKey({})", self.kid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    #[test]
    fn a_key_is_made_once_and_signs_the_same_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let kek = Kek::of([1; 32]);
        let open =
            || LocalKey::open_or_make(dir.path(), Purpose::AccessToken, &kek, UnixTime::default()).unwrap();
        let (first, second) = (open(), open());
        assert_eq!(first.kid(), second.kid());
        let signature = second.sign(b"message").unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, first.pair.public_key())
            .verify(b"message", &signature)
            .unwrap();
    }

    #[test]
    fn a_key_file_under_another_name_does_not_open() {
        let dir = tempfile::tempdir().unwrap();
        let kek = Kek::of([1; 32]);
        LocalKey::open_or_make(dir.path(), Purpose::JwtSvid, &kek, UnixTime::default()).unwrap();
        std::fs::rename(
            Purpose::JwtSvid.file(dir.path()),
            Purpose::AccessToken.file(dir.path()),
        )
        .unwrap();
        let error =
            LocalKey::open_or_make(dir.path(), Purpose::AccessToken, &kek, UnixTime::default()).unwrap_err();
        assert!(
            matches!(error, KeyError::Seal(SealError::Mislabelled { .. })),
            "{error}"
        );
    }

    #[test]
    fn debug_shows_the_name_and_nothing_else() {
        let (key, _) = LocalKey::generate().unwrap();
        assert_eq!(format!("{key:?}"), format!("LocalKey({})", key.kid));
    }
}

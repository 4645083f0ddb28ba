//! Keys in use: the trait that stands before every private key, and parsed keys for verification.
//!
//! Core never holds a private key. [`SigningKey`] is implemented only in the shell, by a file, a TPM or a KMS.

use crate::jwk::Jwk;
use crate::public_key::{PublicKey, PublicKeyError};
use crate::{Algorithm, Rejection, TokenClass};
use aws_lc_rs::signature::ParsedPublicKey;
use identity::Thumbprint;

/// A private key that signs. The only path to one, for tokens and certificates alike.
pub trait SigningKey: Send + Sync {
    /// The key's name in its JWKS: its RFC 7638 thumbprint.
    fn kid(&self) -> &str;
    /// The one algorithm it signs with.
    fn algorithm(&self) -> Algorithm;
    /// The signature over `message` in JOSE form: for ECDSA r and s side by side, each of full width
    /// (RFC 7518 section 3.4).
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
    /// The public half.
    fn public_key(&self) -> &PublicKey;
    /// The public half as our JWKS shows it.
    fn public_jwk(&self) -> Jwk {
        Jwk::signing(self.public_key().clone(), self.algorithm())
    }
    /// The public half as X.509 SubjectPublicKeyInfo DER.
    fn public_spki(&self) -> Vec<u8> {
        self.public_key().spki_der()
    }
}

/// A private key that could not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The device or service that holds the key did not answer.
    #[error("the key \"{kid}\" is out of reach: {why}")]
    Unavailable {
        /// The key's name.
        kid: String,
        /// What its holder said.
        why: String,
    },
    /// The key's holder returned something that is no signature of that algorithm.
    #[error("the key \"{kid}\" returned a malformed signature")]
    Malformed {
        /// The key's name.
        kid: String,
    },
}

/// A public key, parsed once, bound to exactly one algorithm and one class of token.
#[derive(Debug)]
pub struct VerifyingKey {
    kid: Option<String>,
    algorithm: Algorithm,
    class: TokenClass,
    thumbprint: Thumbprint,
    parsed: ParsedPublicKey,
}

impl VerifyingKey {
    /// Binds `key` to one algorithm and class. `kid` is what tokens call it; `None` if they do not.
    pub fn new(
        key: &PublicKey,
        kid: Option<&str>,
        algorithm: Algorithm,
        class: TokenClass,
    ) -> Result<Self, PublicKeyError> {
        if !algorithm.fits(key) {
            return Err(PublicKeyError::Kind);
        }
        let parsed =
            ParsedPublicKey::new(algorithm.verifier(), key.raw()).map_err(|_| PublicKeyError::Point)?;
        Ok(Self {
            kid: kid.map(str::to_owned),
            algorithm,
            class,
            thumbprint: key.thumbprint(),
            parsed,
        })
    }
    /// What tokens call it.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }
    /// The one algorithm it verifies.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
    /// The one class of token it verifies.
    pub const fn class(&self) -> TokenClass {
        self.class
    }
    /// RFC 7638 thumbprint.
    pub const fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }
    /// Verifies one signature in JOSE form.
    pub(crate) fn verify_signature(&self, message: &[u8], signature: &[u8]) -> Result<(), Rejection> {
        self.parsed
            .verify_sig(message, signature)
            .map_err(|_| Rejection::BadSignature)
    }
}

/// The keys of one issuer that may verify. Built when keys change, shared by all requests.
#[derive(Debug, Default)]
pub struct VerifyingKeys(Vec<VerifyingKey>);

impl VerifyingKeys {
    /// A set of keys.
    pub const fn new(keys: Vec<VerifyingKey>) -> Self {
        Self(keys)
    }
    /// The keys.
    pub fn iter(&self) -> std::slice::Iter<'_, VerifyingKey> {
        self.0.iter()
    }
    /// Whether there is none: everything is revoked.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one key that a header names. A known name with another algorithm is told apart from an unknown name.
    pub(crate) fn named(
        &self,
        kid: &str,
        algorithm: Algorithm,
        class: TokenClass,
    ) -> Result<&VerifyingKey, Rejection> {
        let of_that_name = |key: &&VerifyingKey| key.class == class && key.kid.as_deref() == Some(kid);
        match self
            .0
            .iter()
            .filter(of_that_name)
            .find(|key| key.algorithm == algorithm)
        {
            Some(key) => Ok(key),
            None => Err(match self.0.iter().find(of_that_name) {
                Some(key) => Rejection::AlgorithmMismatch {
                    expected: key.algorithm,
                    found: algorithm,
                },
                None => Rejection::UnknownKey,
            }),
        }
    }
}

impl<'a> IntoIterator for &'a VerifyingKeys {
    type Item = &'a VerifyingKey;
    type IntoIter = std::slice::Iter<'a, VerifyingKey>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

//! Public keys of passkeys: `COSE_Key` (RFC 9052 section 7, RFC 9053 section 7, RFC 8230 section 4) of the three
//! algorithms that authenticators have, and their signatures.

use super::WebauthnError;
use super::cbor::{self, Value};
use crate::public_key::{Curve, PublicKey};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};

/// `alg` of what we ask for, the preferred one first (`pubKeyCredParams`): ES256, EdDSA, RS256.
pub const COSE_ALGORITHMS: [i64; 3] = [ES256, EDDSA, RS256];

const ES256: i64 = -7;
const EDDSA: i64 = -8;
const RS256: i64 = -257;

/// Parameters of a key, by label.
const KTY: i64 = 1;
const ALG: i64 = 3;
const CRV: i64 = -1;
const FIRST: i64 = -2;
const SECOND: i64 = -3;

/// A passkey's public key, bound to its one algorithm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum CoseKey {
    Es256(PublicKey),
    EdDsa([u8; 32]),
    Rs256(PublicKey),
}

impl CoseKey {
    /// Reads a key with exactly the parameters of its type: WebAuthn section 6.5.1 allows no others.
    pub(super) fn read(input: &[u8]) -> Result<(Self, &[u8]), WebauthnError> {
        let (map, rest) = cbor::read(input).ok_or(WebauthnError::Malformed("the public key"))?;
        let number = |label| map.numbered(label).and_then(Value::integer);
        let bytes = |label| map.numbered(label).and_then(Value::bytes);
        let members = map.entries().len();
        let unusable = WebauthnError::Key;
        let key = match (number(KTY), number(ALG)) {
            (Some(2), Some(ES256)) if number(CRV) == Some(1) && members == 5 => {
                let (x, y) = (bytes(FIRST).ok_or(unusable)?, bytes(SECOND).ok_or(unusable)?);
                Self::Es256(PublicKey::ec(Curve::P256, x, y).map_err(|_| unusable)?)
            }
            (Some(1), Some(EDDSA)) if number(CRV) == Some(6) && members == 4 => {
                let x = bytes(FIRST).ok_or(unusable)?;
                Self::EdDsa(x.try_into().map_err(|_| unusable)?)
            }
            // For RSA the labels mean other things: -1 is the modulus, -2 the exponent.
            (Some(3), Some(RS256)) if members == 4 => {
                let (n, e) = (bytes(CRV).ok_or(unusable)?, bytes(FIRST).ok_or(unusable)?);
                Self::Rs256(PublicKey::rsa(n, e).map_err(|_| unusable)?)
            }
            _ => return Err(unusable),
        };
        Ok((key, rest))
    }

    /// `alg`.
    pub(super) const fn algorithm(&self) -> i64 {
        match self {
            Self::Es256(_) => ES256,
            Self::EdDsa(_) => EDDSA,
            Self::Rs256(_) => RS256,
        }
    }

    /// Verifies a signature in the form of WebAuthn section 6.5.5: DER for ECDSA.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), WebauthnError> {
        let (algorithm, key): (&'static dyn VerificationAlgorithm, _) = match self {
            Self::Es256(key) => (&ECDSA_P256_SHA256_ASN1, key.raw()),
            Self::EdDsa(key) => (&ED25519, key.to_vec()),
            Self::Rs256(key) => (&RSA_PKCS1_2048_8192_SHA256, key.raw()),
        };
        UnparsedPublicKey::new(algorithm, key)
            .verify(message, signature)
            .map_err(|_| WebauthnError::Signature)
    }
}

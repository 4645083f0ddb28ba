//! Public keys that verifiers may use.

use serde::{Deserialize, Serialize};

/// What a key signs. A key is valid for exactly one class.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyClass {
    /// RFC 9068 access tokens.
    AccessToken,
    /// JWT-SVIDs.
    JwtSvid,
    /// The X.509 authority.
    X509Authority,
    /// Checkpoints of a log.
    Log,
}

/// A published public key.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PublicKey {
    /// RFC 7638 thumbprint; for an X.509 authority the certificate's SHA-256.
    pub kid: String,
    /// What it signs.
    pub class: KeyClass,
    /// A JWK as JSON text, a DER certificate in base64, or a log's vkey, by class.
    pub material: String,
}

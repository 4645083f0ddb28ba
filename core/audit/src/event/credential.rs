//! The credential an event is about. Never the credential itself, nor anything it could be used with.

use super::Extra;
use identity::{Audience, Digest, FamilyId, Thumbprint, UnixTime};
use serde::{Deserialize, Serialize};

/// What was issued, presented or revoked.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Credential {
    /// Who may accept it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aud: Vec<Audience>,
    /// Its class.
    pub class: CredentialClass,
    /// Digest of everything that determines it; the signer derives the claims from the same values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// When it expires, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<UnixTime>,
    /// The family it belongs to: the unit of revocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<FamilyId>,
    /// When it was issued, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<UnixTime>,
    /// Its own id: `jti` of a token, the serial of a certificate in lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The key that signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The id of the credential it was derived from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The key it is bound to (`cnf`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbprint: Option<Thumbprint>,
    /// Fields of newer writers, kept.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Credential {
    /// A credential of which only the class is known.
    pub const fn new(class: CredentialClass) -> Self {
        Self {
            aud: Vec::new(),
            class,
            digest: None,
            exp: None,
            family: None,
            iat: None,
            id: None,
            kid: None,
            parent: None,
            thumbprint: None,
            extra: Extra::new(),
        }
    }
}

/// The classes of credentials we issue or place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialClass {
    /// An OAuth access token (`at+jwt`).
    AccessToken,
    /// A federation assertion for another issuer.
    Assertion,
    /// A certificate of an authority of ours.
    CaCertificate,
    /// An identity assertion authorization grant (ID-JAG).
    IdJag,
    /// A leaf certificate of a run's interception authority.
    InterceptionLeaf,
    /// A join token for a node.
    JoinToken,
    /// A JWT-SVID.
    JwtSvid,
    /// A security event token.
    SecurityEvent,
    /// A status list.
    StatusList,
    /// A transaction token.
    TransactionToken,
    /// What the gateway places for an upstream.
    UpstreamCredential,
    /// A WIT-SVID.
    WitSvid,
    /// An X.509-SVID.
    X509Svid,
}

//! Trust sources: the issuers outside whose tokens authenticate users.

use identity::OrgId;
use serde::{Deserialize, Serialize};

/// An issuer that an org trusts to say who a user is. It never says what they may do.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TrustSource {
    /// The org.
    pub org: OrgId,
    /// `iss`, as its tokens spell it.
    pub issuer: String,
    /// `aud` that its tokens have to have.
    pub audience: String,
    /// Its public keys: a JWK Set (RFC 7517), as it was read when the source was added.
    pub keys: String,
}

//! What an issuer's token said of a user, in words that the org gave a meaning.

use identity::{OrgId, UnixTime};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The newest word of an issuer on one of its users.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Claimed {
    /// The org that trusts the issuer.
    pub org: OrgId,
    /// The issuer.
    pub issuer: String,
    /// The issuer's name for the user.
    pub subject: String,
    /// The values of the claim that were worth something.
    pub values: BTreeSet<String>,
    /// `iat` of the token: an older one says nothing any more.
    pub said_at: UnixTime,
    /// `exp` of the token: until then it is worth something.
    pub until: UnixTime,
    /// When it can be forgotten: no token that was shown before it lives longer.
    pub forget_at: UnixTime,
}

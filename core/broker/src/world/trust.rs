//! Trust sources: the issuers outside whose tokens authenticate users.

use super::UserRight;
use identity::OrgId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// An issuer that an org trusts to say who a user is. What they may do it says only in words that the org gave a meaning.
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
    /// What a claim of its tokens is worth; nothing without it.
    #[serde(default)]
    pub rights: Option<ClaimRights>,
    /// Who else says what its users may do; nobody without it.
    #[serde(default)]
    pub pdp: Option<DecisionPoint>,
}

/// A policy decision point outside that says what users may do (AuthZEN Authorization API 1.0).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DecisionPoint {
    /// Its access evaluations endpoint: https, or http on loopback.
    pub url: String,
    /// The certificate authorities that it is trusted under, PEM; `None` for the system's.
    pub authorities: Option<String>,
    /// Version of the sealed token that it is asked with, from 1; 0 where none is sent.
    pub secret_version: u64,
}

/// What the values of one claim are worth.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ClaimRights {
    /// Where the claim is: a JSON Pointer (RFC 6901), as in `/scope` or `/realm_access/roles`. A text is a list of words
    /// with spaces between them.
    pub claim: String,
    /// What a user may do whose token has the value. A value that is not here is worth nothing.
    pub values: BTreeMap<String, Vec<UserRight>>,
}

impl ClaimRights {
    /// The values in a token's claims that are worth something.
    pub fn values_in(&self, claims: &serde_json::Value) -> BTreeSet<String> {
        let said: Vec<&str> = match claims.pointer(&self.claim) {
            Some(serde_json::Value::String(words)) => words.split_ascii_whitespace().collect(),
            Some(serde_json::Value::Array(values)) => {
                values.iter().filter_map(serde_json::Value::as_str).collect()
            }
            _ => Vec::new(),
        };
        let known = said.into_iter().filter(|value| self.values.contains_key(*value));
        known.map(str::to_owned).collect()
    }
}

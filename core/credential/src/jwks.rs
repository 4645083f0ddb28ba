//! A set of public keys as JSON (RFC 7517 section 5): ours to publish, other issuers' to verify with.

use crate::json::{self, Object};
use crate::jwk::{Jwk, JwkError, JwkWire};
use crate::key::{VerifyingKey, VerifyingKeys};
use crate::{Algorithm, TokenClass};
use serde::{Deserialize, Serialize};

/// Largest JWKS document in bytes: a hundred RSA-4096 keys with a certificate each.
pub const JWKS_BYTES_MAX: usize = 512 * 1024;
/// Most keys in one set: AWS accepts at most 100, nobody publishes more.
pub const JWKS_KEYS_MAX: usize = 100;

/// Why a document is no JWKS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// Larger than 512 KiB.
    #[error("a JWKS has at most 524288 bytes")]
    TooLarge,
    /// More than 100 keys.
    #[error("a JWKS has at most 100 keys")]
    TooManyKeys,
    /// Not a JSON object with the array `keys`, or a member stands twice.
    #[error("a JWKS is a JSON object with the array \"keys\", without duplicate members")]
    Malformed,
    /// A private key was published.
    #[error("the JWKS has a key with private members")]
    Private,
}

/// A set of public keys.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Jwks {
    /// The keys that we can work with, in the document's order.
    pub keys: Vec<Jwk>,
}

#[derive(Serialize, Deserialize)]
struct JwksWire {
    keys: Vec<Object<JwkWire>>,
}

impl Jwks {
    /// Reads a set. Keys of a kind that we do not work with are skipped (RFC 7517 section 5); a private key makes
    /// the whole document unacceptable.
    pub fn parse(bytes: &[u8]) -> Result<Self, JwksError> {
        if bytes.len() > JWKS_BYTES_MAX {
            return Err(JwksError::TooLarge);
        }
        json::check_depth(bytes).map_err(|_| JwksError::Malformed)?;
        json::check_duplicates(bytes).map_err(|_| JwksError::Malformed)?;
        let wire: JwksWire = json::from_object(bytes).map_err(|_| JwksError::Malformed)?;
        usable(wire.keys).map(|keys| Self { keys })
    }

    /// The JSON document.
    pub fn to_json(&self) -> String {
        let keys = self.keys.iter().map(|jwk| Object(JwkWire::from(jwk))).collect();
        serde_json::to_string(&JwksWire { keys }).unwrap_or_default()
    }

    /// The keys that may verify tokens of `class`: those with `use` = `sig` or none, one for each algorithm that
    /// is both allowed and fits. Keys that are no point of their curve are left out.
    pub fn verifying_keys(&self, class: TokenClass, allowed: &[Algorithm]) -> VerifyingKeys {
        let for_signatures = |jwk: &&Jwk| matches!(jwk.usage.as_deref(), None | Some("sig"));
        VerifyingKeys::new(
            self.keys
                .iter()
                .filter(for_signatures)
                .flat_map(|jwk| bind(jwk, class, allowed))
                .collect(),
        )
    }
}

/// Skips what we cannot work with; refuses what nobody should have published.
pub(crate) fn usable(keys: Vec<Object<JwkWire>>) -> Result<Vec<Jwk>, JwksError> {
    if keys.len() > JWKS_KEYS_MAX {
        return Err(JwksError::TooManyKeys);
    }
    let mut usable = Vec::with_capacity(keys.len());
    for Object(wire) in keys {
        match Jwk::try_from(wire) {
            Ok(jwk) => usable.push(jwk),
            Err(JwkError::Private) => return Err(JwksError::Private),
            Err(_) => {}
        }
    }
    Ok(usable)
}

/// One verifying key for each allowed algorithm that the key fits.
pub(crate) fn bind(jwk: &Jwk, class: TokenClass, allowed: &[Algorithm]) -> Vec<VerifyingKey> {
    allowed
        .iter()
        .filter(|algorithm| jwk.algorithm.is_none_or(|only| only == **algorithm))
        .filter_map(|algorithm| VerifyingKey::new(&jwk.key, jwk.kid.as_deref(), *algorithm, class).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EC: &str = r#"{"kty":"EC","use":"sig","kid":"a","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}"#;

    #[test]
    fn keys_of_unknown_kinds_are_skipped_and_the_rest_kept() {
        let text = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"AQ"}},{EC}],"other":1}}"#);
        let set = Jwks::parse(text.as_bytes()).unwrap();
        assert_eq!(set.keys.len(), 1);
        assert_eq!(Jwks::parse(set.to_json().as_bytes()), Ok(set));
    }

    #[test]
    fn a_published_private_key_spoils_the_set() {
        let text = format!(r#"{{"keys":[{}]}}"#, EC.replacen('{', "{\"d\":\"AQ\",", 1));
        assert_eq!(Jwks::parse(text.as_bytes()), Err(JwksError::Private));
        assert_eq!(
            Jwks::parse(br#"{"keys":[{"kty":"oct","k":"AQ"}]}"#),
            Err(JwksError::Private)
        );
    }

    #[test]
    fn size_count_and_duplicates_are_limited() {
        assert_eq!(
            Jwks::parse(br#"{"keys":[],"keys":[]}"#),
            Err(JwksError::Malformed)
        );
        assert_eq!(Jwks::parse(br"{}"), Err(JwksError::Malformed));
        assert_eq!(
            Jwks::parse(&vec![b' '; JWKS_BYTES_MAX + 1]),
            Err(JwksError::TooLarge)
        );
        let many = vec![EC; JWKS_KEYS_MAX + 1].join(",");
        assert_eq!(
            Jwks::parse(format!(r#"{{"keys":[{many}]}}"#).as_bytes()),
            Err(JwksError::TooManyKeys)
        );
    }

    #[test]
    fn an_encryption_key_verifies_nothing() {
        let text = format!(r#"{{"keys":[{}]}}"#, EC.replacen("\"sig\"", "\"enc\"", 1));
        let set = Jwks::parse(text.as_bytes()).unwrap();
        assert!(
            set.verifying_keys(TokenClass::Foreign, &Algorithm::ALL)
                .is_empty()
        );
    }
}

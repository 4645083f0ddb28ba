//! SPIFFE trust bundles: the public keys of one trust domain (SPIFFE Trust Domain and Bundle section 4).
//!
//! A bundle belongs to its domain for ever: bundles are never pooled (section 3), so the domain is part of the value.

use crate::json::{self, Object};
use crate::jwk::{Jwk, JwkWire};
use crate::jwks::{self, JWKS_BYTES_MAX, JwksError};
use crate::key::VerifyingKeys;
use crate::x509_svid::{TrustRoots, X509Rejection, public_key_of};
use crate::{Algorithm, TokenClass};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use identity::TrustDomain;
use serde::{Deserialize, Serialize};

/// `use` of a certificate authority.
const X509_SVID: &str = "x509-svid";
/// `use` of a key that signs JWT-SVIDs.
const JWT_SVID: &str = "jwt-svid";

/// The bundle of one trust domain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrustBundle {
    /// Whose bundle.
    pub trust_domain: TrustDomain,
    /// Certificate authorities in DER. Empty: no X.509-SVID of the domain is trusted.
    pub x509_authorities: Vec<Vec<u8>>,
    /// Keys of JWT-SVIDs, each with a `kid`. Empty: no JWT-SVID of the domain is trusted.
    pub jwt_authorities: Vec<Jwk>,
    /// `spiffe_sequence`: grows with every change.
    pub sequence: Option<u64>,
    /// `spiffe_refresh_hint` in seconds.
    pub refresh_hint_secs: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct BundleWire {
    keys: Vec<Object<JwkWire>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spiffe_sequence: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spiffe_refresh_hint: Option<u64>,
}

impl TrustBundle {
    /// Reads the bundle of `trust_domain`. Entries of an unknown `use` or kind, certificate entries without `x5c`
    /// and JWT keys without `kid` are ignored (sections 4.2.2, X509-SVID 6.2, JWT-SVID 6.1).
    pub fn parse(trust_domain: TrustDomain, bytes: &[u8]) -> Result<Self, JwksError> {
        if bytes.len() > JWKS_BYTES_MAX {
            return Err(JwksError::TooLarge);
        }
        json::check_depth(bytes).map_err(|_| JwksError::Malformed)?;
        json::check_duplicates(bytes).map_err(|_| JwksError::Malformed)?;
        let wire: BundleWire = json::from_object(bytes).map_err(|_| JwksError::Malformed)?;
        let mut x509_authorities = Vec::new();
        for Object(key) in &wire.keys {
            let first = key
                .x5c
                .first()
                .filter(|_| key.usage.as_deref() == Some(X509_SVID));
            x509_authorities.extend(first.and_then(|text| STANDARD.decode(text).ok()));
        }
        let jwt = jwks::usable(wire.keys)?
            .into_iter()
            .filter(|jwk| jwk.usage.as_deref() == Some(JWT_SVID) && jwk.kid.is_some());
        Ok(Self {
            trust_domain,
            x509_authorities,
            jwt_authorities: jwt.collect(),
            sequence: wire.spiffe_sequence,
            refresh_hint_secs: wire.spiffe_refresh_hint,
        })
    }

    /// The JSON document. Certificates that cannot be read are left out; ours always can.
    pub fn to_json(&self) -> String {
        let certificates = self.x509_authorities.iter().filter_map(|der| {
            Some(Jwk {
                usage: Some(X509_SVID.to_owned()),
                certificates: vec![der.clone()],
                ..Jwk::bare(public_key_of(der)?)
            })
        });
        let jwt = self.jwt_authorities.iter().cloned().map(|jwk| Jwk {
            usage: Some(JWT_SVID.to_owned()),
            ..jwk
        });
        let wire = BundleWire {
            keys: certificates
                .chain(jwt)
                .map(|jwk| Object(JwkWire::from(&jwk)))
                .collect(),
            spiffe_sequence: self.sequence,
            spiffe_refresh_hint: self.refresh_hint_secs,
        };
        serde_json::to_string(&wire).unwrap_or_default()
    }

    /// The JWT keys alone, as the Workload API hands them out (Workload API section 6.2.2).
    pub fn jwt_to_json(&self) -> String {
        Self {
            x509_authorities: Vec::new(),
            ..self.clone()
        }
        .to_json()
    }

    /// The keys that verify the domain's JWT-SVIDs: one for each of the nine algorithms that fits.
    pub fn jwt_keys(&self) -> VerifyingKeys {
        let keys = self.jwt_authorities.iter();
        VerifyingKeys::new(
            keys.flat_map(|jwk| jwks::bind(jwk, TokenClass::JwtSvid, &Algorithm::ALL))
                .collect(),
        )
    }

    /// The roots that verify the domain's X.509-SVIDs.
    pub fn x509_roots(&self) -> Result<TrustRoots, X509Rejection> {
        TrustRoots::new(self.trust_domain.clone(), &self.x509_authorities)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{EcKey, authority};

    fn bundle() -> TrustBundle {
        let key = EcKey::new();
        TrustBundle {
            trust_domain: "example.org".parse().unwrap(),
            x509_authorities: vec![authority("example.org").certificate().to_vec()],
            jwt_authorities: vec![Jwk {
                usage: Some("jwt-svid".to_owned()),
                ..Jwk::signing(key.public.clone(), Algorithm::Es256)
            }],
            sequence: Some(u64::MAX),
            refresh_hint_secs: Some(300),
        }
    }

    fn parse(text: &str) -> Result<TrustBundle, JwksError> {
        TrustBundle::parse("example.org".parse().unwrap(), text.as_bytes())
    }

    #[test]
    fn a_bundle_round_trips_and_follows_the_profile() {
        let bundle = bundle();
        let text = bundle.to_json();
        assert_eq!(parse(&text), Ok(bundle));
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["keys"][0]["use"], "x509-svid");
        assert!(json["keys"][0].get("kid").is_none());
        assert_eq!(json["keys"][0]["x5c"].as_array().unwrap().len(), 1);
        assert_eq!(json["keys"][1]["use"], "jwt-svid");
        assert!(json["keys"][1]["kid"].is_string());
        assert_eq!(json["spiffe_sequence"], u64::MAX);
    }

    #[test]
    fn only_what_the_profile_knows_counts() {
        let text = include_str!("../../../testdata/vectors/spiffe/bundle.json");
        let bundle = parse(text).unwrap();
        assert_eq!((bundle.sequence, bundle.refresh_hint_secs), (Some(12), Some(600)));
        assert!(bundle.x509_authorities.is_empty());
        let kids = bundle.jwt_authorities.iter().map(|jwk| jwk.kid.as_deref());
        assert_eq!(kids.collect::<Vec<_>>(), [Some("key-1")]);
    }

    #[test]
    fn an_empty_bundle_trusts_nothing_and_is_valid() {
        let bundle = parse(r#"{"keys":[]}"#).unwrap();
        assert!(bundle.jwt_keys().is_empty());
        assert!(bundle.x509_authorities.is_empty());
    }

    #[test]
    fn entries_of_other_or_missing_use_are_ignored() {
        for (from, to) in [
            ("\"jwt-svid\"", "\"JWT-SVID\""),
            ("\"jwt-svid\"", "\"wit-svid\""),
            ("\"use\":\"jwt-svid\",", ""),
            ("\"kid\":", "\"kid2\":"),
        ] {
            let text = bundle().to_json().replace(from, to);
            assert!(parse(&text).unwrap().jwt_authorities.is_empty(), "{to}");
        }
        let text = bundle().to_json().replace("\"x5c\"", "\"x5x\"");
        assert!(parse(&text).unwrap().x509_authorities.is_empty());
    }

    #[test]
    fn duplicate_members_and_odd_sequences_are_refused() {
        for bad in [
            r#"{"keys":[],"keys":[]}"#,
            r#"{"keys":[],"spiffe_sequence":-1}"#,
            r#"{"keys":[],"spiffe_sequence":1.5}"#,
            r#"{"keys":[],"spiffe_sequence":"1"}"#,
            r#"{"spiffe_sequence":1}"#,
            "[]",
        ] {
            assert_eq!(parse(bad), Err(JwksError::Malformed), "{bad}");
        }
    }

    #[test]
    fn the_workload_form_has_only_jwt_keys() {
        let json: serde_json::Value = serde_json::from_str(&bundle().jwt_to_json()).unwrap();
        assert_eq!(json["keys"].as_array().unwrap().len(), 1);
        assert_eq!(json["keys"][0]["use"], "jwt-svid");
    }
}

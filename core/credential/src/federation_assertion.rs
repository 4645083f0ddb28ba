//! Federation assertions: JWTs by which an agent becomes a workload identity at an outside service (cloud STS, model
//! vendor), under that service's own rules (RFC 7523 section 3).
//!
//! Their own class and key, RS256 where the service wants nothing else. One target, minutes, never reused. Task,
//! purpose and chain go into `tabard`, for services that map attributes; `sub` stays what the service's rule names.

use crate::jose::{HeaderSegment, Unsigned};
use identity::{Audience, TokenId, UnixTime};
use serde::Serialize;
use std::collections::BTreeMap;

/// Longest life in seconds: vendors' SDKs are tuned for at most ten minutes.
pub const ASSERTION_SECS_MAX: u64 = 600;
/// Longest `sub` in bytes: the limit of GCP, the smallest of all services.
pub const ASSERTION_SUBJECT_BYTES_MAX: usize = 127;

/// What an assertion says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FederationAssertion {
    /// `iss`: `https://host[/path]`, byte for byte what the service has registered.
    pub issuer: String,
    /// `sub`: stable, never an instance.
    pub subject: String,
    /// `aud`: exactly one service.
    pub audience: Audience,
    /// `iat` and `nbf`.
    pub issued_at: UnixTime,
    /// `exp`.
    pub expires_at: UnixTime,
    /// `jti`.
    pub token: TokenId,
    /// `tabard`: names and values for the service's attribute mapping.
    pub attributes: BTreeMap<String, String>,
}

/// Why no service would take an assertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// `sub`.
    #[error("an assertion's subject has 1 to 127 visible ASCII characters")]
    Subject,
    /// `iss`.
    #[error("an assertion's issuer is https://host[/path] without port, query, fragment or trailing slash")]
    Issuer,
    /// `exp`.
    #[error("an assertion lives 1 to 600 s")]
    Lifetime,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a Audience,
    iat: u64,
    nbf: u64,
    exp: u64,
    jti: TokenId,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tabard: &'a BTreeMap<String, String>,
}

impl FederationAssertion {
    /// The assertion without its signature.
    pub fn unsigned(&self, header: &HeaderSegment) -> Result<Unsigned, AssertionError> {
        let visible = self.subject.bytes().all(|byte| byte.is_ascii_graphic());
        if !visible || !(1..=ASSERTION_SUBJECT_BYTES_MAX).contains(&self.subject.len()) {
            return Err(AssertionError::Subject);
        }
        let place = self
            .issuer
            .strip_prefix("https://")
            .ok_or(AssertionError::Issuer)?;
        if place.is_empty() || place.ends_with('/') || place.contains([':', '?', '#', '@', ' ']) {
            return Err(AssertionError::Issuer);
        }
        let (iat, exp) = (self.issued_at.secs(), self.expires_at.secs());
        if exp <= iat || exp - iat > ASSERTION_SECS_MAX {
            return Err(AssertionError::Lifetime);
        }
        Ok(Unsigned::new(
            header,
            &Claims {
                iss: &self.issuer,
                sub: &self.subject,
                aud: &self.audience,
                iat,
                nbf: iat,
                exp,
                jti: self.token,
                tabard: &self.attributes,
            },
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{EcKey, NOW};
    use crate::{SigningKey as _, TokenClass, foreign_token};
    use identity::LogId;

    fn assertion() -> FederationAssertion {
        FederationAssertion {
            issuer: "https://tabard.example/acme".to_owned(),
            subject: "agent:acme:billing".to_owned(),
            audience: "https://sts.example".parse().unwrap(),
            issued_at: NOW,
            expires_at: NOW.plus_secs(300),
            token: TokenId::random(NOW, LogId(1), 1),
            attributes: BTreeMap::from([("purpose".to_owned(), "reconcile".to_owned())]),
        }
    }

    #[test]
    fn an_outside_verifier_accepts_it_and_sees_the_attributes() {
        let key = EcKey::new();
        let unsigned = assertion()
            .unsigned(&key.header(TokenClass::FederationAssertion))
            .unwrap();
        let signature = key.sign(unsigned.message()).unwrap();
        let token = unsigned.with_signature(&signature);
        let keys = key.verifying(TokenClass::Foreign);
        let seen = |issuer, audience| foreign_token::verify(&token, &keys, issuer, audience, NOW);
        let claims = seen("https://tabard.example/acme", "https://sts.example")
            .unwrap()
            .into_claims();
        assert_eq!(claims.claims["aud"], "https://sts.example");
        assert_eq!(claims.claims["tabard"]["purpose"], "reconcile");
        assert!(seen("https://tabard.example/globex", "https://sts.example").is_err());
    }

    #[test]
    fn what_no_service_would_take_is_not_built() {
        let header = EcKey::new().header(TokenClass::FederationAssertion);
        let with = |change: fn(&mut FederationAssertion)| {
            let mut assertion = assertion();
            change(&mut assertion);
            assertion.unsigned(&header).map(|_| ())
        };
        assert_eq!(with(|_| {}), Ok(()));
        assert_eq!(
            with(|a| a.subject = "x".repeat(128)),
            Err(AssertionError::Subject)
        );
        assert_eq!(with(|a| a.subject = String::new()), Err(AssertionError::Subject));
        assert_eq!(with(|a| a.subject = "é".to_owned()), Err(AssertionError::Subject));
        assert_eq!(with(|a| a.issuer.push('/')), Err(AssertionError::Issuer));
        assert_eq!(
            with(|a| a.issuer = "https://h:8443".to_owned()),
            Err(AssertionError::Issuer)
        );
        assert_eq!(
            with(|a| a.issuer = "http://h".to_owned()),
            Err(AssertionError::Issuer)
        );
        assert_eq!(
            with(|a| a.expires_at = NOW.plus_secs(601)),
            Err(AssertionError::Lifetime)
        );
        assert_eq!(with(|a| a.expires_at = NOW), Err(AssertionError::Lifetime));
    }
}

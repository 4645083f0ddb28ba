//! JWT-SVIDs (SPIFFE JWT-SVID sections 2 to 5).
//!
//! A JWT-SVID is a bearer credential: whoever holds it can show it. Accepting one as more than an authentication of
//! its subject is the broker's decision. Claims of others beyond the standard ones are kept and mean nothing here.

use crate::access_token::check_times;
use crate::jose::{HeaderSegment, Jws, Unsigned, Verified, in_part};
use crate::json::{self, parse_strict};
use crate::key::VerifyingKeys;
use crate::rejection::Part;
use crate::{Rejection, TokenClass};
use identity::{Audience, SpiffeId, UnixTime};
use serde::Serialize;
use serde_json::{Map, Value};

/// What we write into a JWT-SVID. `iss` and `iat` are optional for SPIFFE and mandatory for the model vendors.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JwtSvidTemplate {
    /// `sub`.
    pub spiffe_id: SpiffeId,
    /// `aud`, at least one; one is the advice of section 3.
    pub audiences: Vec<Audience>,
    /// `iss`.
    pub issuer: String,
    /// `iat`.
    pub issued_at: UnixTime,
    /// `exp`.
    pub expires_at: UnixTime,
    /// `jti`.
    pub token: Option<String>,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a SpiffeId,
    aud: &'a [Audience],
    iss: &'a str,
    iat: u64,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<&'a str>,
}

impl JwtSvidTemplate {
    /// The token without its signature. `aud` is written as an array: some SPIFFE libraries read nothing else.
    pub fn unsigned(&self, header: &HeaderSegment) -> Unsigned {
        Unsigned::new(
            header,
            &Claims {
                sub: &self.spiffe_id,
                aud: &self.audiences,
                iss: &self.issuer,
                iat: self.issued_at.secs(),
                exp: self.expires_at.secs(),
                jti: self.token.as_deref(),
            },
        )
    }
}

/// What a JWT-SVID says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JwtSvidClaims {
    /// `sub`: the workload.
    pub spiffe_id: SpiffeId,
    /// `aud`, at least one.
    pub audiences: Vec<String>,
    /// `iss`, if there.
    pub issuer: Option<String>,
    /// `iat`, if there.
    pub issued_at: Option<UnixTime>,
    /// `exp`.
    pub expires_at: UnixTime,
    /// `jti`, if there. No replay defence by itself.
    pub token: Option<String>,
    /// Every claim as it stands.
    pub claims: Map<String, Value>,
}

impl JwtSvidClaims {
    /// What a token says of itself, for whoever holds it and wants to know when to renew. Proves nothing.
    pub fn of_token_unverified(token: &str) -> Result<Self, Rejection> {
        Self::parse_unverified(Jws::parse(token, TokenClass::JwtSvid)?.payload_unverified())
    }
    /// Reads claims that nobody has verified.
    pub fn parse_unverified(payload: &[u8]) -> Result<Self, Rejection> {
        let Value::Object(claims) = parse_strict(payload).map_err(|error| in_part(error, Part::Payload))?
        else {
            return Err(Rejection::Malformed(Part::Payload, 0));
        };
        let subject = claims.get("sub").ok_or(Rejection::MissingClaim("sub"))?;
        let spiffe_id: SpiffeId = subject
            .as_str()
            .and_then(|text| text.parse().ok())
            .ok_or(Rejection::BadSubject)?;
        if spiffe_id.path().is_empty() {
            return Err(Rejection::BadSubject);
        }
        let expires_at = date(&claims, "exp")?.ok_or(Rejection::MissingClaim("exp"))?;
        Ok(Self {
            spiffe_id,
            audiences: audiences(&claims)?,
            issuer: text(&claims, "iss")?,
            issued_at: date(&claims, "iat")?,
            expires_at,
            token: text(&claims, "jti")?,
            claims,
        })
    }
}

/// Verifies a JWT-SVID for one audience. `authorities` gives the JWT keys of a trust domain, `None` for a domain
/// that is not trusted; only those of the subject's own domain are ever tried (section 4, and never pooled).
pub fn verify<'a>(
    token: &str,
    authorities: impl FnOnce(&str) -> Option<&'a VerifyingKeys>,
    audience: &str,
    now: UnixTime,
) -> Result<Verified<JwtSvidClaims>, Rejection> {
    let jws = Jws::parse(token, TokenClass::JwtSvid)?;
    let unverified = JwtSvidClaims::parse_unverified(jws.payload_unverified())?;
    let keys = authorities(unverified.spiffe_id.trust_domain()).ok_or(Rejection::UnknownKey)?;
    jws.verified_by_any(keys, TokenClass::JwtSvid)?;
    // The signature covers exactly the bytes that were read above.
    let claims = unverified;
    if !claims.audiences.iter().any(|name| name == audience) {
        return Err(Rejection::WrongAudience);
    }
    let not_before = date(&claims.claims, "nbf")?;
    let from = not_before.max(claims.issued_at).unwrap_or_default();
    check_times(from, claims.expires_at, now)?;
    Ok(Verified::new(claims))
}

/// `aud`: a string or an array of strings, not empty.
pub(crate) fn audiences(claims: &Map<String, Value>) -> Result<Vec<String>, Rejection> {
    let one = |value: &Value| {
        let text = value.as_str().filter(|text| !text.is_empty());
        text.map(str::to_owned).ok_or(Rejection::BadClaim("aud"))
    };
    match claims.get("aud") {
        None => Err(Rejection::MissingClaim("aud")),
        Some(Value::Array(values)) if values.is_empty() => Err(Rejection::BadClaim("aud")),
        Some(Value::Array(values)) => values.iter().map(one).collect(),
        Some(value) => Ok(vec![one(value)?]),
    }
}

/// A NumericDate as a JSON integer. A string, a float or a number past the year 9999 is refused, never taken as
/// absent (CVE-2026-25537).
pub(crate) fn date(claims: &Map<String, Value>, name: &'static str) -> Result<Option<UnixTime>, Rejection> {
    claims.get(name).map_or(Ok(None), |value| {
        let secs = value.as_u64().filter(|secs| json::is_date(*secs));
        secs.map(|secs| Some(UnixTime::from_secs(secs)))
            .ok_or(Rejection::BadClaim(name))
    })
}

/// A string claim.
pub(crate) fn text(claims: &Map<String, Value>, name: &'static str) -> Result<Option<String>, Rejection> {
    claims.get(name).map_or(Ok(None), |value| {
        let text = value.as_str().ok_or(Rejection::BadClaim(name))?;
        Ok(Some(text.to_owned()))
    })
}

#[cfg(test)]
mod tests;

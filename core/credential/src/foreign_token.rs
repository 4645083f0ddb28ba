//! Tokens of other issuers: OIDC ID tokens of users, and platform documents in JWT form (CI jobs, Kubernetes service
//! accounts, cloud instances). They authenticate somebody; what that is worth is decided by the broker.
//!
//! The keys are the ones configured for the issuer. Nothing in the token says where to find others, and the issuer is
//! compared before anything is believed (RFC 8725 sections 3.8 and 3.10; OpenID Connect Core section 3.1.3.7).

use crate::access_token::check_times;
use crate::jose::{Jws, Verified, in_part};
use crate::json::parse_strict;
use crate::jwt_svid::{audiences, date, text};
use crate::key::VerifyingKeys;
use crate::rejection::Part;
use crate::{Rejection, TokenClass};
use identity::UnixTime;
use serde_json::{Map, Value};

/// Longest `sub` in bytes (OpenID Connect Core section 2).
pub const SUBJECT_BYTES_MAX: usize = 255;
/// Longest `sid` in bytes. The standard names no end; providers send 16 to 64.
const SESSION_BYTES_MAX: usize = 255;

/// What a token of another issuer says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ForeignClaims {
    /// `iss`.
    pub issuer: String,
    /// `sub`: meaningful only together with the issuer.
    pub subject: String,
    /// `aud`, at least one.
    pub audiences: Vec<String>,
    /// `iat`; mandatory, so that its age can be judged.
    pub issued_at: UnixTime,
    /// `exp`.
    pub expires_at: UnixTime,
    /// `jti`, if there.
    pub token: Option<String>,
    /// Every claim as it stands.
    pub claims: Map<String, Value>,
}

/// The issuer that a token names, to find its keys by. Proves nothing.
pub fn issuer_unverified(token: &str) -> Result<String, Rejection> {
    let jws = Jws::parse(token, TokenClass::Foreign)?;
    let claims = parse_strict(jws.payload_unverified()).map_err(|error| in_part(error, Part::Payload))?;
    let Value::Object(claims) = claims else {
        return Err(Rejection::Malformed(Part::Payload, 0));
    };
    text(&claims, "iss")?.ok_or(Rejection::MissingClaim("iss"))
}

/// Verifies a token of `issuer` for one audience. `keys` are that issuer's, bound to the algorithms it may use.
pub fn verify(
    token: &str,
    keys: &VerifyingKeys,
    issuer: &str,
    audience: &str,
    now: UnixTime,
) -> Result<Verified<ForeignClaims>, Rejection> {
    let Signed {
        issuer,
        subject,
        audiences,
        issued_at,
        expires_at,
        token,
        claims,
    } = verify_as(TokenClass::Foreign, token, keys, issuer, audience, now)?;
    Ok(Verified::new(ForeignClaims {
        issuer,
        subject: subject.ok_or(Rejection::MissingClaim("sub"))?,
        audiences,
        issued_at,
        expires_at,
        token,
        claims,
    }))
}

/// What an issuer signed, whether it speaks of somebody or not.
pub(crate) struct Signed {
    pub(crate) issuer: String,
    pub(crate) subject: Option<String>,
    pub(crate) audiences: Vec<String>,
    pub(crate) issued_at: UnixTime,
    pub(crate) expires_at: UnixTime,
    pub(crate) token: Option<String>,
    pub(crate) claims: Map<String, Value>,
}

/// `sid`: what an issuer calls a session of its own. It names one only together with the issuer.
pub(crate) fn session(claims: &Map<String, Value>) -> Result<Option<String>, Rejection> {
    let session = text(claims, "sid")?;
    match session.as_ref().map(String::len) {
        None | Some(1..=SESSION_BYTES_MAX) => Ok(session),
        Some(_) => Err(Rejection::BadClaim("sid")),
    }
}

/// The same for a class of another issuer's tokens that has a type of its own, and need not speak of anybody.
pub(crate) fn verify_as(
    class: TokenClass,
    token: &str,
    keys: &VerifyingKeys,
    issuer: &str,
    audience: &str,
    now: UnixTime,
) -> Result<Signed, Rejection> {
    let payload = Jws::parse(token, class)?.verified_by_any(keys, class)?;
    let Value::Object(claims) = parse_strict(&payload).map_err(|error| in_part(error, Part::Payload))? else {
        return Err(Rejection::Malformed(Part::Payload, 0));
    };
    let found = text(&claims, "iss")?.ok_or(Rejection::MissingClaim("iss"))?;
    if found != issuer {
        return Err(Rejection::WrongIssuer);
    }
    let subject = text(&claims, "sub")?;
    if !matches!(
        subject.as_ref().map(String::len),
        None | Some(1..=SUBJECT_BYTES_MAX)
    ) {
        return Err(Rejection::BadClaim("sub"));
    }
    let audiences = audiences(&claims)?;
    if !audiences.iter().any(|name| name == audience) {
        return Err(Rejection::WrongAudience);
    }
    let issued_at = date(&claims, "iat")?.ok_or(Rejection::MissingClaim("iat"))?;
    let expires_at = date(&claims, "exp")?.ok_or(Rejection::MissingClaim("exp"))?;
    let from = date(&claims, "nbf")?.map_or(issued_at, |not_before| not_before.max(issued_at));
    check_times(from, expires_at, now)?;
    Ok(Signed {
        issuer: found,
        subject,
        audiences,
        issued_at,
        expires_at,
        token: text(&claims, "jti")?,
        claims,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{EcKey, NOW};

    const HEADER: &str = r#"{"alg":"ES256","typ":"JWT"}"#;

    fn claims(extra: &str) -> String {
        let (iat, exp) = (NOW.secs(), NOW.secs() + 300);
        format!(
            r#"{{"iss":"https://ci.example","sub":"repo:a/b","aud":"tabard","iat":{iat},"exp":{exp}{extra}}}"#
        )
    }

    fn check(header: &str, claims: &str) -> Result<ForeignClaims, Rejection> {
        let key = EcKey::new();
        let keys = key.verifying(TokenClass::Foreign);
        let token = key.token(header, claims);
        verify(&token, &keys, "https://ci.example", "tabard", NOW).map(Verified::into_claims)
    }

    #[test]
    fn a_platform_document_verifies_and_keeps_its_claims() {
        let found = check(HEADER, &claims(r#","repository_id":"42","jti":"j""#)).unwrap();
        assert_eq!(
            (found.subject.as_str(), found.token.as_deref()),
            ("repo:a/b", Some("j"))
        );
        assert_eq!(found.claims["repository_id"], "42");
        // Certificate hints of large issuers are looked at by nobody.
        assert!(
            check(
                r#"{"alg":"ES256","typ":"JWT","x5t":"AA","x5c":["AA"]}"#,
                &claims("")
            )
            .is_ok()
        );
    }

    #[test]
    fn another_issuer_audience_or_time_is_refused() {
        for (from, to, rejection) in [
            (
                "https://ci.example",
                "https://ci.example/",
                Rejection::WrongIssuer,
            ),
            ("\"tabard\"", "\"other\"", Rejection::WrongAudience),
            ("\"tabard\"", "[]", Rejection::BadClaim("aud")),
            ("repo:a/b", "", Rejection::BadClaim("sub")),
            ("\"iat\"", "\"iat2\"", Rejection::MissingClaim("iat")),
            ("\"exp\"", "\"exp2\"", Rejection::MissingClaim("exp")),
            (
                "\"exp\":",
                "\"exp\":1,\"x\":",
                Rejection::Expired {
                    by_secs: NOW.secs() - 1,
                },
            ),
            ("\"exp\":", "\"exp\":\"9\",\"x\":", Rejection::BadClaim("exp")),
        ] {
            assert_eq!(
                check(HEADER, &claims("").replacen(from, to, 1)),
                Err(rejection),
                "{to}"
            );
        }
    }

    #[test]
    fn a_token_that_says_where_its_key_is_is_refused() {
        for member in [
            r#""jku":"https://evil.example""#,
            r#""x5u":"https://evil.example""#,
            r#""jwk":{}"#,
            r#""crit":["x"]"#,
        ] {
            let header = format!(r#"{{"alg":"ES256","typ":"JWT",{member}}}"#);
            assert_eq!(
                check(&header, &claims("")),
                Err(Rejection::HeaderNotAllowed),
                "{member}"
            );
        }
        assert_eq!(
            check(r#"{"alg":"ES256","typ":"at+jwt"}"#, &claims("")),
            Err(Rejection::WrongType)
        );
    }
}

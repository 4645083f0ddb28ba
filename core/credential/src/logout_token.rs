//! Logout tokens: an identity provider's word that somebody logged out there (OpenID Connect Back-Channel Logout 1.0
//! section 2.4).
//!
//! Nobody but the provider can make one, and an ID token is none: it says no event, and carries a nonce. It speaks of a
//! person (`sub`), of one session of theirs at the provider (`sid`), or of both; one that speaks of neither is none.

use crate::foreign_token::{self, Signed};
use crate::jose::Verified;
use crate::{Rejection, TokenClass, VerifyingKeys};
use identity::UnixTime;
use serde_json::Value;

/// The member of `events` that makes it one.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// Longest life in seconds. Providers give it minutes; it is remembered for as long, so that it works once.
const LIFE_SECS_MAX: u64 = 3600;

/// What a logout token says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogoutClaims {
    /// `iss`.
    pub issuer: String,
    /// `sub`: who logged out. There, if `session` is not.
    pub subject: Option<String>,
    /// `sid`: which session ended at the provider. There, if `subject` is not.
    pub session: Option<String>,
    /// `jti`: it is good once.
    pub token: String,
    /// `exp`.
    pub expires_at: UnixTime,
}

/// Verifies a logout token of `issuer` for our `client` (section 2.6).
pub fn verify(
    token: &str,
    keys: &VerifyingKeys,
    issuer: &str,
    client: &str,
    now: UnixTime,
) -> Result<Verified<LogoutClaims>, Rejection> {
    let Signed {
        issuer,
        subject,
        issued_at,
        expires_at,
        token,
        claims,
        ..
    } = foreign_token::verify_as(TokenClass::Logout, token, keys, issuer, client, now)?;
    // Step 5.
    let session = foreign_token::session(&claims)?;
    if subject.is_none() && session.is_none() {
        return Err(Rejection::MissingClaim("sub"));
    }
    // Step 6: the event, with an object as its value.
    match claims.get("events").map(|events| events.get(EVENT)) {
        None => return Err(Rejection::MissingClaim("events")),
        Some(Some(Value::Object(_))) => {}
        Some(_) => return Err(Rejection::BadClaim("events")),
    }
    // Step 7: what has one is of a login.
    if claims.contains_key("nonce") {
        return Err(Rejection::BadClaim("nonce"));
    }
    if expires_at.millis_since(issued_at) > LIFE_SECS_MAX * 1000 {
        return Err(Rejection::BadClaim("exp"));
    }
    let token = token
        .filter(|token| !token.is_empty())
        .ok_or(Rejection::MissingClaim("jti"))?;
    Ok(Verified::new(LogoutClaims {
        issuer,
        subject,
        session,
        token,
        expires_at,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{EcKey, NOW};

    const TYPED: &str = r#"{"alg":"ES256","typ":"logout+jwt"}"#;
    const SAID: &str = r#","jti":"j-1","events":{"http://schemas.openid.net/event/backchannel-logout":{}}"#;

    fn check(header: &str, subject: &str, extra: &str, life: u64) -> Result<LogoutClaims, Rejection> {
        let key = EcKey::new();
        let (iat, exp) = (NOW.secs(), NOW.secs() + life);
        let claims = format!(
            r#"{{"iss":"https://idp.example","aud":"tabard"{subject},"iat":{iat},"exp":{exp}{extra}}}"#
        );
        let keys = key.verifying(TokenClass::Logout);
        let token = key.token(header, &claims);
        verify(&token, &keys, "https://idp.example", "tabard", NOW).map(Verified::into_claims)
    }

    #[test]
    fn the_word_of_a_provider_is_read_with_its_type_and_without() {
        let sub = r#","sub":"u1","sid":"s1""#;
        for header in [TYPED, r#"{"alg":"ES256","typ":"JWT"}"#, r#"{"alg":"ES256"}"#] {
            let claims = check(header, sub, SAID, 120).unwrap();
            assert_eq!(
                (
                    claims.subject.as_deref(),
                    claims.session.as_deref(),
                    claims.token.as_str()
                ),
                (Some("u1"), Some("s1"), "j-1")
            );
        }
    }

    #[test]
    fn it_speaks_of_a_person_or_of_a_session_and_of_one_of_them_at_least() {
        let longest = format!(r#","sid":"{}""#, "s".repeat(255));
        let too_long = format!(r#","sid":"{}""#, "s".repeat(256));
        for (said, found) in [
            (r#","sub":"u1""#, Ok((true, false))),
            (r#","sid":"s1""#, Ok((false, true))),
            (longest.as_str(), Ok((false, true))),
            ("", Err(Rejection::MissingClaim("sub"))),
            (r#","sid":"""#, Err(Rejection::BadClaim("sid"))),
            (too_long.as_str(), Err(Rejection::BadClaim("sid"))),
            (r#","sid":7"#, Err(Rejection::BadClaim("sid"))),
            (r#","sid":null"#, Err(Rejection::BadClaim("sid"))),
            // Half of what it says is not what it says.
            (r#","sub":"u1","sid":["s1"]"#, Err(Rejection::BadClaim("sid"))),
            (r#","sub":"","sid":"s1""#, Err(Rejection::BadClaim("sub"))),
        ] {
            let claims = check(TYPED, said, SAID, 120);
            let claims = claims.map(|it| (it.subject.is_some(), it.session.is_some()));
            assert_eq!(claims, found, "{said}");
        }
    }

    #[test]
    fn what_is_no_logout_token_is_refused() {
        let sub = r#","sub":"u1""#;
        let plain = r#"{"alg":"ES256"}"#;
        let id_token = r#","nonce":"n-1","auth_time":1"#;
        let with_nonce = format!(r#"{SAID},"nonce":"n-1""#);
        for (header, subject, extra, life, rejection) in [
            (plain, sub, id_token, 120, Rejection::MissingClaim("events")),
            (plain, sub, with_nonce.as_str(), 120, Rejection::BadClaim("nonce")),
            (
                TYPED,
                sub,
                r#","jti":"j","events":{}"#,
                120,
                Rejection::BadClaim("events"),
            ),
            (
                TYPED,
                sub,
                r#","jti":"j","events":["http://schemas.openid.net/event/backchannel-logout"]"#,
                120,
                Rejection::BadClaim("events"),
            ),
            (
                TYPED,
                sub,
                r#","jti":"j","events":{"http://schemas.openid.net/event/backchannel-logout":true}"#,
                120,
                Rejection::BadClaim("events"),
            ),
            (
                TYPED,
                sub,
                r#","events":{"http://schemas.openid.net/event/backchannel-logout":{}}"#,
                120,
                Rejection::MissingClaim("jti"),
            ),
            (TYPED, sub, SAID, 3601, Rejection::BadClaim("exp")),
        ] {
            assert_eq!(
                check(header, subject, extra, life),
                Err(rejection),
                "{header} {subject} {extra}"
            );
        }
        assert!(check(r#"{"alg":"ES256","typ":"at+jwt"}"#, sub, SAID, 120).is_err());
        assert!(check(r#"{"alg":"ES256","typ":"secevent+jwt"}"#, sub, SAID, 120).is_err());
    }

    #[test]
    fn a_logout_token_is_no_id_token_and_no_subject_token() {
        let key = EcKey::new();
        let keys = key.verifying(TokenClass::Foreign);
        let (iat, exp) = (NOW.secs(), NOW.secs() + 120);
        let claims = format!(
            r#"{{"iss":"https://idp.example","aud":"tabard","sub":"u1","iat":{iat},"exp":{exp}{SAID}}}"#
        );
        let token = key.token(TYPED, &claims);
        assert!(foreign_token::verify(&token, &keys, "https://idp.example", "tabard", NOW).is_err());
        let untyped = key.token(r#"{"alg":"ES256"}"#, &claims);
        let login = crate::id_token::verify(&untyped, &keys, "https://idp.example", "tabard", "n", NOW);
        assert!(login.is_err());
    }
}

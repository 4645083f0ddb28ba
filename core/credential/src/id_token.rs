//! ID tokens: an identity provider's word about who logged in just now (OpenID Connect Core 1.0 section 2).
//!
//! A token of another client, of another login or of another issuer is refused here: besides the signature the
//! audience, `azp` and the nonce decide (section 3.1.3.7).

use crate::foreign_token::{self, ForeignClaims};
use crate::jose::Verified;
use crate::{Rejection, VerifyingKeys};
use identity::UnixTime;
use serde_json::Value;

/// What an ID token says about a login.
#[derive(Clone, PartialEq, Debug)]
pub struct IdTokenClaims {
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// `auth_time`: when the person themselves proved who they are, if the provider says so.
    pub authenticated_at: Option<UnixTime>,
    /// `nonce`: which login it is of.
    pub nonce: String,
    /// `sid`: what the provider calls the session there, if it says so (OpenID Connect Back-Channel Logout 1.0 section 2.1).
    pub session: Option<String>,
}

/// Verifies the ID token of one login: of `issuer`, for our `client`, with the `nonce` of that login.
pub fn verify(
    token: &str,
    keys: &VerifyingKeys,
    issuer: &str,
    client: &str,
    nonce: &str,
    now: UnixTime,
) -> Result<Verified<IdTokenClaims>, Rejection> {
    let ForeignClaims {
        issuer,
        subject,
        audiences,
        claims,
        ..
    } = foreign_token::verify(token, keys, issuer, client, now)?.into_claims();
    // Steps 3 to 5: no audience that we do not trust, and we do not trust any other.
    let authorized = claims.get("azp");
    if audiences.len() != 1 || authorized.is_some_and(|azp| azp.as_str() != Some(client)) {
        return Err(Rejection::WrongAudience);
    }
    // Step 11.
    match claims.get("nonce") {
        Some(Value::String(found)) if found == nonce && !nonce.is_empty() => {}
        Some(_) => return Err(Rejection::BadClaim("nonce")),
        None => return Err(Rejection::MissingClaim("nonce")),
    }
    let authenticated_at = match claims.get("auth_time") {
        None => None,
        Some(value) => {
            let secs = value.as_u64().ok_or(Rejection::BadClaim("auth_time"))?;
            Some(UnixTime::from_secs(secs))
        }
    };
    Ok(Verified::new(IdTokenClaims {
        issuer,
        subject,
        authenticated_at,
        nonce: nonce.to_owned(),
        session: foreign_token::session(&claims)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TokenClass;
    use crate::testing::{EcKey, NOW};

    fn check(extra: &str, audience: &str) -> Result<IdTokenClaims, Rejection> {
        let key = EcKey::new();
        let (iat, exp) = (NOW.secs(), NOW.secs() + 300);
        let claims = format!(
            r#"{{"iss":"https://idp.example","sub":"u1","aud":{audience},"iat":{iat},"exp":{exp}{extra}}}"#
        );
        let token = key.token(r#"{"alg":"ES256"}"#, &claims);
        let keys = key.verifying(TokenClass::Foreign);
        verify(&token, &keys, "https://idp.example", "tabard", "n-1", NOW).map(Verified::into_claims)
    }

    #[test]
    fn the_token_of_this_login_is_read() {
        let extra = format!(r#","nonce":"n-1","auth_time":{},"azp":"tabard""#, NOW.secs() - 5);
        let claims = check(&extra, r#""tabard""#).unwrap();
        assert_eq!(claims.subject, "u1");
        assert_eq!(claims.authenticated_at, Some(UnixTime::from_secs(NOW.secs() - 5)));
        assert_eq!(claims.session, None);
        let claims = check(&format!(r#"{extra},"sid":"s-1""#), r#""tabard""#).unwrap();
        assert_eq!(claims.session.as_deref(), Some("s-1"));
    }

    #[test]
    fn a_token_of_another_client_or_login_is_refused() {
        let nonce = r#","nonce":"n-1""#;
        for (extra, audience, rejection) in [
            (nonce, r#""other""#, Rejection::WrongAudience),
            (nonce, r#"["tabard","other"]"#, Rejection::WrongAudience),
            (
                r#","nonce":"n-1","azp":"other""#,
                r#""tabard""#,
                Rejection::WrongAudience,
            ),
            (r#","nonce":"n-2""#, r#""tabard""#, Rejection::BadClaim("nonce")),
            (r#","nonce":1"#, r#""tabard""#, Rejection::BadClaim("nonce")),
            ("", r#""tabard""#, Rejection::MissingClaim("nonce")),
            (
                r#","nonce":"n-1","auth_time":"9""#,
                r#""tabard""#,
                Rejection::BadClaim("auth_time"),
            ),
            (
                r#","nonce":"n-1","sid":"""#,
                r#""tabard""#,
                Rejection::BadClaim("sid"),
            ),
        ] {
            assert_eq!(check(extra, audience), Err(rejection), "{extra} {audience}");
        }
    }
}

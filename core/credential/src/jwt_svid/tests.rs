//! JWT-SVIDs, after the client cases JV-1 to JV-25 of the SPIFFE conformance suite.

use super::*;
use crate::testing::{EcKey, NOW, RsaKey};
use crate::{Algorithm, Curve, Jwk, PublicKey, SigningKey as _, TrustBundle};
use base64::Engine as _;

const ID: &str = "spiffe://example.org/acme/agent/billing";

fn bundle(keys: &[(&PublicKey, &str, Option<Algorithm>)]) -> VerifyingKeys {
    let jwt_authorities = keys.iter().map(|(key, kid, algorithm)| Jwk {
        kid: Some((*kid).to_owned()),
        algorithm: *algorithm,
        usage: Some("jwt-svid".to_owned()),
        ..Jwk::bare((*key).clone())
    });
    let bundle = TrustBundle {
        trust_domain: "example.org".parse().unwrap(),
        x509_authorities: Vec::new(),
        jwt_authorities: jwt_authorities.collect(),
        sequence: None,
        refresh_hint_secs: None,
    };
    bundle.jwt_keys()
}

fn claims(extra: &str) -> String {
    format!(
        r#"{{"sub":"{ID}","aud":["me"],"exp":{}{extra}}}"#,
        NOW.secs() + 300
    )
}

fn check_with(keys: &VerifyingKeys, token: &str) -> Result<JwtSvidClaims, Rejection> {
    let authorities = |domain: &str| (domain == "example.org").then_some(keys);
    verify(token, authorities, "me", NOW).map(Verified::into_claims)
}

/// A token of a key that the bundle holds as `k`.
fn check(header: &str, claims: &str) -> Result<JwtSvidClaims, Rejection> {
    let key = EcKey::new();
    check_with(&bundle(&[(&key.public, "k", None)]), &key.token(header, claims))
}

const HEADER: &str = r#"{"alg":"ES256","kid":"k","typ":"JWT"}"#;

#[test]
fn jv_all_nine_algorithms_verify() {
    let rsa = RsaKey::new();
    for algorithm in Algorithm::ALL {
        let header = format!(r#"{{"alg":"{algorithm}","kid":"k","typ":"JWT"}}"#);
        let curve = match algorithm {
            Algorithm::Es256 => Some(Curve::P256),
            Algorithm::Es384 => Some(Curve::P384),
            Algorithm::Es512 => Some(Curve::P521),
            _ => None,
        };
        let (token, public) = match curve {
            Some(curve) => {
                let key = EcKey::on(curve);
                (key.token(&header, &claims("")), key.public)
            }
            None => (rsa.token(algorithm, &header, &claims("")), rsa.public.clone()),
        };
        for declared in [None, Some(algorithm)] {
            let keys = bundle(&[(&public, "k", declared)]);
            assert!(check_with(&keys, &token).is_ok(), "{algorithm}");
        }
    }
}

#[test]
fn jv_a_key_that_names_its_algorithm_is_for_no_other() {
    let rsa = RsaKey::new();
    let keys = bundle(&[(&rsa.public, "k", Some(Algorithm::Rs256))]);
    let token = rsa.token(
        Algorithm::Ps256,
        r#"{"alg":"PS256","kid":"k","typ":"JWT"}"#,
        &claims(""),
    );
    assert_eq!(
        check_with(&keys, &token),
        Err(Rejection::AlgorithmMismatch {
            expected: Algorithm::Rs256,
            found: Algorithm::Ps256
        })
    );
}

#[test]
fn jv_other_algorithms_are_refused() {
    for alg in ["none", "HS256", "HS384", "HS512", "EdDSA"] {
        let header = format!(r#"{{"alg":"{alg}","kid":"k","typ":"JWT"}}"#);
        assert_eq!(
            check(&header, &claims("")),
            Err(Rejection::AlgorithmNotAllowed),
            "{alg}"
        );
    }
    assert!(matches!(
        check(r#"{"alg":"RS256","kid":"k"}"#, &claims("")),
        Err(Rejection::AlgorithmMismatch { .. })
    ));
}

#[test]
fn jv_audiences() {
    let with = |aud: &str| check(HEADER, &claims("").replace(r#"["me"]"#, aud));
    for good in [r#"["me"]"#, r#""me""#, r#"["other","me"]"#] {
        assert!(with(good).is_ok(), "{good}");
    }
    assert_eq!(with(r#"["other"]"#), Err(Rejection::WrongAudience));
    assert_eq!(with(r#""ME""#), Err(Rejection::WrongAudience));
    for bad in ["[]", "1", "null", r#"["me",1]"#, r#"{"me":1}"#, r#""""#] {
        assert_eq!(with(bad), Err(Rejection::BadClaim("aud")), "{bad}");
    }
    let without = claims("").replace(r#""aud":["me"],"#, "");
    assert_eq!(check(HEADER, &without), Err(Rejection::MissingClaim("aud")));
}

#[test]
fn jv_expiry_and_start() {
    let exp = (NOW.secs() + 300).to_string();
    let with = |value: &str| check(HEADER, &claims("").replace(&exp, value));
    assert!(with(&(NOW.secs() + 1).to_string()).is_ok());
    assert_eq!(
        with(&(NOW.secs() - 60).to_string()),
        Err(Rejection::Expired { by_secs: 60 })
    );
    for bad in [
        format!("\"{exp}\""),
        format!("{exp}.0"),
        "1e10".to_owned(),
        "null".to_owned(),
        u64::MAX.to_string(),
    ] {
        assert_eq!(with(&bad), Err(Rejection::BadClaim("exp")), "{bad}");
    }
    let without = claims("").replace(&format!(r#","exp":{exp}"#), "");
    assert_eq!(check(HEADER, &without), Err(Rejection::MissingClaim("exp")));
    let nbf = |value: &str| check(HEADER, &claims(&format!(r#","nbf":{value}"#)));
    assert!(nbf(&NOW.secs().to_string()).is_ok());
    assert_eq!(
        nbf(&(NOW.secs() + 60).to_string()),
        Err(Rejection::NotYetValid { in_secs: 60 })
    );
    assert_eq!(nbf("\"0\""), Err(Rejection::BadClaim("nbf")));
}

#[test]
fn jv_tampering_and_unknown_keys() {
    let (key, other) = (EcKey::new(), EcKey::new());
    let keys = bundle(&[(&key.public, "k", None)]);
    let token = key.token(HEADER, &claims(""));
    assert!(check_with(&keys, &token).is_ok());
    let (signed, _) = token.rsplit_once('.').unwrap();
    let (_, signature) = key
        .token(HEADER, &claims(r#","x":1"#))
        .rsplit_once('.')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    assert_eq!(
        check_with(&keys, &format!("{signed}.{signature}")),
        Err(Rejection::BadSignature)
    );
    assert_eq!(
        check_with(&keys, &other.token(HEADER, &claims(""))),
        Err(Rejection::BadSignature)
    );
    let unknown = key.token(&HEADER.replace("\"k\"", "\"q\""), &claims(""));
    assert_eq!(check_with(&keys, &unknown), Err(Rejection::UnknownKey));
    assert_eq!(check_with(&bundle(&[]), &token), Err(Rejection::UnknownKey));
}

#[test]
fn jv_keys_of_another_domain_are_never_used() {
    let (own, foreign) = (EcKey::new(), EcKey::new());
    let (own_keys, foreign_keys) = (
        bundle(&[(&own.public, "k", None)]),
        bundle(&[(&foreign.public, "k", None)]),
    );
    let authorities = |domain: &str| match domain {
        "example.org" => Some(&own_keys),
        "other.example" => Some(&foreign_keys),
        _ => None,
    };
    let for_domain = |domain: &str| claims("").replace("example.org", domain);
    let check = |key: &EcKey, domain: &str| {
        verify(&key.token(HEADER, &for_domain(domain)), authorities, "me", NOW).map(|_| ())
    };
    assert_eq!(check(&own, "example.org"), Ok(()));
    assert_eq!(check(&foreign, "other.example"), Ok(()));
    assert_eq!(check(&foreign, "example.org"), Err(Rejection::BadSignature));
    assert_eq!(check(&own, "nobody.example"), Err(Rejection::UnknownKey));
}

#[test]
fn jv_bad_subjects() {
    for sub in [
        "",
        "billing",
        "https://example.org/x",
        "spiffe://example.org",
        "spiffe://example.org/",
        "spiffe://example.org//x",
        "spiffe://example.org/../x",
        "spiffe://example.org:80/x",
        "spiffe://u@example.org/x",
        "spiffe://example.org/x?q",
        "spiffe://example.org/x#f",
    ] {
        let claims = claims("").replace(ID, sub);
        assert_eq!(check(HEADER, &claims), Err(Rejection::BadSubject), "{sub}");
    }
    let claims = claims("").replace(&format!(r#""sub":"{ID}","#), "");
    assert_eq!(check(HEADER, &claims), Err(Rejection::MissingClaim("sub")));
}

#[test]
fn jv_headers() {
    for good in [
        HEADER,
        r#"{"alg":"ES256","kid":"k","typ":"JOSE"}"#,
        r#"{"alg":"ES256","kid":"k"}"#,
        r#"{"alg":"ES256","typ":"JWT"}"#,
    ] {
        assert!(check(good, &claims("")).is_ok(), "{good}");
    }
    for bad in [
        r#"{"alg":"ES256","typ":"at+jwt"}"#,
        r#"{"alg":"ES256","typ":"jwt"}"#,
        r#"{"alg":"ES256","typ":"wit+jwt"}"#,
    ] {
        assert_eq!(check(bad, &claims("")), Err(Rejection::WrongType), "{bad}");
    }
    for bad in [
        r#"{"alg":"ES256","kid":"k","crit":["x"]}"#,
        r#"{"alg":"ES256","kid":"k","jku":"https://evil.example"}"#,
        r#"{"alg":"ES256","kid":"k","x5c":[]}"#,
        r#"{"alg":"ES256","kid":"k","other":1}"#,
    ] {
        assert_eq!(check(bad, &claims("")), Err(Rejection::HeaderNotAllowed), "{bad}");
    }
}

#[test]
fn jv_malformed_tokens() {
    let keys = bundle(&[]);
    for bad in [
        "",
        "a",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        r#"{"payload":"e30","signatures":[]}"#,
    ] {
        assert!(
            matches!(check_with(&keys, bad), Err(Rejection::Malformed(..))),
            "{bad}"
        );
    }
    for claims in ["[]", "1", "", r#"{"sub":1,"sub":2}"#] {
        assert!(
            matches!(check(HEADER, claims), Err(Rejection::Malformed(Part::Payload, _))),
            "{claims}"
        );
    }
}

#[test]
fn what_we_issue_has_exactly_three_headers_and_verifies() {
    let key = EcKey::new();
    let template = JwtSvidTemplate {
        spiffe_id: ID.parse().unwrap(),
        audiences: vec!["me".parse().unwrap()],
        issuer: "https://tabard.example".to_owned(),
        issued_at: NOW,
        expires_at: NOW.plus_secs(300),
        token: None,
    };
    let unsigned = template.unsigned(&key.header(TokenClass::JwtSvid));
    let signature = key.sign(unsigned.message()).unwrap();
    let token = unsigned.with_signature(&signature);
    let claims = check_with(&bundle(&[(&key.public, key.kid(), None)]), &token).unwrap();
    assert_eq!(claims.spiffe_id, template.spiffe_id);
    assert_eq!(claims.issued_at, Some(NOW));
    assert_eq!(claims.issuer.as_deref(), Some("https://tabard.example"));

    let header = token.split('.').next().unwrap();
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(header)
        .unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(
        header,
        serde_json::json!({"alg": "ES256", "kid": key.kid(), "typ": "JWT"})
    );
}

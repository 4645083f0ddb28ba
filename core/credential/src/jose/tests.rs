//! The frame and header of a JWS, with the attacks of RFC 8725 and the vector of RFC 7515 appendix A.3.

use super::*;
use crate::testing::EcKey;

const CLAIMS: &str = r#"{"iss":"x"}"#;
const CLASS: TokenClass = TokenClass::FederationAssertion;

fn verify(token: &str, keys: &VerifyingKeys) -> Result<Vec<u8>, Rejection> {
    Jws::parse(token, CLASS)?.verified_by_named(keys, CLASS)
}

fn header(key: &EcKey, members: &str) -> String {
    let kid = crate::SigningKey::kid(key);
    format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"JWT"{members}}}"#)
}

#[test]
fn the_es256_example_of_rfc_7515_verifies() {
    let jwk = Jwk::parse(include_bytes!(
        "../../../../testdata/vectors/rfc7515/a3-es256.jwk.json"
    ))
    .unwrap();
    let token = include_str!("../../../../testdata/vectors/rfc7515/a3-es256.jws").trim();
    let key = VerifyingKey::new(&jwk.key, None, Algorithm::Es256, TokenClass::Foreign).unwrap();
    let payload = Jws::parse(token, TokenClass::Foreign)
        .unwrap()
        .verified_by(&key)
        .unwrap();
    assert!(payload.starts_with(b"{\"iss\":\"joe\",\r\n"));
    let other = EcKey::new().verifying(TokenClass::Foreign);
    let jws = Jws::parse(token, TokenClass::Foreign).unwrap();
    assert_eq!(
        jws.verified_by_any(&other, TokenClass::Foreign),
        Err(Rejection::BadSignature)
    );
}

#[test]
fn the_thumbprint_of_rfc_7638_is_reproduced() {
    let jwk = Jwk::parse(include_bytes!(
        "../../../../testdata/vectors/rfc7638/3.1.jwk.json"
    ))
    .unwrap();
    let wanted = include_str!("../../../../testdata/vectors/rfc7638/3.1.thumbprint").trim();
    assert_eq!(jwk.thumbprint().to_string(), wanted);
}

#[test]
fn what_we_sign_we_verify_and_no_bit_may_change() {
    let key = EcKey::new();
    let keys = key.verifying(CLASS);
    let token = key.token(&header(&key, ""), CLAIMS);
    assert_eq!(verify(&token, &keys), Ok(CLAIMS.as_bytes().to_vec()));
    for place in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(verify(&changed, &keys).is_err(), "byte {place}");
    }
}

#[test]
fn no_token_chooses_a_weaker_algorithm() {
    let key = EcKey::new();
    let keys = key.verifying(CLASS);
    let kid = crate::SigningKey::kid(&key);
    for alg in ["none", "NONE", "HS256", "HS512", "EdDSA", "ES256K", "RSA1_5", ""] {
        let header = format!(r#"{{"alg":"{alg}","kid":"{kid}","typ":"JWT"}}"#);
        let token = key.token(&header, CLAIMS);
        assert_eq!(
            verify(&token, &keys),
            Err(Rejection::AlgorithmNotAllowed),
            "{alg}"
        );
        let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
        assert_eq!(
            verify(&unsigned, &keys),
            Err(Rejection::AlgorithmNotAllowed),
            "{alg}"
        );
    }
}

#[test]
fn hs256_with_the_public_key_as_secret_is_refused() {
    let key = EcKey::new();
    let kid = crate::SigningKey::kid(&key);
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let header = format!(r#"{{"alg":"HS256","kid":"{kid}","typ":"JWT"}}"#);
    let signed = format!("{}.{}", encode(header.as_bytes()), encode(CLAIMS.as_bytes()));
    let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &key.public.spki_der());
    let tag = aws_lc_rs::hmac::sign(&secret, signed.as_bytes());
    let token = format!("{signed}.{}", encode(tag.as_ref()));
    assert_eq!(
        verify(&token, &key.verifying(CLASS)),
        Err(Rejection::AlgorithmNotAllowed)
    );
}

#[test]
fn a_key_is_for_one_algorithm_and_one_class() {
    let key = EcKey::new();
    let kid = crate::SigningKey::kid(&key);
    let token = key.token(&format!(r#"{{"alg":"RS256","kid":"{kid}","typ":"JWT"}}"#), CLAIMS);
    assert_eq!(
        verify(&token, &key.verifying(CLASS)),
        Err(Rejection::AlgorithmMismatch {
            expected: Algorithm::Es256,
            found: Algorithm::Rs256,
        })
    );
    let token = key.token(&header(&key, ""), CLAIMS);
    assert_eq!(
        verify(&token, &key.verifying(TokenClass::JwtSvid)),
        Err(Rejection::UnknownKey)
    );
}

#[test]
fn header_members_that_steer_a_verifier_are_refused() {
    let key = EcKey::new();
    let keys = key.verifying(CLASS);
    let jwk = Jwk::bare(key.public.clone()).to_json();
    for member in [
        r#","crit":["exp"]"#.to_owned(),
        r#","crit":[]"#.to_owned(),
        r#","jku":"https://evil.example/jwks""#.to_owned(),
        r#","x5u":"https://evil.example/cert""#.to_owned(),
        r#","x5c":[]"#.to_owned(),
        r#","x5t":"AA""#.to_owned(),
        r#","b64":false"#.to_owned(),
        r#","zip":"DEF""#.to_owned(),
        r#","cty":"JWT""#.to_owned(),
        format!(r#","jwk":{jwk}"#),
    ] {
        let token = key.token(&header(&key, &member), CLAIMS);
        assert_eq!(
            verify(&token, &keys),
            Err(Rejection::HeaderNotAllowed),
            "{member}"
        );
    }
}

#[test]
fn a_kid_is_a_name_and_not_a_path() {
    let key = EcKey::new();
    let keys = key.verifying(CLASS);
    for kid in ["../../etc/passwd", "", "' OR 1=1 --", "\\u0000"] {
        let token = key.token(&format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"JWT"}}"#), CLAIMS);
        assert_eq!(verify(&token, &keys), Err(Rejection::UnknownKey), "{kid}");
    }
    let token = key.token(r#"{"alg":"ES256","typ":"JWT"}"#, CLAIMS);
    assert_eq!(verify(&token, &keys), Err(Rejection::UnknownKey));
}

#[test]
fn the_typ_of_another_class_is_refused() {
    let key = EcKey::new();
    for class in [
        TokenClass::AccessToken,
        TokenClass::DpopProof,
        TokenClass::JwtSvid,
        TokenClass::FederationAssertion,
        TokenClass::SecurityEvent,
        TokenClass::Logout,
    ] {
        for typ in [
            "at+jwt",
            "dpop+jwt",
            "secevent+jwt",
            "txntoken+jwt",
            "oauth-id-jag+jwt",
            "jwt",
            "",
        ] {
            if typ != class.typ() {
                let token = key.token(&format!(r#"{{"alg":"ES256","typ":"{typ}"}}"#), CLAIMS);
                assert_eq!(
                    Jws::parse(&token, class).unwrap_err(),
                    Rejection::WrongType,
                    "{class:?} {typ}"
                );
            }
        }
    }
    let bare = key.token(r#"{"alg":"ES256"}"#, CLAIMS);
    assert_eq!(
        Jws::parse(&bare, TokenClass::AccessToken).unwrap_err(),
        Rejection::WrongType
    );
}

#[test]
fn frames_and_encodings_that_are_not_canonical_are_refused() {
    let key = EcKey::new();
    let keys = key.verifying(CLASS);
    let token = key.token(&header(&key, ""), r#"{"iss":"xy"}"#);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (head, payload) = signed.split_once('.').unwrap();
    for bad in [
        String::new(),
        "..".to_owned(),
        head.to_owned(),
        signed.to_owned(),
        format!("{token}."),
        format!(".{token}"),
        format!("{head}.{payload}.{signature}.{signature}"),
        format!("{head}.{payload}=.{signature}"),
        format!("{head}.{payload}.{signature}=="),
        format!("{head}.{payload}.{signature}\n"),
        format!(" {token}"),
        format!("{head}.{payload}.{}", signature.replace(['-', '_'], "+")) + "+",
        format!(r#"{{"payload":"{payload}","signatures":[]}}"#),
    ] {
        assert!(
            matches!(verify(&bad, &keys), Err(Rejection::Malformed(..))),
            "{bad}: {:?}",
            verify(&bad, &keys)
        );
    }
}

#[test]
fn duplicate_members_of_a_header_are_refused() {
    let key = EcKey::new();
    for header in [
        r#"{"alg":"ES256","alg":"ES256","typ":"JWT"}"#,
        r#"{"alg":"ES256","\u0061lg":"ES256","typ":"JWT"}"#,
        r#"{"alg":"ES256","typ":"JWT","kid":"a","kid":"b"}"#,
        r#"["alg"]"#,
        r#"["ES256","JWT","k"]"#,
        r#"{"alg":1,"typ":"JWT"}"#,
        "",
    ] {
        let token = key.token(header, CLAIMS);
        assert!(
            matches!(
                Jws::parse(&token, CLASS),
                Err(Rejection::Malformed(Part::Header, _))
            ),
            "{header}"
        );
    }
}

#[test]
fn size_and_depth_are_bounded() {
    let key = EcKey::new();
    let large = key.token(
        &header(&key, ""),
        &format!(r#"{{"a":"{}"}}"#, "x".repeat(1 << 20)),
    );
    assert_eq!(
        Jws::parse(&large, CLASS).unwrap_err(),
        Rejection::TooLarge {
            limit: TOKEN_BYTES_MAX
        }
    );
    let deep = key.token(&header(&key, ""), &r#"{"act":"#.repeat(20));
    assert_eq!(
        Jws::parse(&deep, CLASS).unwrap_err(),
        Rejection::TooDeep { limit: 12 }
    );
}

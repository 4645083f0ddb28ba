//! Proofs: the examples of RFC 9449, our own builder, and every way to bend one.

use super::*;
use crate::SigningKey as _;
use crate::testing::{EcKey, NOW};
use identity::Secret;

fn target(uri: &str) -> RequestTarget {
    RequestTarget::parse(uri).unwrap()
}

fn post(target: &RequestTarget) -> ProofExpected<'_> {
    ProofExpected {
        method: "POST",
        target,
        access_token: None,
        nonce: NoncePolicy::Ignored,
    }
}

fn header(key: &EcKey) -> String {
    let jwk = Jwk::bare(key.public.clone()).to_json();
    format!(r#"{{"typ":"dpop+jwt","alg":"{}","jwk":{jwk}}}"#, key.algorithm())
}

fn claims(extra: &str) -> String {
    let iat = NOW.secs();
    format!(r#"{{"jti":"j1","htm":"POST","htu":"https://server.example.com/token","iat":{iat}{extra}}}"#)
}

fn check(proof: &str) -> Result<DpopProof, Rejection> {
    verify(proof, &post(&target("https://server.example.com/token")), NOW)
}

#[test]
fn a_key_that_was_read_before_verifies_proofs_with_its_own_header_only() {
    let (key, other) = (EcKey::new(), EcKey::new());
    let uri = target("https://server.example.com/token");
    let known = ProofKey::of(&key.token(&header(&key), &claims(""))).unwrap();
    let next = key.token(&header(&key), &claims(r#","nonce":"n""#));
    assert_eq!(
        known.verify(&next, &post(&uri), NOW).unwrap().key(),
        key.public.thumbprint()
    );
    for foreign in [
        other.token(&header(&other), &claims("")),
        key.token(&header(&other), &claims("")),
        key.token(&header(&key).replace("dpop+jwt", "at+jwt"), &claims("")),
    ] {
        let refused = known.verify(&foreign, &post(&uri), NOW);
        assert_eq!(refused.unwrap_err(), Rejection::UnknownKey);
    }
    let forged = other.token(&header(&key), &claims(""));
    assert_eq!(
        known.verify(&forged, &post(&uri), NOW).unwrap_err(),
        Rejection::BadSignature
    );
}

#[test]
fn the_examples_of_rfc_9449_verify() {
    let jkt = include_str!("../../../../testdata/vectors/rfc9449/6.1.jkt").trim();
    let request = include_str!("../../../../testdata/vectors/rfc9449/4.1.proof").trim();
    let proof = verify(
        request,
        &post(&target("https://server.example.com/token")),
        UnixTime::from_secs(1_562_262_620),
    )
    .unwrap();
    assert_eq!(proof.key().to_string(), jkt);

    let resource = include_str!("../../../../testdata/vectors/rfc9449/7.1.proof").trim();
    let token = include_str!("../../../../testdata/vectors/rfc9449/7.1.access_token").trim();
    let uri = target("https://resource.example.org/protectedresource");
    let expected = ProofExpected {
        method: "GET",
        target: &uri,
        access_token: Some(token),
        nonce: NoncePolicy::Ignored,
    };
    let proof = verify(resource, &expected, UnixTime::from_secs(1_562_262_620)).unwrap();
    assert_eq!(proof.key().to_string(), jkt);
    for other in [Some("another token"), None] {
        let expected = ProofExpected {
            access_token: other,
            ..expected
        };
        assert_eq!(
            verify(resource, &expected, UnixTime::from_secs(1_562_262_620)),
            Err(Rejection::WrongToken)
        );
    }
}

#[test]
fn our_own_proofs_verify_and_carry_the_caller() {
    let key = EcKey::new();
    let caller = Caller {
        kind: CallerKind::Child,
        exe: "/usr/bin/git".to_owned(),
        exe_digest: Digest::from_bytes([1; 32]),
        argv_digest: Digest::from_bytes([2; 32]),
        pid: 4711,
    };
    let nonces = NonceKey::new(&Secret::new([3; 32]), 1);
    let nonce = nonces.make(NOW);
    let uri = target("https://gateway.example:8443/mcp");
    let made = ProofClaims {
        jti: "abc",
        method: "POST",
        target: &uri,
        issued_at: NOW,
        access_token: Some("token"),
        nonce: Some(&nonce),
        caller: Some(caller.clone()),
    }
    .unsigned(&ProofClaims::header(&key.public, Algorithm::Es256));
    let signature = key.sign(made.message()).unwrap();
    let proof = made.with_signature(&signature);
    let expected = ProofExpected {
        access_token: Some("token"),
        nonce: NoncePolicy::Required(&nonces),
        ..post(&uri)
    };
    let proof = verify(&proof, &expected, NOW).unwrap();
    assert_eq!(
        (proof.key(), proof.caller()),
        (key.public.thumbprint(), Some(&caller))
    );
    assert_eq!(proof.nonce(), Some(nonce.as_str()));
    assert_eq!(proof.expires_at(), NOW.plus_secs(65));
}

#[test]
fn a_proof_has_its_window_and_no_more() {
    let key = EcKey::new();
    let uri = target("https://server.example.com/token");
    let at = |iat: UnixTime| {
        let claims = claims("").replace(&NOW.secs().to_string(), &iat.secs().to_string());
        verify(&key.token(&header(&key), &claims), &post(&uri), NOW)
    };
    assert!(at(NOW.plus_secs(5)).is_ok());
    assert_eq!(at(NOW.plus_secs(6)), Err(Rejection::NotYetValid { in_secs: 6 }));
    assert!(at(NOW.minus_secs(64)).is_ok());
    assert_eq!(at(NOW.minus_secs(65)), Err(Rejection::TooOld { by_secs: 0 }));
}

#[test]
fn a_replay_key_lives_as_long_as_the_proof_is_accepted() {
    let key = EcKey::new();
    let proof = key.token(&header(&key), &claims(""));
    let first = check(&proof).unwrap();
    let uri = target("https://server.example.com/token");
    assert!(verify(&proof, &post(&uri), first.expires_at().minus_secs(1)).is_ok());
    assert!(verify(&proof, &post(&uri), first.expires_at()).is_err());
}

#[test]
fn two_clients_with_one_jti_do_not_collide_and_one_client_cannot_disguise_a_replay() {
    let (a, b) = (EcKey::new(), EcKey::new());
    let proof = |key: &EcKey, claims: &str| check(&key.token(&header(key), claims)).unwrap().replay_key();
    assert_ne!(proof(&a, &claims("")), proof(&b, &claims("")));
    // The same jti with another spelling of the URI, or another unsigned-for member, is the same proof.
    let spelled = claims("").replace("https://server", "HTTPS://SERVER");
    assert_eq!(proof(&a, &claims("")), proof(&a, &spelled));
    assert_ne!(proof(&a, &claims("")), proof(&a, &claims("").replace("j1", "j2")));
}

#[test]
fn a_proof_for_another_request_is_refused() {
    let key = EcKey::new();
    for (from, to) in [
        ("POST", "GET"),
        ("POST", "post"),
        ("/token", "/tokens"),
        ("/token", "/token/"),
        ("https:", "http:"),
        ("server.", "evil."),
    ] {
        let proof = key.token(&header(&key), &claims("").replacen(from, to, 1));
        assert_eq!(check(&proof), Err(Rejection::WrongRequest), "{to}");
    }
    let with_query = claims("").replace("/token", "/token?x=1#f");
    assert!(check(&key.token(&header(&key), &with_query)).is_ok());
}

#[test]
fn headers_that_are_none_of_a_proof_are_refused() {
    let key = EcKey::new();
    let good = header(&key);
    assert!(check(&key.token(&good, &claims(""))).is_ok());
    for (from, to, rejection) in [
        ("dpop+jwt", "JWT", Rejection::WrongType),
        ("dpop+jwt", "at+jwt", Rejection::WrongType),
        ("ES256", "none", Rejection::AlgorithmNotAllowed),
        ("ES256", "HS256", Rejection::AlgorithmNotAllowed),
        ("ES256", "EdDSA", Rejection::AlgorithmNotAllowed),
        ("ES256", "ES384", Rejection::AlgorithmNotAllowed),
        ("ES256", "RS512", Rejection::AlgorithmNotAllowed),
        ("\"kty\"", "\"d\":\"AQ\",\"kty\"", Rejection::PrivateKeySent),
        (
            "{",
            "{\"jku\":\"https://evil.example\",",
            Rejection::HeaderNotAllowed,
        ),
        ("{", "{\"crit\":[],", Rejection::HeaderNotAllowed),
        ("\"EC\"", "\"oct\"", Rejection::Malformed(Part::Header, 0)),
    ] {
        let proof = key.token(&good.replacen(from, to, 1), &claims(""));
        assert_eq!(check(&proof), Err(rejection), "{to}");
    }
    let without = key.token(r#"{"typ":"dpop+jwt","alg":"ES256"}"#, &claims(""));
    assert_eq!(check(&without), Err(Rejection::UnknownKey));
    let other = key.token(&header(&EcKey::new()), &claims(""));
    assert_eq!(check(&other), Err(Rejection::BadSignature));
}

#[test]
fn claims_of_the_wrong_form_are_refused() {
    let key = EcKey::new();
    let iat = NOW.secs();
    for (from, to) in [
        ("\"j1\"", "\"\"".to_owned()),
        ("\"j1\"", format!("\"{}\"", "x".repeat(JTI_BYTES_MAX + 1))),
        ("\"j1\"", "1".to_owned()),
        (&*iat.to_string(), format!("\"{iat}\"")),
        (&*iat.to_string(), format!("{iat}.5")),
        (&*iat.to_string(), "1e10".to_owned()),
        (&*iat.to_string(), u64::MAX.to_string()),
        ("{", format!("{{\"iat\":{iat},")),
        ("{", "{\"x\":{\"a\":1,\"a\":2},".to_owned()),
        ("{", "{\"tabard_caller\":{\"kind\":\"agent\"},".to_owned()),
    ] {
        let proof = key.token(&header(&key), &claims("").replacen(from, &to, 1));
        assert!(
            matches!(
                check(&proof),
                Err(Rejection::Malformed(Part::Payload, _) | Rejection::BadClaim(_))
            ),
            "{to}: {:?}",
            check(&proof)
        );
    }
    assert!(check(&key.token(&header(&key), &claims(r#","other":{"a":1}"#))).is_ok());
    assert!(matches!(
        check(&key.token(&header(&key), &claims(r#","exp":1"#))),
        Err(Rejection::Expired { .. })
    ));
}

#[test]
fn a_nonce_of_another_server_or_none_is_asked_for_again() {
    let key = EcKey::new();
    let (own, other) = (
        NonceKey::new(&Secret::new([1; 32]), 1),
        NonceKey::new(&Secret::new([1; 32]), 2),
    );
    let uri = target("https://server.example.com/token");
    let expected = ProofExpected {
        nonce: NoncePolicy::Required(&own),
        ..post(&uri)
    };
    let with = |nonce: &str| {
        let proof = key.token(&header(&key), &claims(&format!(r#","nonce":"{nonce}""#)));
        verify(&proof, &expected, NOW)
    };
    assert!(with(&own.make(NOW)).is_ok());
    assert_eq!(with(&other.make(NOW)), Err(Rejection::NonceNeeded));
    assert_eq!(with(&own.make(NOW.minus_secs(90))), Err(Rejection::NonceNeeded));
    let without = verify(&key.token(&header(&key), &claims("")), &expected, NOW);
    assert_eq!(without, Err(Rejection::NonceNeeded));
}

//! One function for each parser that sees bytes of strangers: whatever they are, it returns. Run by the targets under
//! `fuzz/` with new inputs and by `tests/corpus.rs` with the kept ones.

use crate::dpop::{NoncePolicy, ProofExpected, RequestTarget};
use crate::x509_svid::PeerRole;
use crate::{
    AccessTokenClaims, AgentTask, Algorithm, HeaderSegment, Jwk, Jwks, Jws, JwtSvidClaims, TokenClass,
    TokenExchangeForm, TrustBundle, TrustRoots, VerifyingKeys, csr, dpop, jwt_svid, webauthn, x509_svid,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identity::{TrustDomain, UnixTime};

/// When the examples of RFC 9449 were made, so that those seeds get far.
const NOW: UnixTime = UnixTime::from_secs(1_562_262_616);

/// A passkey's public key whose private half nobody kept.
const KEY: [u8; 77] = [
    165, 1, 2, 3, 38, 32, 1, 33, 88, 32, 55, 121, 115, 180, 29, 39, 238, 32, 18, 41, 111, 133, 88, 252, 3,
    38, 168, 5, 52, 234, 79, 46, 178, 8, 138, 143, 249, 150, 254, 130, 217, 0, 34, 88, 32, 133, 199, 0, 88,
    148, 50, 57, 180, 208, 212, 151, 181, 160, 160, 25, 42, 63, 165, 67, 3, 244, 71, 48, 235, 24, 63, 2, 151,
    78, 188, 73, 218,
];

/// Takes a function of this module.
pub type Target = fn(&[u8]);

/// Every target with the name of its corpus.
pub const TARGETS: [(&str, Target); 10] = [
    ("jws", jws),
    ("access_token", access_token),
    ("dpop", dpop),
    ("jwt_svid", jwt_svid),
    ("jwks", jwks),
    ("agent_task", agent_task),
    ("x509_chain", x509_chain),
    ("csr", csr),
    ("exchange_form", exchange_form),
    ("webauthn", webauthn),
];

/// Frame and header of a compact JWS, as each class.
pub fn jws(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    for class in [
        TokenClass::AccessToken,
        TokenClass::DpopProof,
        TokenClass::JwtSvid,
        TokenClass::FederationAssertion,
        TokenClass::Foreign,
        TokenClass::SecurityEvent,
        TokenClass::Logout,
    ] {
        if let Ok(jws) = Jws::parse(text, class) {
            assert!(class.accepts_typ(jws.header().typ.as_deref()));
            assert!(jws.header().jwk.is_none() || class == TokenClass::DpopProof);
        }
    }
}

/// Claims of an access token: what is read is written the same.
pub fn access_token(bytes: &[u8]) {
    let Ok(claims) = AccessTokenClaims::parse_unverified(bytes) else {
        return;
    };
    let header = HeaderSegment::new(Algorithm::Es256, "k", TokenClass::AccessToken);
    let unsigned = claims.unsigned(&header);
    let payload = unsigned.message().rsplit(|byte| *byte == b'.').next();
    let payload = payload
        .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
        .unwrap_or_default();
    assert_eq!(AccessTokenClaims::parse_unverified(&payload), Ok(claims));
}

/// A whole proof, signature included.
pub fn dpop(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(target) = RequestTarget::parse(text) {
        assert_eq!(RequestTarget::parse(target.as_str()), Ok(target));
    }
    let Ok(target) = RequestTarget::parse("https://server.example.com/token") else {
        return;
    };
    let expected = ProofExpected {
        method: "POST",
        target: &target,
        access_token: None,
        nonce: NoncePolicy::Ignored,
    };
    if let Ok(proof) = dpop::verify(text, &expected, NOW) {
        assert!(proof.issued_at() <= proof.expires_at());
    }
}

/// A JWT-SVID that nobody has signed, and claims alone.
pub fn jwt_svid(bytes: &[u8]) {
    if let Ok(claims) = JwtSvidClaims::parse_unverified(bytes) {
        assert!(!claims.audiences.is_empty() && !claims.spiffe_id.path().is_empty());
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let nothing = VerifyingKeys::default();
        assert!(jwt_svid::verify(text, |_| Some(&nothing), "me", NOW).is_err());
    }
}

/// Key sets and bundles: what is read is written the same.
pub fn jwks(bytes: &[u8]) {
    if let Ok(set) = Jwks::parse(bytes) {
        assert_eq!(Jwks::parse(set.to_json().as_bytes()).as_ref(), Ok(&set));
        set.verifying_keys(TokenClass::Foreign, &Algorithm::ALL);
    }
    if let Ok(jwk) = Jwk::parse(bytes) {
        assert_eq!(Jwk::parse(jwk.to_json().as_bytes()), Ok(jwk));
    }
    let Ok(domain) = "example.org".parse::<TrustDomain>() else {
        return;
    };
    if let Ok(bundle) = TrustBundle::parse(domain.clone(), bytes) {
        let again = TrustBundle::parse(domain, bundle.to_json().as_bytes());
        assert_eq!(
            again.map(|again| again.jwt_authorities),
            Ok(bundle.jwt_authorities)
        );
    }
}

/// Authorization details: what is read is written the same, and narrows itself.
pub fn agent_task(bytes: &[u8]) {
    if let Ok(details) = AgentTask::parse_list(bytes) {
        assert!(details.iter().all(|detail| detail.narrows(detail) == Ok(())));
        let again = AgentTask::list_to_json(&details);
        assert_eq!(AgentTask::parse_list(again.as_bytes()), Ok(details));
    }
}

/// A leaf, and the same bytes as a root.
pub fn x509_chain(bytes: &[u8]) {
    let Ok(domain) = "example.org".parse::<TrustDomain>() else {
        return;
    };
    let roots = TrustRoots::new(domain.clone(), &[bytes]).or_else(|_| TrustRoots::new::<&[u8]>(domain, &[]));
    if let Ok(roots) = roots {
        let verified = x509_svid::verify(&[bytes.into()], |_| Some(&roots), PeerRole::Client, NOW);
        assert!(verified.is_err(), "a leaf does not vouch for itself");
    }
}

/// A certificate request.
pub fn csr(bytes: &[u8]) {
    if let Ok(proven) = csr::verify(bytes) {
        assert!(!proven.public_key().spki_der().is_empty());
    }
}

/// A token exchange request.
pub fn exchange_form(bytes: &[u8]) {
    if let Ok(form) = TokenExchangeForm::parse(bytes) {
        assert!(!form.subject.token.expose().is_empty());
    }
}

/// What a browser hands over in a ceremony: the same bytes as an attestation object, as authenticator data with its
/// signature, and as client data.
pub fn webauthn(bytes: &[u8]) {
    use webauthn::{AssertionResponse, KnownPasskey, RelyingParty, WebauthnError, assertion, registration};
    let party = RelyingParty {
        id: "localhost",
        origin: "https://localhost:7444",
    };
    let challenge = [9; 32];
    // What the browser would have said, so that the rest is reached.
    let client = |kind: &str| {
        let challenge = URL_SAFE_NO_PAD.encode(challenge);
        format!(
            r#"{{"type":"webauthn.{kind}","challenge":"{challenge}","origin":"{}"}}"#,
            party.origin
        )
    };
    let show = |key: &[u8], client: &[u8]| {
        let known = KnownPasskey {
            id: b"id1",
            key,
            counter: 0,
            may_be_copied: false,
        };
        let response = AssertionResponse {
            client_data_json: client,
            authenticator_data: bytes,
            signature: bytes,
        };
        assertion(&party, &challenge, &known, &response)
    };
    if let Ok(new) = registration(&party, &challenge, client("create").as_bytes(), bytes) {
        let new = new.claims();
        assert!(!new.id.is_empty());
        // The key that was taken from inside is read again at each login: it has to be whole.
        let shown = show(&new.key, client("get").as_bytes());
        assert!(!matches!(
            shown,
            Err(WebauthnError::Key | WebauthnError::Malformed("the public key"))
        ));
    }
    assert!(
        show(&KEY, client("get").as_bytes()).is_err(),
        "nobody signed that"
    );
    assert!(show(&KEY, bytes).is_err());
    assert!(registration(&party, &challenge, bytes, &[]).is_err());
}

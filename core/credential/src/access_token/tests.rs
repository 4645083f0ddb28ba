//! Access tokens: what we write we read, and what we would not write is refused.

use super::*;
use crate::SigningKey as _;
use crate::testing::{EcKey, NOW};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identity::{ActorKind, LogId};
use proptest::prelude::*;
use serde_json::Value;

const ISSUER: &str = "https://tabard.example";

fn actor(kind: ActorKind, issuer: &str, id: &str) -> Actor {
    Actor {
        kind,
        issuer: issuer.to_owned(),
        id: id.to_owned(),
    }
}

pub(crate) fn claims(depth: usize) -> AccessTokenClaims {
    let mut chain = ActorChain::starting_with(actor(ActorKind::User, "https://idp.example", "user-1"));
    for hop in 1..depth {
        let id = format!("spiffe://example.org/acme/agent/a{hop}");
        chain = chain.extended(actor(ActorKind::AiAgent, ISSUER, &id)).unwrap();
    }
    AccessTokenClaims {
        issuer: ISSUER.to_owned(),
        client_id: chain.current().unwrap().id.clone(),
        chain,
        audience: "https://api.example/invoices".parse().unwrap(),
        issued_at: NOW,
        valid_from: NOW,
        expires_at: NOW.plus_secs(300),
        token: TokenId::random(NOW, LogId(1), 1),
        family: FamilyId::random(NOW, LogId(1), 2),
        binding: Binding::Key(Thumbprint::from_bytes([7; 32])),
        details: AgentTask::parse_list(
            br#"[{"type":"agent_task","purpose":"reconcile","actions":["read"],"constraints":{"max_calls":200}}]"#,
        )
        .unwrap(),
        scope: Some("invoices.read".to_owned()),
        revision: Revision(42),
        entry: EntryPlace { origin: "example.org/log/1".to_owned(), index: 7 },
        agent: AgentId::mint(NOW, LogId(1), 3),
        instance: InstanceId::random(NOW, LogId(1), 4),
        node: Some(NodeId::mint(NOW, LogId(1), 5)),
        org: OrgId::mint(NOW, LogId(1), 6),
        tenant: Some("acme".parse().unwrap()),
        task: Some(TaskId::mint(NOW, LogId(1), 7)),
        assurance: Assurance { node: 1, launch: 3, code: 2, signer: 0 },
        contract: Digest::from_bytes([9; 32]),
        decision: DecisionId::random(NOW, LogId(1), 8),
    }
}

fn signed(key: &EcKey, claims: &AccessTokenClaims) -> String {
    let unsigned = claims.unsigned(&key.header(TokenClass::AccessToken));
    let signature = key.sign(unsigned.message()).unwrap();
    unsigned.with_signature(&signature)
}

fn check(key: &EcKey, token: &str, now: UnixTime) -> Result<AccessTokenClaims, Rejection> {
    let audiences = ["https://api.example/invoices".parse().unwrap()];
    let expected = Expected {
        issuer: ISSUER,
        audiences: &audiences,
    };
    verify(token, &key.verifying(TokenClass::AccessToken), &expected, now).map(Verified::into_claims)
}

/// Signs claims after somebody changed their JSON.
fn forged(key: &EcKey, change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> String {
    let wire = serde_json::to_value(wire::to_wire(&claims(3))).unwrap();
    let Value::Object(mut members) = wire else {
        panic!("claims are an object")
    };
    change(&mut members);
    let header = format!(r#"{{"alg":"ES256","kid":"{}","typ":"at+jwt"}}"#, key.kid());
    key.token(&header, &serde_json::to_string(&members).unwrap())
}

#[test]
fn what_we_issue_verifies_and_reads_back() {
    let key = EcKey::new();
    for depth in 1..=8 {
        let claims = claims(depth);
        let token = signed(&key, &claims);
        assert!(
            token.len() < 4096,
            "a token of depth {depth} has {} bytes",
            token.len()
        );
        assert_eq!(check(&key, &token, NOW), Ok(claims));
    }
}

#[test]
fn whoever_has_a_token_can_tell_the_digest_that_its_entry_holds() {
    let claims = claims(3);
    let token = signed(&EcKey::new(), &claims);
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let place = r#""entry":{"log":"example.org/log/1","index":7}"#;
    let text = String::from_utf8(payload).unwrap();
    assert!(text.contains(place), "{text}");
    let without = text.replace(place, r#""entry":{"log":"","index":0}"#);
    assert_eq!(claims.digest(), Digest::from_bytes(sha256(without.as_bytes())));
    let other = AccessTokenClaims {
        revision: Revision(43),
        ..claims.clone()
    };
    assert_ne!(claims.digest(), other.digest());
}

#[test]
fn the_wire_form_is_that_of_the_standards() {
    let wire = serde_json::to_value(wire::to_wire(&claims(3))).unwrap();
    assert_eq!(wire["aud"], "https://api.example/invoices");
    assert_eq!(
        (&wire["sub"], &wire["sub_profile"]),
        (&"user-1".into(), &"user".into())
    );
    assert_eq!(wire["sub_iss"], "https://idp.example");
    assert_eq!(wire["act"]["sub"], "spiffe://example.org/acme/agent/a2");
    assert_eq!(wire["act"]["sub_profile"], "ai_agent");
    assert_eq!(wire["act"]["act"]["sub"], "spiffe://example.org/acme/agent/a1");
    assert_eq!(wire["cnf"]["jkt"].as_str().map(str::len), Some(43));
    assert_eq!(
        wire["entry"],
        serde_json::json!({"log": "example.org/log/1", "index": 7})
    );
    assert_eq!(wire["authorization_details"][0]["type"], "agent_task");
    assert_eq!(wire["rev"], 42);
    assert_eq!(wire["asr"], serde_json::json!([1, 3, 2, 0]));
    let bound = AccessTokenClaims {
        binding: Binding::Certificate(Thumbprint::from_bytes([1; 32])),
        ..claims(1)
    };
    let wire = serde_json::to_value(wire::to_wire(&bound)).unwrap();
    assert!(wire["cnf"]["x5t#S256"].is_string() && wire.get("act").is_none());
}

#[test]
fn times_are_judged_with_five_seconds_of_skew() {
    let key = EcKey::new();
    let token = signed(&key, &claims(2));
    assert!(check(&key, &token, NOW.plus_secs(304)).is_ok());
    assert_eq!(
        check(&key, &token, NOW.plus_secs(305)),
        Err(Rejection::Expired { by_secs: 5 })
    );
    assert!(check(&key, &token, NOW.minus_secs(5)).is_ok());
    assert_eq!(
        check(&key, &token, NOW.minus_secs(6)),
        Err(Rejection::NotYetValid { in_secs: 6 })
    );
}

#[test]
fn a_token_is_good_for_one_issuer_and_one_audience() {
    let key = EcKey::new();
    let foreign = AccessTokenClaims {
        audience: "https://other.example".parse().unwrap(),
        ..claims(2)
    };
    assert_eq!(
        check(&key, &signed(&key, &foreign), NOW),
        Err(Rejection::WrongAudience)
    );
    for issuer in [
        "https://tabard.example/",
        "https://tabard.example/org",
        "https://Tabard.example",
    ] {
        let other = AccessTokenClaims {
            issuer: issuer.to_owned(),
            ..claims(1)
        };
        assert_eq!(
            check(&key, &signed(&key, &other), NOW),
            Err(Rejection::WrongIssuer),
            "{issuer}"
        );
    }
    assert_eq!(
        check(&EcKey::new(), &signed(&key, &claims(2)), NOW),
        Err(Rejection::UnknownKey)
    );
}

#[test]
fn claims_that_we_would_not_write_are_refused() {
    let key = EcKey::new();
    assert!(check(&key, &forged(&key, |_| {}), NOW).is_ok());
    let changes: [(&str, Value); 26] = [
        ("aud", serde_json::json!(["https://api.example/invoices", "x"])),
        ("aud", serde_json::json!(["https://api.example/invoices"])),
        ("exp", "1800000300".into()),
        ("exp", 1_800_000_300.5.into()),
        ("exp", u64::MAX.into()),
        ("exp", 253_402_300_800_u64.into()),
        ("exp", Value::Null),
        ("exp", 1_800_003_601_u64.into()),
        ("exp", 1_800_000_000_u64.into()),
        ("nbf", "0".into()),
        ("iat", (-1).into()),
        ("may_act", serde_json::json!({})),
        ("cnf", serde_json::json!({})),
        ("cnf", serde_json::json!({"jkt": "AAAA"})),
        ("cnf", serde_json::json!({"jwk": {}})),
        ("asr", serde_json::json!([6, 0, 0, 0])),
        ("asr", serde_json::json!([1, 0, 0])),
        ("entry", serde_json::json!(["example.org/log/1", 7])),
        ("act", serde_json::json!(["i", "s", "ai_agent"])),
        ("sub", "".into()),
        ("sub_iss", ISSUER.into()),
        ("act", serde_json::json!({"sub": "admin@example.com"})),
        (
            "act",
            serde_json::json!({"iss": "i", "sub": "s", "sub_profile": "ai_agent", "exp": 1}),
        ),
        (
            "act",
            serde_json::json!({"iss": "i", "sub": "s", "sub_profile": "root"}),
        ),
        ("authorization_details", serde_json::json!([{"type": "payment"}])),
        ("tsk", "dec_00000000000000000000000000".into()),
    ];
    for (name, value) in changes {
        let shown = value.to_string();
        let token = forged(&key, |members| {
            members.insert(name.to_owned(), value);
        });
        assert!(
            matches!(
                check(&key, &token, NOW),
                Err(Rejection::Malformed(Part::Payload, _) | Rejection::BadClaim(_))
            ),
            "{name} = {shown}: {:?}",
            check(&key, &token, NOW)
        );
    }
    for name in [
        "iss",
        "sub",
        "aud",
        "client_id",
        "iat",
        "nbf",
        "exp",
        "jti",
        "fam",
        "cnf",
        "rev",
        "entry",
        "agt",
    ] {
        let token = forged(&key, |members| {
            members.remove(name);
        });
        assert!(check(&key, &token, NOW).is_err(), "{name} is mandatory");
    }
}

#[test]
fn a_hop_too_many_a_loop_and_the_shapes_of_rfc_8693_are_refused() {
    let key = EcKey::new();
    let hop = |id: usize, inner: Option<Value>| {
        let mut hop = serde_json::json!({"iss": "i", "sub": format!("s{id}"), "sub_profile": "ai_agent"});
        if let Some(inner) = inner {
            hop["act"] = inner;
        }
        hop
    };
    let nested = |ids: &mut dyn Iterator<Item = usize>| ids.fold(None, |inner, id| Some(hop(id, inner)));
    let with_act = |act: Value| {
        forged(&key, |members| {
            members.insert("act".to_owned(), act);
        })
    };
    let seven = nested(&mut (1..=7)).unwrap();
    assert!(check(&key, &with_act(seven), NOW).is_ok());
    for bad in [
        nested(&mut (1..=8)).unwrap(),
        nested(&mut [1, 2, 1].into_iter()).unwrap(),
        // Section 4.1 figures 5 and 6, appendix A.2: hops without issuer or profile.
        serde_json::json!({"sub": "admin@example.com"}),
        serde_json::json!({"sub": "https://service16.example.com", "act": {"sub": "https://service77.example.com"}}),
        serde_json::json!({"iss": "https://original-issuer.example.net", "sub": "bdc@example.net"}),
    ] {
        assert!(check(&key, &with_act(bad.clone()), NOW).is_err(), "{bad}");
    }
}

#[test]
fn a_duplicate_claim_is_refused_at_any_level() {
    let key = EcKey::new();
    let good = serde_json::to_string(&wire::to_wire(&claims(2))).unwrap();
    let header = format!(r#"{{"alg":"ES256","kid":"{}","typ":"at+jwt"}}"#, key.kid());
    assert!(check(&key, &key.token(&header, &good), NOW).is_ok());
    for (from, to) in [
        ("{\"iss\"", "{\"exp\":1,\"iss\""),
        (
            "\"jkt\"",
            "\"jkt\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"jkt\"",
        ),
        ("\"index\":7", "\"index\":7,\"index\":8"),
        ("\"act\":{", "\"act\":{\"sub\":\"x\","),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good);
        assert!(
            matches!(
                check(&key, &key.token(&header, &bad), NOW),
                Err(Rejection::Malformed(Part::Payload, _))
            ),
            "{to}"
        );
    }
}

#[test]
fn other_classes_of_token_are_no_access_tokens() {
    let key = EcKey::new();
    let payload = serde_json::to_string(&wire::to_wire(&claims(2))).unwrap();
    for typ in [
        "JWT",
        "dpop+jwt",
        "txntoken+jwt",
        "oauth-id-jag+jwt",
        "application/at+jwt",
        "AT+JWT",
    ] {
        let token = key.token(
            &format!(r#"{{"alg":"ES256","kid":"{}","typ":"{typ}"}}"#, key.kid()),
            &payload,
        );
        assert_eq!(check(&key, &token, NOW), Err(Rejection::WrongType), "{typ}");
    }
}

proptest! {
    #[test]
    fn claims_round_trip(
        depth in 1_usize..=8, life in 1_u64..=LIFETIME_SECS_MAX, revision: u64, index: u64, random: u64,
        scope in proptest::option::of("[!#-~]{1,40}"), certificate: bool, bytes: [u8; 32],
        node in 0_u8..=5, launch in 0_u8..=3, code in 0_u8..=3, signer in 0_u8..=2, sparse: bool,
    ) {
        let mut claims = claims(depth);
        claims.expires_at = claims.issued_at.plus_secs(life);
        claims.revision = Revision(revision);
        claims.entry.index = index;
        claims.token = TokenId::random(NOW, LogId(3), random);
        claims.scope = scope;
        claims.binding = if certificate {
            Binding::Certificate(Thumbprint::from_bytes(bytes))
        } else {
            Binding::Key(Thumbprint::from_bytes(bytes))
        };
        claims.assurance = Assurance { node, launch, code, signer };
        if sparse {
            claims.node = None;
            claims.tenant = None;
            claims.task = None;
            claims.details.clear();
        }
        let payload = serde_json::to_vec(&wire::to_wire(&claims)).unwrap();
        prop_assert_eq!(AccessTokenClaims::parse_unverified(&payload), Ok(claims));
    }
}

//! Both ceremonies with keys of each algorithm, and every rule broken once.

use super::*;
use crate::hash::sha256;
use crate::testing::RsaKey;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const PARTY: RelyingParty<'_> = RelyingParty {
    id: "localhost",
    origin: "https://localhost:7444",
};
const CHALLENGE: [u8; 32] = [9; 32];
const PRESENT_VERIFIED: u8 = 0b101;

enum Key {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(Box<RsaKey>),
}

impl Key {
    fn all() -> [Self; 3] {
        [
            Self::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap()),
            Self::EdDsa(Ed25519KeyPair::generate().unwrap()),
            Self::Rs256(Box::new(RsaKey::new())),
        ]
    }
    fn cose(&self) -> Vec<u8> {
        match self {
            Self::Es256(pair) => {
                let point = pair.public_key().as_ref();
                [
                    &[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32],
                    &point[1..33],
                    &[0x22, 0x58, 32],
                    &point[33..65],
                ]
                .concat()
            }
            Self::EdDsa(pair) => [
                &[0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, 0x58, 32],
                pair.public_key().as_ref(),
            ]
            .concat(),
            Self::Rs256(key) => {
                let (n, e) = key.public.modulus_and_exponent().unwrap();
                let length = u16::try_from(n.len()).unwrap().to_be_bytes();
                [
                    &[0xa4, 1, 3, 3, 0x39, 1, 0, 0x20, 0x59][..],
                    &length,
                    n,
                    &[0x21, 0x40 + u8::try_from(e.len()).unwrap()],
                    e,
                ]
                .concat()
            }
        }
    }
    #[expect(clippy::disallowed_methods, reason = "tests make keys")]
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Es256(pair) => pair
                .sign(&SystemRandom::new(), message)
                .unwrap()
                .as_ref()
                .to_vec(),
            Self::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Rs256(key) => key.sign_pkcs1(message),
        }
    }
}

fn client(kind: &str, origin: &str, more: &str) -> Vec<u8> {
    let challenge = URL_SAFE_NO_PAD.encode(CHALLENGE);
    format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}"{more}}}"#).into_bytes()
}

fn data(flags: u8, counter: u32, attested: &[u8]) -> Vec<u8> {
    let mut data = sha256(PARTY.id.as_bytes()).to_vec();
    data.push(flags);
    data.extend(counter.to_be_bytes());
    data.extend(attested);
    data
}

fn attested(key: &Key) -> Vec<u8> {
    [&[0; 16][..], &[0, 3], b"id1", &key.cose()].concat()
}

fn object(format: &str, statement: &[u8], data: &[u8]) -> Vec<u8> {
    let mut object = vec![0xa3, 0x63];
    object.extend(b"fmt");
    object.push(0x60 + u8::try_from(format.len()).unwrap());
    object.extend(format.as_bytes());
    object.push(0x67);
    object.extend(b"attStmt");
    object.extend(statement);
    object.push(0x68);
    object.extend(b"authData");
    // The shortest head, as authenticators write it.
    if let Ok(length) = u8::try_from(data.len()) {
        object.extend([0x58, length]);
    } else {
        object.push(0x59);
        object.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    }
    object.extend(data);
    object
}

fn register(client: &[u8], object: &[u8]) -> Result<NewPasskey, WebauthnError> {
    registration(&PARTY, &CHALLENGE, client, object).map(Verified::into_claims)
}

fn enrol(key: &Key) -> NewPasskey {
    let client = client("webauthn.create", PARTY.origin, "");
    register(&client, &object("none", &[0xa0], &data(0x45, 7, &attested(key)))).unwrap()
}

fn show(new: &NewPasskey, key: &Key, client: &[u8], data: &[u8]) -> Result<Assertion, WebauthnError> {
    let signature = key.sign(&[data, &sha256(client)].concat());
    let known = KnownPasskey {
        id: &new.id,
        key: &new.key,
        counter: new.counter,
        may_be_copied: new.may_be_copied,
    };
    let response = AssertionResponse {
        client_data_json: client,
        authenticator_data: data,
        signature: &signature,
    };
    assertion(&PARTY, &CHALLENGE, &known, &response).map(Verified::into_claims)
}

#[test]
fn a_passkey_of_each_algorithm_is_enrolled_and_used() {
    for key in Key::all() {
        let new = enrol(&key);
        assert_eq!(
            (new.id.as_slice(), new.counter, new.may_be_copied),
            (&b"id1"[..], 7, false)
        );
        let client = client("webauthn.get", PARTY.origin, r#","crossOrigin":false,"other":1"#);
        let shown = show(&new, &key, &client, &data(PRESENT_VERIFIED, 8, &[])).unwrap();
        assert_eq!((shown.counter, shown.credential), (8, new.id));
    }
}

#[test]
fn each_rule_of_an_assertion_holds() {
    let [key, other, _] = Key::all();
    let new = enrol(&key);
    let good = client("webauthn.get", PARTY.origin, "");
    let fine = data(PRESENT_VERIFIED, 8, &[]);
    assert!(show(&new, &key, &good, &fine).is_ok());
    let challenge = URL_SAFE_NO_PAD.encode([8; 32]);
    let stale = String::from_utf8(good.clone())
        .unwrap()
        .replace(&URL_SAFE_NO_PAD.encode(CHALLENGE), &challenge);
    for (client, error) in [
        (
            client("webauthn.create", PARTY.origin, ""),
            WebauthnError::Ceremony,
        ),
        (
            client("webauthn.get", "https://localhost:7445", ""),
            WebauthnError::Origin,
        ),
        (
            client("webauthn.get", "https://evil.example", ""),
            WebauthnError::Origin,
        ),
        (
            client("webauthn.get", PARTY.origin, r#","crossOrigin":true"#),
            WebauthnError::Framed,
        ),
        (
            client(
                "webauthn.get",
                PARTY.origin,
                r#","topOrigin":"https://evil.example""#,
            ),
            WebauthnError::Framed,
        ),
        (stale.into_bytes(), WebauthnError::Challenge),
        (
            client("webauthn.get", PARTY.origin, r#","type":"webauthn.get""#),
            WebauthnError::Malformed("the client data"),
        ),
        (b"[]".to_vec(), WebauthnError::Malformed("the client data")),
    ] {
        assert_eq!(show(&new, &key, &client, &fine), Err(error));
    }
    let mut elsewhere = data(PRESENT_VERIFIED, 8, &[]);
    elsewhere[0] ^= 1;
    for (data, error) in [
        (elsewhere, WebauthnError::RelyingParty),
        (data(0b001, 8, &[]), WebauthnError::NotVerified),
        (data(0b100, 8, &[]), WebauthnError::NotVerified),
        (data(PRESENT_VERIFIED, 7, &[]), WebauthnError::Cloned),
        (data(PRESENT_VERIFIED, 0, &[]), WebauthnError::Cloned),
        (data(PRESENT_VERIFIED | 0b1000, 8, &[]), WebauthnError::Changed),
        (
            data(PRESENT_VERIFIED | 0b1_0000, 8, &[]),
            WebauthnError::Malformed("the authenticator data"),
        ),
        (
            data(PRESENT_VERIFIED, 8, &[0]),
            WebauthnError::Malformed("the authenticator data"),
        ),
    ] {
        assert_eq!(show(&new, &key, &good, &data), Err(error));
    }
    assert_eq!(show(&new, &other, &good, &fine), Err(WebauthnError::Signature));
}

#[test]
fn each_rule_of_a_registration_holds() {
    let [key, other, _] = Key::all();
    let good = client("webauthn.create", PARTY.origin, "");
    let whole = data(0x45, 1, &attested(&key));
    assert!(register(&good, &object("none", &[0xa0], &whole)).is_ok());
    // Self attestation is verified; with a certificate, or by another key, it is not taken.
    let packed = |signer: &Key, algorithm: u8| {
        let signature = signer.sign(&[whole.as_slice(), &sha256(&good)].concat());
        let mut statement = vec![0xa2, 0x63];
        statement.extend(b"alg");
        statement.push(algorithm);
        statement.push(0x63);
        statement.extend(b"sig");
        statement.extend([0x58, u8::try_from(signature.len()).unwrap()]);
        statement.extend(signature);
        object("packed", &statement, &whole)
    };
    assert!(register(&good, &packed(&key, 0x26)).is_ok());
    assert_eq!(
        register(&good, &packed(&other, 0x26)),
        Err(WebauthnError::Signature)
    );
    assert_eq!(
        register(&good, &packed(&key, 0x27)),
        Err(WebauthnError::Attestation)
    );
    let certified = [&[0xa1, 0x63][..], b"x5c", &[0x80]].concat();
    for (object, error) in [
        (object("packed", &certified, &whole), WebauthnError::Attestation),
        (object("tpm", &[0xa0], &whole), WebauthnError::Attestation),
        (object("none", &[0xa1, 1, 1], &whole), WebauthnError::Attestation),
        (
            object("none", &[0xa0], &data(PRESENT_VERIFIED, 1, &[])),
            WebauthnError::Malformed("the attestation object"),
        ),
        (
            object("none", &[0xa0], &data(0x41, 1, &attested(&key))),
            WebauthnError::NotVerified,
        ),
    ] {
        assert_eq!(register(&good, &object), Err(error));
    }
    // A key with one parameter more, on another curve, or of an algorithm that nobody asked for.
    let mut odd = key.cose();
    odd[6] = 2;
    let mut more = key.cose();
    more[0] = 0xa6;
    more.extend([0x23, 0]);
    let mut es384 = key.cose();
    es384.splice(4..5, [0x38, 34]);
    for cose in [odd, more, es384] {
        let attested = [&[0; 16][..], &[0, 1], b"i", &cose].concat();
        let object = object("none", &[0xa0], &data(0x45, 1, &attested));
        assert_eq!(register(&good, &object), Err(WebauthnError::Key));
    }
    let get = client("webauthn.get", PARTY.origin, "");
    assert_eq!(
        register(&get, &object("none", &[0xa0], &whole)),
        Err(WebauthnError::Ceremony)
    );
}

#[test]
fn cut_short_or_filled_up_anywhere_it_is_refused_and_nothing_panics() {
    let [key, ..] = Key::all();
    let client = client("webauthn.create", PARTY.origin, "");
    let whole = object("none", &[0xa0], &data(0x45, 1, &attested(&key)));
    for end in 0..whole.len() {
        assert!(register(&client, &whole[..end]).is_err(), "{end}");
    }
    for place in 0..whole.len() {
        for bit in [1, 0x80] {
            let mut changed = whole.clone();
            changed[place] ^= bit;
            drop(register(&client, &changed));
        }
    }
    assert!(register(&client, &[whole.as_slice(), &[0]].concat()).is_err());
}

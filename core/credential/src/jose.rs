//! Compact JWS, strictly (RFC 7515 section 7.1, RFC 8725): three segments of unpadded canonical base64url, a small
//! header of known members, an algorithm that the key is bound to.
//!
//! Not here: JSON serialisation, detached or unencoded payloads, encryption, keys fetched from where a token says.

use crate::json::{self, JsonError, Object};
use crate::jwk::{Jwk, JwkError, JwkWire};
use crate::key::{VerifyingKey, VerifyingKeys};
use crate::rejection::Part;
use crate::{Algorithm, Rejection, TokenClass};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Largest token in bytes. Ours stay under 4 KiB; HTTP servers refuse headers over 8 KiB anyway.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// A protected header's members. Any other is refused, `crit`, `jku`, `x5u`, `x5c` and `b64` among them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// `alg`: one of the nine.
    pub algorithm: Algorithm,
    /// `typ`.
    pub typ: Option<String>,
    /// `kid`.
    pub kid: Option<String>,
    /// `jwk`: only a DPoP proof may carry its key.
    pub jwk: Option<Jwk>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderWire {
    alg: String,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    jwk: Option<Object<JwkWire>>,
    /// Hints at certificates that large outside issuers send and nobody here looks at.
    #[serde(default)]
    x5t: Option<IgnoredAny>,
    #[serde(default, rename = "x5t#S256")]
    x5t_sha256: Option<IgnoredAny>,
    #[serde(default)]
    x5c: Option<IgnoredAny>,
}

/// A token that has been taken apart and not been verified.
#[derive(Debug)]
pub struct Jws<'a> {
    header: Header,
    payload: Vec<u8>,
    signature: Vec<u8>,
    signed: &'a [u8],
}

/// The segments of a token as they were sent; nothing in them has been looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) header: &'a str,
    payload: &'a str,
    signature: &'a str,
    signed: &'a str,
}

impl<'a> Frame<'a> {
    /// Cuts a token at its two dots.
    pub(crate) fn of(token: &'a str) -> Result<Self, Rejection> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Rejection::TooLarge {
                limit: TOKEN_BYTES_MAX,
            });
        }
        let malformed = Rejection::Malformed(Part::Frame, 0);
        let (signed, signature) = token.rsplit_once('.').ok_or_else(|| malformed.clone())?;
        let (header, payload) = signed.split_once('.').ok_or_else(|| malformed.clone())?;
        if payload.contains('.') {
            return Err(malformed);
        }
        Ok(Self {
            header,
            payload,
            signature,
            signed,
        })
    }

    /// The header, judged for a token of `class`.
    pub(crate) fn read_header(&self, class: TokenClass) -> Result<Header, Rejection> {
        parse_header(&decode(self.header, Part::Header)?, class)
    }

    fn read_payload(&self) -> Result<Vec<u8>, Rejection> {
        let payload = decode(self.payload, Part::Payload)?;
        json::check_depth(&payload).map_err(|error| in_part(error, Part::Payload))?;
        Ok(payload)
    }

    /// The claims, once `key` has signed them. Whether the header is one for that key, the caller has found out.
    pub(crate) fn verified_by(self, key: &VerifyingKey) -> Result<Vec<u8>, Rejection> {
        let payload = self.read_payload()?;
        key.verify_signature(self.signed.as_bytes(), &decode(self.signature, Part::Signature)?)?;
        Ok(payload)
    }
}

fn decode(text: &str, part: Part) -> Result<Vec<u8>, Rejection> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| Rejection::Malformed(part, 0))
}

impl<'a> Jws<'a> {
    /// Takes a token of `class` apart and judges its frame and header. Nothing in it is proven.
    pub fn parse(token: &'a str, class: TokenClass) -> Result<Self, Rejection> {
        let frame = Frame::of(token)?;
        Ok(Self {
            header: frame.read_header(class)?,
            payload: frame.read_payload()?,
            signature: decode(frame.signature, Part::Signature)?,
            signed: frame.signed.as_bytes(),
        })
    }

    /// The header; unproven.
    pub const fn header(&self) -> &Header {
        &self.header
    }
    /// The claims' bytes; unproven. For finding out whose key to verify with, and nothing else.
    pub fn payload_unverified(&self) -> &[u8] {
        &self.payload
    }

    /// The claims, once `key` has signed them.
    pub(crate) fn verified_by(self, key: &VerifyingKey) -> Result<Vec<u8>, Rejection> {
        if key.algorithm() != self.header.algorithm {
            return Err(Rejection::AlgorithmMismatch {
                expected: key.algorithm(),
                found: self.header.algorithm,
            });
        }
        key.verify_signature(self.signed, &self.signature)?;
        Ok(self.payload)
    }

    /// The claims, once the key that the header names has signed them. The name is mandatory.
    pub(crate) fn verified_by_named(
        self,
        keys: &VerifyingKeys,
        class: TokenClass,
    ) -> Result<Vec<u8>, Rejection> {
        let kid = self.header.kid.as_deref().ok_or(Rejection::UnknownKey)?;
        let key = keys.named(kid, self.header.algorithm, class)?;
        self.verified_by(key)
    }

    /// The claims, once a key has signed them: the named one, or without a name any of the fitting ones.
    pub(crate) fn verified_by_any(
        self,
        keys: &VerifyingKeys,
        class: TokenClass,
    ) -> Result<Vec<u8>, Rejection> {
        if self.header.kid.is_some() {
            return self.verified_by_named(keys, class);
        }
        let mut refusal = Rejection::UnknownKey;
        for key in keys {
            if key.class() == class && key.algorithm() == self.header.algorithm {
                match key.verify_signature(self.signed, &self.signature) {
                    Ok(()) => return Ok(self.payload),
                    Err(bad) => refusal = bad,
                }
            }
        }
        Err(refusal)
    }
}

pub(crate) fn in_part(error: JsonError, part: Part) -> Rejection {
    match error {
        JsonError::Malformed(at) => Rejection::Malformed(part, at),
        JsonError::TooDeep => Rejection::TooDeep {
            limit: json::JSON_DEPTH_MAX,
        },
    }
}

fn parse_header(bytes: &[u8], class: TokenClass) -> Result<Header, Rejection> {
    json::check_depth(bytes).map_err(|error| in_part(error, Part::Header))?;
    let wire: HeaderWire = json::from_object(bytes).map_err(|_| refuse_header(bytes))?;
    let algorithm = Algorithm::from_name(&wire.alg).ok_or(Rejection::AlgorithmNotAllowed)?;
    let hints = wire.x5t.is_some() || wire.x5t_sha256.is_some() || wire.x5c.is_some();
    if hints && class != TokenClass::Foreign {
        return Err(Rejection::HeaderNotAllowed);
    }
    if wire.jwk.is_some() {
        if class != TokenClass::DpopProof {
            return Err(Rejection::HeaderNotAllowed);
        }
        // A JWK may have members that we do not know, and so may hide a repeated one.
        json::check_duplicates(bytes).map_err(|error| in_part(error, Part::Header))?;
    }
    if !class.accepts_typ(wire.typ.as_deref()) {
        return Err(Rejection::WrongType);
    }
    let jwk = wire
        .jwk
        .map(|jwk| Jwk::try_from(jwk.0))
        .transpose()
        .map_err(|error| match error {
            JwkError::Private => Rejection::PrivateKeySent,
            _ => Rejection::Malformed(Part::Header, 0),
        })?;
    Ok(Header {
        algorithm,
        typ: wire.typ,
        kid: wire.kid,
        jwk,
    })
}

/// Says why a header could not be read; only refusals pay for the second look.
fn refuse_header(bytes: &[u8]) -> Rejection {
    match json::parse_strict(bytes) {
        Ok(Value::Object(members)) => {
            let known = ["alg", "typ", "kid", "jwk"];
            if members.keys().all(|name| known.contains(&name.as_str())) {
                Rejection::Malformed(Part::Header, 0)
            } else {
                Rejection::HeaderNotAllowed
            }
        }
        Ok(_) => Rejection::Malformed(Part::Header, 0),
        Err(error) => in_part(error, Part::Header),
    }
}

/// The encoded header of tokens of one class under one key; made once per key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeaderSegment(String);

#[derive(Serialize)]
struct HeaderOut<'a> {
    alg: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
    typ: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwk: Option<JwkWire>,
}

impl HeaderSegment {
    /// Exactly `alg`, `kid` and `typ`: what SPIFFE verifiers accept, and enough for everybody else.
    pub fn new(algorithm: Algorithm, kid: &str, class: TokenClass) -> Self {
        Self::encode(&HeaderOut {
            alg: algorithm.name(),
            kid: Some(kid),
            typ: class.typ(),
            jwk: None,
        })
    }
    /// `alg`, `typ` and the public key itself: a DPoP proof (RFC 9449 section 4.2).
    pub fn with_key(algorithm: Algorithm, class: TokenClass, jwk: &Jwk) -> Self {
        Self::encode(&HeaderOut {
            alg: algorithm.name(),
            kid: None,
            typ: class.typ(),
            jwk: Some(JwkWire::from(jwk)),
        })
    }
    fn encode(header: &HeaderOut<'_>) -> Self {
        Self(URL_SAFE_NO_PAD.encode(serde_json::to_vec(header).unwrap_or_default()))
    }
}

/// A token that lacks only its signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unsigned(String);

impl Unsigned {
    pub(crate) fn new(header: &HeaderSegment, claims: &impl Serialize) -> Self {
        let claims = serde_json::to_vec(claims).unwrap_or_default();
        let mut text = String::with_capacity(header.0.len() + claims.len() * 4 / 3 + 96);
        text.push_str(&header.0);
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut text);
        Self(text)
    }
    /// What the key signs (RFC 7515 section 5.1).
    pub fn message(&self) -> &[u8] {
        self.0.as_bytes()
    }
    /// The finished token. `signature` in JOSE form, as [`crate::SigningKey::sign`] returns it.
    pub fn with_signature(self, signature: &[u8]) -> String {
        let mut text = self.0;
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut text);
        text
    }
}

/// A credential's claims that have been verified. Made only by the verifiers of this crate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    pub(crate) const fn new(claims: T) -> Self {
        Self(claims)
    }
    /// The claims.
    pub const fn claims(&self) -> &T {
        &self.0
    }
    /// Takes the claims out; they lose their mark.
    pub fn into_claims(self) -> T {
        self.0
    }
}

#[cfg(test)]
mod tests;

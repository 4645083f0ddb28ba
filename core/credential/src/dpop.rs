//! DPoP: proof of a key with every request (RFC 9449).
//!
//! What a verified proof says: whoever holds the key named by `jkt` made it, for this method and URI, at about this
//! time, with this access token and one of our nonces. Whether it was seen before is the caller's replay cache, fed
//! with [`DpopProof::replay_key`] only after everything else has passed.

use crate::hash::sha256;
use crate::jose::{Frame, HeaderSegment, Unsigned};
use crate::json::{self, Object};
use crate::jwk::Jwk;
use crate::key::VerifyingKey;
use crate::rejection::Part;
use crate::{Algorithm, PublicKey, Rejection, TokenClass};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identity::{Digest, Thumbprint, UnixTime};
use serde::{Deserialize, Serialize};

mod nonce;
mod target;

pub use nonce::{NONCE_BUCKET_SECS, NonceKey};
pub use target::{RequestTarget, TargetError};

/// How old a proof may be, in seconds: a request that waited in a queue, not one that was stolen yesterday.
pub const WINDOW_SECS: u64 = 60;
/// How far a client's clock may be ahead, in seconds.
pub const FUTURE_SECS: u64 = 5;
/// Longest `jti` in bytes; 128 random bits need 22.
pub const JTI_BYTES_MAX: usize = 256;
/// Longest executable path in a caller claim, in bytes: the kernel's PATH_MAX.
pub const EXE_BYTES_MAX: usize = 4096;
/// What a proof may be signed with (`dpop_signing_alg_values_supported`).
pub const DPOP_ALGORITHMS: [Algorithm; 4] = [
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Rs256,
    Algorithm::Ps256,
];

/// Who inside a run makes a request: a private claim (`tabard_caller`) of our own node agent, which signs proofs
/// for the processes that it launched. Observed by the node agent, not said by the process.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// The bound process or one that it started.
    pub kind: CallerKind,
    /// Path of its executable.
    pub exe: String,
    /// Digest of its executable.
    pub exe_digest: Digest,
    /// Digest of its arguments, each followed by a zero byte.
    pub argv_digest: Digest,
    /// Its process id on the node.
    pub pid: u32,
}

/// Which process of a run called.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallerKind {
    /// The agent's own, bound process.
    Agent,
    /// A process that it started.
    Child,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tabard_caller: Option<Object<Caller>>,
}

/// What the request at hand is, for the proof to match.
#[derive(Clone, Copy, Debug)]
pub struct ProofExpected<'a> {
    /// The HTTP method, in the case it was sent in.
    pub method: &'a str,
    /// Where the request went, as the client saw it.
    pub target: &'a RequestTarget,
    /// The access token that came with it; `None` at the token endpoint.
    pub access_token: Option<&'a str>,
    /// Whether a nonce of ours is needed.
    pub nonce: NoncePolicy<'a>,
}

/// Whether a proof must carry a nonce of this server (RFC 9449 section 8).
#[derive(Clone, Copy, Debug)]
pub enum NoncePolicy<'a> {
    /// Not asked for; one that is there is not looked at.
    Ignored,
    /// Must be there, fresh, and made with this key.
    Required(&'a NonceKey),
}

/// A verified proof. Not yet known to be fresh: spend [`DpopProof::replay_key`] first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DpopProof {
    key: Thumbprint,
    replay_key: [u8; 16],
    issued_at: UnixTime,
    expires_at: UnixTime,
    nonce: Option<String>,
    caller: Option<Caller>,
}

impl DpopProof {
    /// RFC 7638 thumbprint of the key that was proven.
    pub const fn key(&self) -> Thumbprint {
        self.key
    }
    /// What a replay cache remembers: 128 bits of SHA-256 over key, method, URI and `jti`. The key is part of it, so
    /// two clients that draw the same `jti` do not shut each other out.
    pub const fn replay_key(&self) -> [u8; 16] {
        self.replay_key
    }
    /// `iat`.
    pub const fn issued_at(&self) -> UnixTime {
        self.issued_at
    }
    /// From this instant on the proof is refused as too old, so a replay cache may forget it.
    pub const fn expires_at(&self) -> UnixTime {
        self.expires_at
    }
    /// The nonce, as sent.
    pub fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref()
    }
    /// The caller claim. Believe it only when [`DpopProof::key`] is a node agent's.
    pub const fn caller(&self) -> Option<&Caller> {
        self.caller.as_ref()
    }
}

/// The key that a proof is made with, read from its header and ready to verify: half of what a verification costs, and
/// the same for every proof of a client. Who sees many proofs keeps it, by [`header_of`].
#[derive(Debug)]
pub struct ProofKey {
    header: Box<str>,
    key: VerifyingKey,
}

/// The header of a proof as it was sent. Nothing is proven.
pub fn header_of(proof: &str) -> Result<&str, Rejection> {
    Ok(Frame::of(proof)?.header)
}

/// Verifies a proof: the twelve checks of RFC 9449 section 4.3 but for the count of headers and replay.
pub fn verify(proof: &str, expected: &ProofExpected<'_>, now: UnixTime) -> Result<DpopProof, Rejection> {
    ProofKey::of(proof)?.verify(proof, expected, now)
}

impl ProofKey {
    /// Reads the header of a proof. Nothing is proven.
    pub fn of(proof: &str) -> Result<Self, Rejection> {
        let frame = Frame::of(proof)?;
        let header = frame.read_header(TokenClass::DpopProof)?;
        let algorithm = header.algorithm;
        if !DPOP_ALGORITHMS.contains(&algorithm) {
            return Err(Rejection::AlgorithmNotAllowed);
        }
        let jwk = header.jwk.as_ref().ok_or(Rejection::UnknownKey)?;
        if !algorithm.fits(&jwk.key) {
            return Err(Rejection::AlgorithmNotAllowed);
        }
        let key = VerifyingKey::new(&jwk.key, None, algorithm, TokenClass::DpopProof)
            .map_err(|_| Rejection::BadSignature)?;
        Ok(Self {
            header: frame.header.into(),
            key,
        })
    }

    /// Verifies a proof with this very header; see [`verify`].
    pub fn verify(
        &self,
        proof: &str,
        expected: &ProofExpected<'_>,
        now: UnixTime,
    ) -> Result<DpopProof, Rejection> {
        let frame = Frame::of(proof)?;
        if *frame.header != *self.header {
            return Err(Rejection::UnknownKey);
        }
        let claims = parse(&frame.verified_by(&self.key)?)?;
        judge(claims, self.key.thumbprint(), expected, now)
    }
}

/// Judges the claims of a proof that `key` has signed.
fn judge(
    claims: Claims,
    key: Thumbprint,
    expected: &ProofExpected<'_>,
    now: UnixTime,
) -> Result<DpopProof, Rejection> {
    if claims.htm != expected.method || !expected.target.is_named_by(&claims.htu) {
        return Err(Rejection::WrongRequest);
    }
    let wanted_hash = expected.access_token.map(access_token_hash);
    if claims.ath != wanted_hash {
        return Err(Rejection::WrongToken);
    }
    let issued_at = UnixTime::from_secs(claims.iat);
    if issued_at > now.plus_secs(FUTURE_SECS) {
        return Err(Rejection::NotYetValid {
            in_secs: claims.iat.saturating_sub(now.secs()),
        });
    }
    let expires_at = issued_at.plus_secs(WINDOW_SECS + FUTURE_SECS);
    if now >= expires_at {
        return Err(Rejection::TooOld {
            by_secs: now.secs().saturating_sub(expires_at.secs()),
        });
    }
    crate::access_token::check_times(
        UnixTime::from_secs(claims.nbf.unwrap_or(0)),
        claims.exp.map_or(UnixTime::MAX, UnixTime::from_secs),
        now,
    )?;
    if let NoncePolicy::Required(nonces) = expected.nonce {
        let nonce = claims.nonce.as_deref().ok_or(Rejection::NonceNeeded)?;
        if !nonces.made(nonce, now) {
            return Err(Rejection::NonceNeeded);
        }
    }
    Ok(DpopProof {
        key,
        replay_key: replay_key(key, &claims.htm, expected.target, &claims.jti),
        issued_at,
        expires_at,
        nonce: claims.nonce,
        caller: claims.tabard_caller.map(|caller| caller.0),
    })
}

/// `ath`: what a proof says about the access token it goes with (RFC 9449 section 4.2).
pub fn access_token_hash(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(sha256(token.as_bytes()))
}

/// Reads the claims. Unknown ones are allowed (RFC 9449 section 4.2), duplicates are not.
fn parse(payload: &[u8]) -> Result<Claims, Rejection> {
    json::check_duplicates(payload).map_err(|error| crate::jose::in_part(error, Part::Payload))?;
    let claims: Claims =
        json::from_object(payload).map_err(|error| Rejection::Malformed(Part::Payload, error.column()))?;
    if claims.jti.is_empty() || claims.jti.len() > JTI_BYTES_MAX {
        return Err(Rejection::BadClaim("jti"));
    }
    for (date, name) in [
        (Some(claims.iat), "iat"),
        (claims.exp, "exp"),
        (claims.nbf, "nbf"),
    ] {
        if date.is_some_and(|date| !json::is_date(date)) {
            return Err(Rejection::BadClaim(name));
        }
    }
    if claims
        .tabard_caller
        .as_ref()
        .is_some_and(|caller| caller.0.exe.len() > EXE_BYTES_MAX)
    {
        return Err(Rejection::BadClaim("tabard_caller"));
    }
    Ok(claims)
}

fn replay_key(key: Thumbprint, method: &str, target: &RequestTarget, jti: &str) -> [u8; 16] {
    let mut text = key.as_bytes().to_vec();
    for part in [method, target.as_str(), jti] {
        text.extend_from_slice(part.as_bytes());
        text.push(0);
    }
    let mut out = [0; 16];
    for (slot, byte) in out.iter_mut().zip(sha256(&text)) {
        *slot = byte;
    }
    out
}

/// Parts of a proof that we make ourselves, as a node agent in front of a server or gateway.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProofClaims<'a> {
    /// A random id, at least 96 bits of it.
    pub jti: &'a str,
    /// The HTTP method.
    pub method: &'a str,
    /// Where the request goes, without query and fragment.
    pub target: &'a RequestTarget,
    /// Now.
    pub issued_at: UnixTime,
    /// The access token that goes with it.
    pub access_token: Option<&'a str>,
    /// The newest nonce that the server gave.
    pub nonce: Option<&'a str>,
    /// Who asks.
    pub caller: Option<Caller>,
}

impl ProofClaims<'_> {
    /// The header of all proofs by one key.
    pub fn header(key: &PublicKey, algorithm: Algorithm) -> HeaderSegment {
        HeaderSegment::with_key(algorithm, TokenClass::DpopProof, &Jwk::bare(key.clone()))
    }

    /// The proof without its signature.
    pub fn unsigned(&self, header: &HeaderSegment) -> Unsigned {
        Unsigned::new(
            header,
            &Claims {
                jti: self.jti.to_owned(),
                htm: self.method.to_owned(),
                htu: self.target.as_str().to_owned(),
                iat: self.issued_at.secs(),
                ath: self.access_token.map(access_token_hash),
                nonce: self.nonce.map(str::to_owned),
                exp: None,
                nbf: None,
                tabard_caller: self.caller.clone().map(Object),
            },
        )
    }
}

#[cfg(test)]
mod tests;

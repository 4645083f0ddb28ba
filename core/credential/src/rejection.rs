//! Why a credential was not accepted. For the audit entry and the operator; never shown verbatim to a caller,
//! who must not learn whether a signature, an expiry or an audience failed.

use crate::Algorithm;

/// The part of a token that could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The three dots-and-segments frame of a compact JWS.
    Frame,
    /// The protected header.
    Header,
    /// The claims.
    Payload,
    /// The signature's encoding.
    Signature,
}

/// Why a signed token was rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Larger than any token of its kind.
    #[error("the token is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// Not a strict compact JWS: three segments, unpadded canonical base64url, JSON objects without duplicate or
    /// unknown members. The number is the column where JSON reading stopped, 0 if it never began.
    #[error("the {0:?} is malformed near byte {1}")]
    Malformed(Part, usize),
    /// Deeper than any token of ours nests.
    #[error("the JSON nests deeper than {limit} levels")]
    TooDeep {
        /// The limit in levels.
        limit: usize,
    },
    /// A header that could make a verifier do something: `crit`, `jku`, `x5u`, `x5c`, `jwk` outside DPoP, or any
    /// that the class does not know.
    #[error("the header has a member that this class of token may not have")]
    HeaderNotAllowed,
    /// `none`, HMAC, EdDSA, unknown, or not on the list of this class.
    #[error("the token's algorithm is not on the list of its class")]
    AlgorithmNotAllowed,
    /// The key is for another algorithm.
    #[error("the key is for {expected}, the token says {found}")]
    AlgorithmMismatch {
        /// What the key is bound to.
        expected: Algorithm,
        /// What the header says.
        found: Algorithm,
    },
    /// `typ` names another class of token.
    #[error("the token is of another class")]
    WrongType,
    /// No key of that name, or no key at all for that trust domain or issuer.
    #[error("no key of that name is trusted for this class of token")]
    UnknownKey,
    /// The signature does not belong to these bytes and this key.
    #[error("the signature does not verify")]
    BadSignature,
    /// Made by somebody else than expected.
    #[error("the token is of another issuer")]
    WrongIssuer,
    /// Not made for this verifier.
    #[error("the token is for another audience")]
    WrongAudience,
    /// A mandatory claim is missing.
    #[error("the claim \"{0}\" is missing")]
    MissingClaim(&'static str),
    /// A claim has a value of the wrong type, form or range.
    #[error("the claim \"{0}\" is malformed")]
    BadClaim(&'static str),
    /// The expiry has passed.
    #[error("the token expired {by_secs} s ago")]
    Expired {
        /// Seconds since `exp`.
        by_secs: u64,
    },
    /// Issued or valid only in the future.
    #[error("the token is valid only in {in_secs} s")]
    NotYetValid {
        /// Seconds until then.
        in_secs: u64,
    },
    /// A proof older than its window.
    #[error("the proof is {by_secs} s too old")]
    TooOld {
        /// Seconds beyond the window.
        by_secs: u64,
    },
    /// A proof for another method or URI.
    #[error("the proof is for another request")]
    WrongRequest,
    /// A proof for another access token.
    #[error("the proof is for another access token")]
    WrongToken,
    /// The proof carries no nonce, an old one, or one of another server.
    #[error("the proof needs a fresh nonce of this server")]
    NonceNeeded,
    /// A JWK with private members: whoever sent it has given its key away.
    #[error("a private key was sent; consider it stolen")]
    PrivateKeySent,
    /// The subject is no SPIFFE ID of a workload.
    #[error("the subject is not the SPIFFE ID of a workload")]
    BadSubject,
}

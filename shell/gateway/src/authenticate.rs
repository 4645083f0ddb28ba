//! Who calls: an access token of ours, and the proof of the key that it is bound to (RFC 9449 section 7, RFC 8705
//! section 3).
//!
//! What comes out was signed by our issuer, is current, proven for this very request, and was not used before. That
//! it is not revoked, and what it may do, is judged by the World afterwards.

use crate::parts::Settings;
use crate::problem::{Challenge, Problem};
use crate::tokens::Tokens;
use crate::view::View;
use broker::Fresh;
use broker::replay::{NotFresh, ReplayKey};
use credential::access_token::{self, Expected};
use credential::dpop::{Caller, NoncePolicy, ProofExpected, RequestTarget};
use credential::{AccessTokenClaims, Binding, DpopProof, Rejection, sha256};
use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, HeaderValue};
use identity::{OrgScope, Thumbprint, UnixTime};
use std::sync::Arc;
use sync::{ProofKeys, ProofReplays};

/// Proofs remembered at once: those of 34,000 requests a second.
const PROOFS_MAX: usize = 2_560_000;

/// Proofs seen, their keys, and remembered tokens.
pub(crate) struct Doorkeeper {
    seen: ProofReplays,
    keys: ProofKeys,
    tokens: Tokens,
}

impl Default for Doorkeeper {
    fn default() -> Self {
        Self {
            seen: ProofReplays::new(PROOFS_MAX),
            keys: ProofKeys::default(),
            tokens: Tokens::default(),
        }
    }
}

/// A caller whose token and key are proven.
#[derive(Debug)]
pub(crate) struct Authenticated {
    pub(crate) token: Arc<AccessTokenClaims>,
    pub(crate) fresh: Fresh,
    /// Which process called, where the node agent that holds the instance's key says so.
    pub(crate) caller: Option<Caller>,
}

/// A request as far as authentication looks at it.
pub(crate) struct Presented<'r> {
    pub(crate) method: &'r str,
    pub(crate) htu: &'r str,
    pub(crate) headers: &'r HeaderMap,
    /// SHA-256 of the client certificate that the connection proved.
    pub(crate) certificate: Option<Thumbprint>,
    pub(crate) now: UnixTime,
    pub(crate) random: [u8; 32],
}

impl Doorkeeper {
    pub(crate) fn authenticate(
        &self,
        settings: &Settings,
        view: &View,
        request: &Presented<'_>,
    ) -> Result<Authenticated, Problem> {
        let (scheme, text) = token_of(request.headers)?;
        let token = self.token(settings, view, text, request.now)?;
        match (token.binding, scheme) {
            (Binding::Key(key), Scheme::Dpop) => {
                let proof = proof_of(&self.keys, settings, key, text, request)?;
                let fresh = self.admit(proof.replay_key(), proof.expires_at(), request.now)?;
                let instance = view.world.instance(OrgScope::Only(token.org), token.instance);
                let vouched = instance.is_some_and(|instance| instance.key == proof.key());
                let caller = proof.caller().filter(|_| vouched).cloned();
                Ok(Authenticated { token, fresh, caller })
            }
            (Binding::Certificate(bound), Scheme::Bearer) if request.certificate == Some(bound) => {
                // The connection is the proof; its records cannot be replayed, so each request is fresh by itself.
                let mut key: ReplayKey = [0; 16];
                key.iter_mut()
                    .zip(request.random)
                    .for_each(|(slot, byte)| *slot = byte);
                let fresh = self.admit(key, request.now.plus_secs(1), request.now)?;
                Ok(Authenticated {
                    token,
                    fresh,
                    caller: None,
                })
            }
            _ => Err(invalid_token()),
        }
    }

    fn token(
        &self,
        settings: &Settings,
        view: &View,
        text: &str,
        now: UnixTime,
    ) -> Result<Arc<AccessTokenClaims>, Problem> {
        let hash = sha256(text.as_bytes());
        if let Some(known) = self.tokens.get(&hash, &view.keys, now) {
            return Ok(known);
        }
        let expected = Expected {
            issuer: &settings.issuer,
            audiences: &view.table.audiences,
        };
        let claims =
            access_token::verify(text, &view.keys.verifying, &expected, now).map_err(|rejection| {
                tracing::debug!(%rejection, "token rejected");
                invalid_token()
            })?;
        let claims = Arc::new(claims.into_claims());
        self.tokens.put(hash, claims.clone(), view.keys.clone(), now);
        Ok(claims)
    }

    fn admit(&self, key: ReplayKey, until: UnixTime, now: UnixTime) -> Result<Fresh, Problem> {
        self.seen.admit(key, until, now).map_err(|why| match why {
            NotFresh::Replayed => Problem::unauthenticated(
                Challenge::InvalidProof,
                "The proof was used before.",
                "make a new proof, with a new jti, for every request",
            ),
            NotFresh::Full | NotFresh::TooLong => Problem::unavailable(
                "PROOFS_FULL",
                "Too many proofs at once.",
                "a proof that cannot be remembered cannot be accepted once only",
            ),
        })
    }
}

fn proof_of(
    keys: &ProofKeys,
    settings: &Settings,
    key: Thumbprint,
    token: &str,
    request: &Presented<'_>,
) -> Result<DpopProof, Problem> {
    let mut proofs = request.headers.get_all(DPOP).iter();
    let (Some(Ok(text)), None) = (proofs.next().map(HeaderValue::to_str), proofs.next()) else {
        return Err(invalid_proof());
    };
    let target = RequestTarget::parse(request.htu).map_err(|_| invalid_proof())?;
    let nonce = settings
        .nonces
        .as_ref()
        .map_or(NoncePolicy::Ignored, NoncePolicy::Required);
    let expected = ProofExpected {
        method: request.method,
        target: &target,
        access_token: Some(token),
        nonce,
    };
    let proof = keys.verify(text, &expected, request.now).map_err(|rejection| {
        tracing::debug!(%rejection, "proof rejected");
        match rejection {
            Rejection::NonceNeeded => Problem::unauthenticated(
                Challenge::Nonce,
                "The proof needs a nonce of this gateway.",
                "repeat the request with the nonce from the DPoP-Nonce header in the proof",
            ),
            _ => invalid_proof(),
        }
    })?;
    if proof.key() == key {
        Ok(proof)
    } else {
        Err(invalid_proof())
    }
}

/// `DPoP`, the header.
pub(crate) const DPOP: HeaderName = HeaderName::from_static("dpop");
/// `DPoP-Nonce`.
pub(crate) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

enum Scheme {
    Dpop,
    Bearer,
}

fn token_of(headers: &HeaderMap) -> Result<(Scheme, &str), Problem> {
    let missing = || {
        Problem::unauthenticated(
            Challenge::Token,
            "The request carries no access token.",
            "send Authorization: DPoP with a token from the token endpoint, and a DPoP proof",
        )
    };
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or_else(missing)?;
    if values.next().is_some() {
        return Err(invalid_token());
    }
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or_else(missing)?;
    let scheme = match scheme {
        dpop if dpop.eq_ignore_ascii_case("dpop") => Scheme::Dpop,
        bearer if bearer.eq_ignore_ascii_case("bearer") => Scheme::Bearer,
        _ => return Err(missing()),
    };
    Ok((scheme, token))
}

fn invalid_proof() -> Problem {
    Problem::unauthenticated(
        Challenge::InvalidProof,
        "The proof of possession is missing or wrong.",
        "send one DPoP header: a new proof for this method, URL and token, signed with the key of the token",
    )
}

pub(crate) fn invalid_token() -> Problem {
    Problem::unauthenticated(
        Challenge::InvalidToken,
        "The access token is not accepted.",
        "exchange for a new token for this audience; if that is refused too, the reason is in the server's log",
    )
}

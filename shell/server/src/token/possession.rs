//! Whose request is it: the key that the caller proves with this very request.
//!
//! A DPoP header counts when it is there; without one, the connection's own X.509-SVID does (RFC 8705). A request
//! with neither is nobody's: a JWT-SVID alone is a bearer token, and whoever copied it could send it.

use super::errors::NotIssued;
use crate::connection::Peer;
use crate::installation::Installation;
use broker::exchange::Possession;
use broker::replay::NotFresh;
use credential::dpop::{NoncePolicy, ProofExpected, RequestTarget};
use credential::{Binding, DpopProof};
use http::HeaderMap;
use identity::{Thumbprint, UnixTime};
use sync::ProofReplays;

/// Header name of a proof (RFC 9449 section 4.1).
const DPOP: &str = "dpop";

/// A key that was proven, and how.
pub(super) enum Proven {
    /// By a DPoP proof; not yet known to be fresh.
    Proof(DpopProof),
    /// By the TLS handshake.
    Connection {
        /// RFC 7638 thumbprint of the SVID's key.
        key: Thumbprint,
        /// RFC 8705 thumbprint of the certificate.
        certificate: Thumbprint,
        /// When the SVID ends: a token bound to it must not outlive it.
        not_after: UnixTime,
    },
}

/// Finds the one proof of the request, which was sent to `target`.
pub(super) fn prove(
    target: &RequestTarget,
    installation: &Installation,
    peer: &Peer,
    headers: &HeaderMap,
    now: UnixTime,
) -> Result<Proven, NotIssued> {
    let mut proofs = headers.get_all(DPOP).iter();
    match (proofs.next(), proofs.next(), peer.svid(now)) {
        (Some(_), Some(_), _) => Err(NotIssued::TwoProofs),
        (Some(proof), None, _) => {
            let proof = proof.to_str().map_err(|_| NotIssued::NoProof)?;
            let expected = ProofExpected {
                method: "POST",
                target,
                access_token: None,
                nonce: NoncePolicy::Required(installation.keys.nonces()),
            };
            Ok(Proven::Proof(
                installation
                    .proof_keys
                    .verify(proof, &expected, now)
                    .map_err(NotIssued::proof)?,
            ))
        }
        (None, _, Some(svid)) => Ok(Proven::Connection {
            key: svid.key(),
            certificate: svid.certificate(),
            not_after: svid.not_after(),
        }),
        (None, _, None) => Err(NotIssued::NoProof),
    }
}

impl Proven {
    /// The key.
    pub(super) const fn key(&self) -> Thumbprint {
        match self {
            Self::Proof(proof) => proof.key(),
            Self::Connection { key, .. } => *key,
        }
    }
    /// What a token will be bound to.
    pub(super) const fn binding(&self) -> Binding {
        match self {
            Self::Proof(proof) => Binding::Key(proof.key()),
            Self::Connection { certificate, .. } => Binding::Certificate(*certificate),
        }
    }
    /// When the proof of the key ends with what it is bound to.
    pub(super) const fn not_after(&self) -> UnixTime {
        match self {
            Self::Proof(_) => UnixTime::MAX,
            Self::Connection { not_after, .. } => *not_after,
        }
    }
    /// Spends a proof; the broker makes the record remember it as well.
    pub(super) fn spend(&self, replays: &ProofReplays, now: UnixTime) -> Result<Possession, NotFresh> {
        match self {
            Self::Proof(proof) => {
                let fresh = replays.admit(proof.replay_key(), proof.expires_at(), now)?;
                Ok(Possession::Proof(fresh))
            }
            Self::Connection { .. } => Ok(Possession::Connection),
        }
    }
    /// Takes back what [`Self::spend`] spent on a decision that was not recorded.
    pub(super) fn withdraw(&self, replays: &ProofReplays) {
        if let Self::Proof(proof) = self {
            replays.withdraw(&proof.replay_key());
        }
    }
}

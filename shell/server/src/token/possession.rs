//! Whose request is it: the key that the caller proves with this very request.
//!
//! A DPoP header counts when it is there; without one, the connection's own X.509-SVID does (RFC 8705). A request
//! with neither is nobody's: a JWT-SVID alone is a bearer token, and whoever copied it could send it.

use super::errors::NotIssued;
use crate::connection::Peer;
use crate::installation::Installation;
use broker::exchange::Possession;
use credential::dpop::{NoncePolicy, ProofExpected, RequestTarget};
use credential::{Binding, DpopProof};
use http::HeaderMap;
use identity::{Thumbprint, UnixTime};
use sync::ProofReplays;

/// Header name of a proof (RFC 9449 section 4.1).
const DPOP: &str = "dpop";

/// A key that was proven, and how.
pub(super) struct Proven {
    how: How,
    /// What it is worth to a decision, once it was spent.
    possession: Option<Possession>,
}

enum How {
    /// By a DPoP proof.
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
    let how = match (proofs.next(), proofs.next(), peer.svid(now)) {
        (Some(_), Some(_), _) => return Err(NotIssued::TwoProofs),
        (Some(proof), None, _) => {
            let proof = proof.to_str().map_err(|_| NotIssued::NoProof)?;
            let expected = ProofExpected {
                method: "POST",
                target,
                access_token: None,
                nonce: NoncePolicy::Required(installation.keys.nonces()),
            };
            How::Proof(
                installation
                    .proof_keys
                    .verify(proof, &expected, now)
                    .map_err(NotIssued::proof)?,
            )
        }
        (None, _, Some(svid)) => How::Connection {
            key: svid.key(),
            certificate: svid.certificate(),
            not_after: svid.not_after(),
        },
        (None, _, None) => return Err(NotIssued::NoProof),
    };
    Ok(Proven {
        how,
        possession: None,
    })
}

impl Proven {
    /// The key.
    pub(super) const fn key(&self) -> Thumbprint {
        match &self.how {
            How::Proof(proof) => proof.key(),
            How::Connection { key, .. } => *key,
        }
    }
    /// What a token will be bound to.
    pub(super) const fn binding(&self) -> Binding {
        match &self.how {
            How::Proof(proof) => Binding::Key(proof.key()),
            How::Connection { certificate, .. } => Binding::Certificate(*certificate),
        }
    }
    /// When the proof of the key ends with what it is bound to.
    pub(super) const fn not_after(&self) -> UnixTime {
        match &self.how {
            How::Proof(_) => UnixTime::MAX,
            How::Connection { not_after, .. } => *not_after,
        }
    }
    /// Spends a proof, once for this request however often it is decided anew; of requests with the same proof, one gets
    /// past here. The broker makes the record remember it as well.
    ///
    /// It comes after the caller is identified, so that the room for proofs is for keys that we know, and before anything
    /// that others notice: somebody outside is asked, somebody's poll is counted, an entry is written.
    pub(super) fn spend(&mut self, replays: &ProofReplays, now: UnixTime) -> Result<&Possession, NotIssued> {
        let possession = match (self.possession.take(), &self.how) {
            (Some(spent), _) => spent,
            (None, How::Connection { .. }) => Possession::Connection,
            (None, How::Proof(proof)) => Possession::Proof(
                replays
                    .admit(proof.replay_key(), proof.expires_at(), now)
                    .map_err(NotIssued::NotFresh)?,
            ),
        };
        Ok(self.possession.insert(possession))
    }
}

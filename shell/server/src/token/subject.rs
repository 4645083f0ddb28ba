//! The subject token: a JWT-SVID of this trust domain, for this issuer. Verified once, then remembered by its digest
//! until it expires or the keys change: the memory is part of the published keys, so it goes with them.
//!
//! What is remembered is that the signature was good. Whether its instance may still act is asked of the World at
//! every request.

use super::errors::NotIssued;
use crate::config::Issuer;
use crate::published::Published;
use credential::{JwtSvidClaims, Rejection, Verified, jwt_svid, sha256};
use identity::UnixTime;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Subject tokens remembered at once. One takes about 1 KiB; an instance has one for five minutes.
const SUBJECTS_MAX: usize = 16_384;

/// Looks for expired tokens are this far apart, in milliseconds: one takes a millisecond when there are so many.
const SWEEP_MILLIS: u64 = 1_000;

/// Verified subject tokens by SHA-256.
#[derive(Default)]
pub(crate) struct Subjects(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    by_digest: HashMap<[u8; 32], Arc<Verified<JwtSvidClaims>>>,
    swept_at: UnixTime,
}

impl Remembered {
    /// Remembers a token if there is room, or room can be made.
    fn insert(&mut self, digest: [u8; 32], svid: Arc<Verified<JwtSvidClaims>>, now: UnixTime) {
        if self.by_digest.len() >= SUBJECTS_MAX && now.millis_since(self.swept_at) >= SWEEP_MILLIS {
            self.swept_at = now;
            self.by_digest.retain(|_, svid| now < svid.claims().expires_at);
        }
        if self.by_digest.len() < SUBJECTS_MAX {
            self.by_digest.insert(digest, svid);
        }
    }
}

impl std::fmt::Debug for Subjects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Subjects(…)")
    }
}

impl Subjects {
    /// Verifies `token`, or finds that it was verified before and has not expired since.
    pub(super) fn verified(
        &self,
        token: &str,
        published: &Published,
        issuer: &Issuer,
        now: UnixTime,
    ) -> Result<Arc<Verified<JwtSvidClaims>>, NotIssued> {
        let digest = sha256(token.as_bytes());
        let known = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .by_digest
            .get(&digest)
            .cloned();
        if let Some(known) = known {
            return unexpired(known, now);
        }
        let ours = published.bundle.trust_domain.as_str();
        let keys = |domain: &str| (domain == ours).then_some(&published.jwt_svid_keys);
        let verified = jwt_svid::verify(token, keys, issuer.as_str(), now).map_err(NotIssued::Subject)?;
        let verified = Arc::new(verified);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(digest, verified.clone(), now);
        unexpired(verified, now)
    }
}

/// No skew is granted here: what a token that is over already buys would be over at once.
fn unexpired(
    svid: Arc<Verified<JwtSvidClaims>>,
    now: UnixTime,
) -> Result<Arc<Verified<JwtSvidClaims>>, NotIssued> {
    let expires_at = svid.claims().expires_at;
    if now < expires_at {
        return Ok(svid);
    }
    let by_secs = now.millis_since(expires_at) / 1000;
    Err(NotIssued::Subject(Rejection::Expired { by_secs }))
}

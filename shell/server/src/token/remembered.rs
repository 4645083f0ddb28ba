//! Tokens that were verified, remembered by their digest until they expire or the keys change: the memory is part of the
//! published keys, so it goes with them.
//!
//! What is remembered is that the signature was good. Whether its bearer may still act is asked of the World at every
//! request.

use credential::{AccessTokenClaims, JwtSvidClaims, Rejection, Verified, sha256};
use identity::UnixTime;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Tokens remembered at once. One takes about 1 KiB; a process has one of a class for five minutes.
const REMEMBERED_MAX: usize = 16_384;

/// Looks for expired tokens are this far apart, in milliseconds: one takes a millisecond when there are so many.
const SWEEP_MILLIS: u64 = 1_000;

/// Claims that end.
pub(crate) trait Ends {
    /// When.
    fn ends(&self) -> UnixTime;
}

impl Ends for JwtSvidClaims {
    fn ends(&self) -> UnixTime {
        self.expires_at
    }
}

impl Ends for AccessTokenClaims {
    fn ends(&self) -> UnixTime {
        self.expires_at
    }
}

/// Verified tokens of one class by SHA-256.
pub(crate) struct Remembered<C>(Mutex<Known<C>>);

struct Known<C> {
    by_digest: HashMap<[u8; 32], Arc<Verified<C>>>,
    swept_at: UnixTime,
}

impl<C: Ends> Known<C> {
    /// Remembers a token if there is room, or room can be made.
    fn insert(&mut self, digest: [u8; 32], token: Arc<Verified<C>>, now: UnixTime) {
        if self.by_digest.len() >= REMEMBERED_MAX && now.millis_since(self.swept_at) >= SWEEP_MILLIS {
            self.swept_at = now;
            self.by_digest.retain(|_, token| now < token.claims().ends());
        }
        if self.by_digest.len() < REMEMBERED_MAX {
            self.by_digest.insert(digest, token);
        }
    }
}

impl<C> Default for Remembered<C> {
    fn default() -> Self {
        Self(Mutex::new(Known {
            by_digest: HashMap::new(),
            swept_at: UnixTime::default(),
        }))
    }
}

impl<C> std::fmt::Debug for Remembered<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Remembered(…)")
    }
}

impl<C: Ends> Remembered<C> {
    /// Verifies `token`, or finds that it was verified before and has not expired since. No skew is granted here: what a
    /// token that is over already buys would be over at once.
    pub(crate) fn verified(
        &self,
        token: &str,
        now: UnixTime,
        verify: impl FnOnce(&str) -> Result<Verified<C>, Rejection>,
    ) -> Result<Arc<Verified<C>>, Rejection> {
        let digest = sha256(token.as_bytes());
        let known = self.known().by_digest.get(&digest).cloned();
        let verified = if let Some(known) = known {
            known
        } else {
            // Outside the lock: a signature takes 40 µs.
            let verified = Arc::new(verify(token)?);
            self.known().insert(digest, verified.clone(), now);
            verified
        };
        let ends = verified.claims().ends();
        if now < ends {
            return Ok(verified);
        }
        let by_secs = now.millis_since(ends) / 1000;
        Err(Rejection::Expired { by_secs })
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known<C>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

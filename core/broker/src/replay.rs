//! The replay cache: a proof is spent once (RFC 9449 section 11.1).
//!
//! Two generations of half the longest lifetime each, dropped whole; full means refuse, never forget. The durable half
//! of the promise (across a restart) is a precondition of the commit at the token endpoint, and a nonce bound to
//! the boot elsewhere.

use identity::UnixTime;
use std::collections::HashSet;

/// 16 bytes that name a proof: SHA-256 over key thumbprint, method, target and `jti`, cut short.
pub type ReplayKey = [u8; 16];

/// A proof was not seen before. Made only by [`ReplayCache::admit`].
#[derive(Debug)]
#[must_use = "spend it on the decision that the proof belongs to"]
pub struct Fresh {
    key: ReplayKey,
    until: UnixTime,
}

impl Fresh {
    /// What was admitted.
    pub const fn key(&self) -> ReplayKey {
        self.key
    }
    /// Until when it must not be admitted again.
    pub const fn until(&self) -> UnixTime {
        self.until
    }
}

/// Why a proof was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotFresh {
    /// It was seen before.
    #[error("the proof was used before")]
    Replayed,
    /// The cache is full: more proofs than its capacity within one lifetime.
    #[error("too many proofs at once; try again")]
    Full,
    /// It would have to be remembered for longer than the cache does.
    #[error("the proof lives longer than proofs may")]
    TooLong,
}

/// What was seen in the last lifetime. One per shard; a shard is chosen by the key.
#[derive(Debug)]
pub struct ReplayCache {
    lifetime_millis: u64,
    capacity: usize,
    generation: u64,
    current: HashSet<ReplayKey>,
    previous: HashSet<ReplayKey>,
}

impl ReplayCache {
    /// Remembers at most `capacity` proofs a generation, each for at least `lifetime_secs`.
    pub fn new(lifetime_secs: u64, capacity: usize) -> Self {
        Self {
            lifetime_millis: lifetime_secs.saturating_mul(1000).max(1),
            capacity,
            generation: 0,
            current: HashSet::new(),
            previous: HashSet::new(),
        }
    }

    /// Admits a proof once. `until` is when its own lifetime ends, skew included.
    pub fn admit(&mut self, key: ReplayKey, until: UnixTime, now: UnixTime) -> Result<Fresh, NotFresh> {
        self.turn(now);
        if until.millis_since(now) > self.lifetime_millis {
            return Err(NotFresh::TooLong);
        }
        if self.current.contains(&key) || self.previous.contains(&key) {
            return Err(NotFresh::Replayed);
        }
        if self.current.len() >= self.capacity {
            return Err(NotFresh::Full);
        }
        self.current.insert(key);
        Ok(Fresh { key, until })
    }

    /// Drops what is older than one whole lifetime.
    fn turn(&mut self, now: UnixTime) {
        let generation = now.millis() / self.lifetime_millis;
        if generation <= self.generation {
            return; // a clock that went back forgets nothing
        }
        let last = std::mem::take(&mut self.current);
        self.previous = if generation == self.generation + 1 {
            last
        } else {
            HashSet::new()
        };
        self.generation = generation;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_000_000);

    #[test]
    fn a_proof_is_admitted_once_as_long_as_it_lives() {
        let mut cache = ReplayCache::new(70, 10);
        let until = NOW.plus_secs(65);
        assert!(cache.admit([1; 16], until, NOW).is_ok());
        for later in [0, 30, 64, 65, 70] {
            assert_eq!(
                cache.admit([1; 16], until, NOW.plus_secs(later)).unwrap_err(),
                NotFresh::Replayed
            );
        }
        assert!(cache.admit([2; 16], until, NOW).is_ok());
    }

    #[test]
    fn a_clock_that_goes_back_forgets_nothing() {
        let mut cache = ReplayCache::new(70, 10);
        assert!(cache.admit([1; 16], NOW.plus_secs(65), NOW).is_ok());
        let earlier = NOW.minus_secs(200);
        assert_eq!(
            cache.admit([1; 16], earlier.plus_secs(65), earlier).unwrap_err(),
            NotFresh::Replayed
        );
    }

    #[test]
    fn full_refuses_instead_of_forgetting() {
        let mut cache = ReplayCache::new(70, 1);
        assert!(cache.admit([1; 16], NOW.plus_secs(65), NOW).is_ok());
        assert_eq!(
            cache.admit([2; 16], NOW.plus_secs(65), NOW).unwrap_err(),
            NotFresh::Full
        );
        assert_eq!(
            cache.admit([1; 16], NOW.plus_secs(65), NOW).unwrap_err(),
            NotFresh::Replayed
        );
    }

    #[test]
    fn a_proof_that_outlives_the_cache_is_refused() {
        let mut cache = ReplayCache::new(70, 10);
        assert_eq!(
            cache.admit([1; 16], NOW.plus_secs(71), NOW).unwrap_err(),
            NotFresh::TooLong
        );
    }
}

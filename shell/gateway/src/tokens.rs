//! Verified tokens, remembered until they expire, by the SHA-256 of their bytes.
//!
//! Only the signature and the claims are remembered. Whether a token is revoked, of which audience, and proven by
//! whom is judged again at each request; tokens verified with a set of keys are forgotten when the set changes.

use crate::view::Keys;
use credential::AccessTokenClaims;
use identity::UnixTime;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Shards: two requests rarely wait for each other.
const SHARDS: usize = 16;
/// Most tokens of one shard: 65,536 in all, some 2 KiB each.
const SHARD_MAX: usize = 4096;

type Hash = [u8; 32];

struct Known {
    claims: Arc<AccessTokenClaims>,
    keys: Arc<Keys>,
}

/// The cache.
#[derive(Default)]
pub(crate) struct Tokens([Mutex<HashMap<Hash, Known>>; SHARDS]);

impl Tokens {
    fn shard(&self, hash: &Hash) -> &Mutex<HashMap<Hash, Known>> {
        let [first, ..] = hash;
        let [zero, ..] = &self.0;
        self.0.get(usize::from(*first) % SHARDS).unwrap_or(zero)
    }

    pub(crate) fn get(&self, hash: &Hash, keys: &Arc<Keys>, now: UnixTime) -> Option<Arc<AccessTokenClaims>> {
        let shard = self.shard(hash).lock().unwrap_or_else(PoisonError::into_inner);
        let known = shard.get(hash)?;
        (Arc::ptr_eq(&known.keys, keys) && now < known.claims.expires_at).then(|| known.claims.clone())
    }

    pub(crate) fn put(&self, hash: Hash, claims: Arc<AccessTokenClaims>, keys: Arc<Keys>, now: UnixTime) {
        let mut shard = self.shard(&hash).lock().unwrap_or_else(PoisonError::into_inner);
        if shard.len() >= SHARD_MAX {
            shard.retain(|_, known| Arc::ptr_eq(&known.keys, &keys) && now < known.claims.expires_at);
        }
        if shard.len() < SHARD_MAX {
            shard.insert(hash, Known { claims, keys });
        }
    }
}

//! Nonces that a server can recognise without remembering them (RFC 9449 section 8).
//!
//! A nonce is a MAC over a 30-second bucket and the server's start. Only the server that made it accepts it, so its
//! local replay cache is exact; a restart changes the start, so the cache need not survive one.

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identity::{Secret, UnixTime};
use std::fmt;

/// Length of one bucket in seconds. A nonce is good in its own bucket and the next: 30 to 60 seconds, as long as a
/// proof is.
pub const NONCE_BUCKET_SECS: u64 = 30;
/// Bytes of the MAC that are sent: 128 bits cannot be guessed within a minute.
const NONCE_BYTES: usize = 16;

/// Makes and recognises nonces.
pub struct NonceKey {
    key: hmac::Key,
    boot_epoch: u64,
}

impl NonceKey {
    /// From a secret of this one server and a number that is different at each start.
    pub fn new(secret: &Secret<[u8; 32]>, boot_epoch: u64) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret.expose()),
            boot_epoch,
        }
    }
    /// The nonce of this moment: 22 characters.
    pub fn make(&self, now: UnixTime) -> String {
        let tag = self.tag(now.secs() / NONCE_BUCKET_SECS);
        URL_SAFE_NO_PAD.encode(tag.as_ref().get(..NONCE_BYTES).unwrap_or_default())
    }
    /// Whether this key made `nonce` in the current or the previous bucket.
    pub fn made(&self, nonce: &str, now: UnixTime) -> bool {
        let Ok(nonce) = URL_SAFE_NO_PAD.decode(nonce) else {
            return false;
        };
        let bucket = now.secs() / NONCE_BUCKET_SECS;
        let matches = |bucket| {
            let tag = self.tag(bucket);
            let wanted = tag.as_ref().get(..NONCE_BYTES).unwrap_or_default();
            constant_time::verify_slices_are_equal(wanted, &nonce).is_ok()
        };
        matches(bucket) || bucket.checked_sub(1).is_some_and(matches)
    }
    fn tag(&self, bucket: u64) -> hmac::Tag {
        let mut message = [0_u8; 16];
        let (epoch, place) = message.split_at_mut(8);
        epoch.copy_from_slice(&self.boot_epoch.to_be_bytes());
        place.copy_from_slice(&bucket.to_be_bytes());
        hmac::sign(&self.key, &message)
    }
}

impl fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_lives_for_its_bucket_and_the_next() {
        let key = NonceKey::new(&Secret::new([7; 32]), 1);
        let start = UnixTime::from_secs(1_800_000_000);
        let nonce = key.make(start);
        assert_eq!(nonce.len(), 22);
        assert!(key.made(&nonce, start));
        assert!(key.made(&nonce, start.plus_secs(59)));
        assert!(!key.made(&nonce, start.plus_secs(60)));
        assert!(!key.made(&nonce, start.minus_secs(1)));
    }

    #[test]
    fn another_server_or_another_start_does_not_know_it() {
        let now = UnixTime::from_secs(1_800_000_000);
        let nonce = NonceKey::new(&Secret::new([7; 32]), 1).make(now);
        assert!(!NonceKey::new(&Secret::new([7; 32]), 2).made(&nonce, now));
        assert!(!NonceKey::new(&Secret::new([8; 32]), 1).made(&nonce, now));
        for bad in ["", "AAAA", "!", "AAAAAAAAAAAAAAAAAAAAAA"] {
            assert!(!NonceKey::new(&Secret::new([7; 32]), 1).made(bad, now), "{bad}");
        }
    }
}

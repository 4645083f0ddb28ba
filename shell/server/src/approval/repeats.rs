//! Access requests that are sent again: one `Idempotency-Key` names one body (Access Request and Approval Profile, section
//! "Access Request Submission"; draft-ietf-httpapi-idempotency-key-header). That the same request is one record whatever its
//! key is the broker's doing.

use identity::{Digest, Name, OrgId, UnixTime};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// How long a key is remembered after it was first sent, in seconds: longer than any request waits.
const REMEMBERED_SECS: u64 = 24 * 3600;
/// Most keys of one service that are remembered: with more, those that are oldest are forgotten.
const PER_SERVICE_MAX: usize = 1024;
/// Longest key in bytes.
pub(super) const KEY_BYTES_MAX: usize = 255;

/// The keys of each service.
#[derive(Debug, Default)]
pub(crate) struct Repeats(Mutex<HashMap<(OrgId, Name), OfService>>);

/// What each key stands for, and since when.
type OfService = HashMap<String, (Digest, UnixTime)>;

impl Repeats {
    /// Whether `key` may stand for `body`: it stood for nothing else.
    pub(super) fn fits(&self, of: (OrgId, Name), key: &str, body: Digest, now: UnixTime) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.entry(of).or_default();
        own.retain(|_, (_, at)| now < at.plus_secs(REMEMBERED_SECS));
        if let Some((known, _)) = own.get(key) {
            return *known == body;
        }
        if own.len() >= PER_SERVICE_MAX
            && let Some(oldest) = own.iter().min_by_key(|(_, (_, at))| *at).map(|it| it.0.clone())
        {
            own.remove(&oldest);
        }
        own.insert(key.to_owned(), (body, now));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_for_one_body_of_one_service() {
        let (repeats, now) = (Repeats::default(), UnixTime::from_secs(1_000_000));
        let [one, two] = [1, 2].map(|byte| Digest::from_bytes([byte; 32]));
        let of = |name: &str| (OrgId::from_u128(1), name.parse::<Name>().unwrap());
        assert!(repeats.fits(of("edge"), "k", one, now));
        assert!(repeats.fits(of("edge"), "k", one, now));
        assert!(!repeats.fits(of("edge"), "k", two, now));
        assert!(repeats.fits(of("vault"), "k", two, now));
        assert!(repeats.fits(of("edge"), "k", two, now.plus_secs(REMEMBERED_SECS)));
    }
}

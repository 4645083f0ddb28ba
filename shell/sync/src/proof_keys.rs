//! Keys of DPoP proofs that were good, ready to verify the next one of the same client.
//!
//! Every proof of a client has the same header: its algorithm and its key. Reading that and finding the point on its
//! curve takes a third as long as the signature's verification, so it is done once (RFC 9449 section 4.2). What is
//! remembered is public and proves nothing: each proof is verified in full.

use credential::Rejection;
use credential::dpop::{self, DpopProof, ProofExpected, ProofKey};
use identity::UnixTime;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Keys remembered in one generation; there are two. One takes about 1 KiB.
const GENERATION_MAX: usize = 4096;
/// Longest header that is remembered, in bytes: that of a key of RSA-4096 has 800.
const HEADER_BYTES_MAX: usize = 1024;

/// The keys, by the header they came in.
#[derive(Default)]
pub struct ProofKeys(Mutex<Known>);

/// What was used lately, and what was used before that: when the first is full it becomes the second, whose keys that
/// nobody used meanwhile are gone.
#[derive(Default)]
struct Known {
    young: Generation,
    old: Generation,
}

type Generation = HashMap<Box<str>, Arc<ProofKey>>;

impl Known {
    fn insert(&mut self, header: &str, key: Arc<ProofKey>) {
        if self.young.len() >= GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(header.into(), key);
    }
}

impl ProofKeys {
    /// Verifies a proof; see [`dpop::verify`].
    pub fn verify(
        &self,
        proof: &str,
        expected: &ProofExpected<'_>,
        now: UnixTime,
    ) -> Result<DpopProof, Rejection> {
        let header = dpop::header_of(proof)?;
        if let Some(key) = self.of(header) {
            return key.verify(proof, expected, now);
        }
        // Outside the lock, and remembered only once it was good: who cannot sign does not push out who can.
        let key = ProofKey::of(proof)?;
        let good = key.verify(proof, expected, now)?;
        if header.len() <= HEADER_BYTES_MAX {
            self.known().insert(header, Arc::new(key));
        }
        Ok(good)
    }

    fn of(&self, header: &str) -> Option<Arc<ProofKey>> {
        let mut known = self.known();
        if let Some(key) = known.young.get(header) {
            return Some(key.clone());
        }
        let key = known.old.remove(header)?;
        known.insert(header, key.clone());
        Some(key)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for ProofKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProofKeys(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use credential::dpop::{NoncePolicy, RequestTarget};

    /// The example of RFC 9449 section 4.1.
    const PROOF: &str = include_str!("../../../testdata/vectors/rfc9449/4.1.proof");
    const NOW: UnixTime = UnixTime::from_secs(1_562_262_620);

    fn check(keys: &ProofKeys, proof: &str, method: &str) -> Result<DpopProof, Rejection> {
        let target = RequestTarget::parse("https://server.example.com/token").unwrap();
        let expected = ProofExpected {
            method,
            target: &target,
            access_token: None,
            nonce: NoncePolicy::Ignored,
        };
        keys.verify(proof, &expected, NOW)
    }

    #[test]
    fn a_key_that_is_known_does_not_spare_a_proof_anything() {
        let keys = ProofKeys::default();
        let proof = PROOF.trim();
        let header = dpop::header_of(proof).unwrap();
        let mut forged = proof.to_owned();
        let last = if forged.pop() == Some('g') { 'w' } else { 'g' };
        forged.push(last);
        for known in [false, true] {
            assert_eq!(keys.of(header).is_some(), known);
            assert_eq!(check(&keys, &forged, "POST"), Err(Rejection::BadSignature));
            assert_eq!(check(&keys, proof, "GET"), Err(Rejection::WrongRequest));
            assert_eq!(
                keys.of(header).is_some(),
                known,
                "what was no good proof is not remembered"
            );
            check(&keys, proof, "POST").unwrap();
        }
    }

    #[test]
    fn as_many_as_there_may_be_are_remembered_and_those_in_use_stay() {
        let keys = ProofKeys::default();
        let key = Arc::new(ProofKey::of(PROOF.trim()).unwrap());
        keys.known().insert("in use", key.clone());
        for number in 0..3 * GENERATION_MAX {
            keys.known().insert(&number.to_string(), key.clone());
            assert!(keys.of("in use").is_some(), "{number}");
        }
        let known = keys.known();
        assert!(known.young.len() + known.old.len() <= 2 * GENERATION_MAX);
        assert!(!known.young.contains_key("0") && !known.old.contains_key("0"));
    }
}

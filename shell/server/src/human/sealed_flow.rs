//! The state of a login that is under way, in its browser's own cookie: sealed, so that the browser can neither read nor
//! alter it, and the server keeps nothing for people who never come back.
//!
//! What must happen once is not here: a challenge or a nonce is spent in the commit that opens the session. The key is
//! drawn at each start, so a restart ends logins that are under way.

use crate::entropy::{NoEntropy, random};
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identity::UnixTime;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// The key of this start.
pub(super) struct FlowKey(RandomizedNonceKey);

impl std::fmt::Debug for FlowKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FlowKey")
    }
}

/// A step of a login: what it is for, and its state.
pub(super) trait Flow: Serialize + DeserializeOwned {
    /// A state of one purpose does not open as another.
    const PURPOSE: &'static str;
}

impl FlowKey {
    pub(super) fn new() -> Result<Self, NoEntropy> {
        let key = Zeroizing::new(random::<32>()?);
        RandomizedNonceKey::new(&AES_256_GCM, key.as_slice())
            .map(Self)
            .map_err(|_| NoEntropy)
    }

    /// Seals a state that is good until `until`.
    pub(super) fn seal<F: Flow>(&self, flow: &F, until: UnixTime) -> Option<String> {
        let mut bytes = serde_json::to_vec(&(until.millis(), flow)).ok()?;
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(F::PURPOSE.as_bytes()), &mut bytes)
            .ok()?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut bytes);
        Some(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Opens one that is still good.
    pub(super) fn open<F: Flow>(&self, sealed: &str, now: UnixTime) -> Option<F> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, bytes) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut bytes = bytes.to_vec();
        let opened = self
            .0
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(F::PURPOSE.as_bytes()),
                &mut bytes,
            )
            .ok()?;
        let (until, flow): (u64, F) = serde_json::from_slice(opened).ok()?;
        (now.millis() < until).then_some(flow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct One(String);
    impl Flow for One {
        const PURPOSE: &'static str = "one";
    }
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Other(String);
    impl Flow for Other {
        const PURPOSE: &'static str = "other";
    }

    #[test]
    fn a_state_opens_unaltered_for_its_purpose_and_in_time() {
        let (key, now) = (FlowKey::new().unwrap(), UnixTime::from_secs(1_000_000));
        let sealed = key.seal(&One("x".into()), now.plus_secs(300)).unwrap();
        assert_eq!(key.open(&sealed, now), Some(One("x".into())));
        assert_eq!(key.open::<Other>(&sealed, now), None);
        assert_eq!(key.open::<One>(&sealed, now.plus_secs(300)), None);
        assert_eq!(FlowKey::new().unwrap().open::<One>(&sealed, now), None);
        let mut bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        for place in [0, 13, bytes.len() - 1] {
            bytes[place] ^= 1;
            assert_eq!(key.open::<One>(&URL_SAFE_NO_PAD.encode(&bytes), now), None);
            bytes[place] ^= 1;
        }
        assert_eq!(key.open::<One>("", now), None);
    }
}

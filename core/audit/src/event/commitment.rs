//! Personal values in a record that can never be changed: commitments under a key that can be destroyed.
//!
//! The log keeps HMAC-SHA256 (RFC 2104) of the value under a key of the org. Equal values give equal commitments,
//! so one can still count and join; who knows a candidate and holds the key can check it; once the key is
//! destroyed nobody can. It is not encryption: nothing recovers a value from its commitment.

use aws_lc_rs::hmac;
use identity::{Digest, Secret};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

const PREFIX: &str = "hmac-sha256:";

/// The per-org key of commitments. Destroying it erases what they stood for.
#[derive(Debug)]
pub struct CommitmentKey(Secret<[u8; 32]>);

impl CommitmentKey {
    /// Takes custody of 32 random bytes.
    pub const fn new(key: Secret<[u8; 32]>) -> Self {
        Self(key)
    }

    /// The commitment to `value`. `what` names the kind of value (`email`, `user`), so that an e-mail address and a
    /// user name that read the same do not show it.
    pub fn commit(&self, what: &str, value: &str) -> Commitment {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.expose());
        let mut mac = hmac::Context::with_key(&key);
        mac.update(what.as_bytes());
        mac.update(&[0]);
        mac.update(value.as_bytes());
        let mut bytes = [0; 32];
        for (slot, byte) in bytes.iter_mut().zip(mac.sign().as_ref()) {
            *slot = *byte;
        }
        Commitment(Digest::from_bytes(bytes))
    }
}

/// A keyed commitment to a personal value. Written `hmac-sha256:` and 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Commitment(Digest);

impl Commitment {
    /// The kind of value of a user's id, wherever one is committed.
    pub const USER: &'static str = "user";
}

/// Why a text is not a [`Commitment`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a commitment is \"hmac-sha256:\" and 64 lower-case hex digits")]
pub struct CommitmentError;

impl fmt::Display for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0.hex())
    }
}

impl FromStr for Commitment {
    type Err = CommitmentError;
    fn from_str(text: &str) -> Result<Self, CommitmentError> {
        let hex = text.strip_prefix(PREFIX).ok_or(CommitmentError)?;
        let digest = format!("sha256:{hex}").parse().map_err(|_| CommitmentError)?;
        Ok(Self(digest))
    }
}
impl TryFrom<String> for Commitment {
    type Error = CommitmentError;
    fn try_from(text: String) -> Result<Self, CommitmentError> {
        text.parse()
    }
}
impl From<Commitment> for String {
    fn from(commitment: Commitment) -> Self {
        commitment.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231 section 4.3 (test case 2) covers HMAC itself; here the key is 32 bytes and the input is framed.
    #[test]
    fn equal_values_agree_and_kinds_keys_and_values_are_kept_apart() {
        let key = CommitmentKey::new(Secret::new([7; 32]));
        let other = CommitmentKey::new(Secret::new([8; 32]));
        let it = key.commit("email", "a@example.org");
        assert_eq!(it, key.commit("email", "a@example.org"));
        assert_ne!(it, key.commit("user", "a@example.org"));
        assert_ne!(it, key.commit("email", "b@example.org"));
        assert_ne!(it, other.commit("email", "a@example.org"));
        assert_eq!(it.to_string().parse(), Ok(it));
        assert!(!format!("{key:?} {it}").contains("example"));
    }
}

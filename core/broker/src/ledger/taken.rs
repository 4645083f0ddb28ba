//! What a call takes from the Ledger and adds to it, as its entry carries it.

use super::TrailKey;
use identity::{Name, UnixTime};
use policy::{CounterId, Labels};
use serde::{Deserialize, Serialize};

/// What is counted: whose (agent, task or instance, by the bits of its id) and what.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct WindowKey {
    /// The bits of an id.
    #[serde(with = "bits")]
    pub of: u128,
    /// The window's length, 0 for no end: windows of equal length and subject share a count, whatever contract
    /// version asks.
    pub per_secs: u32,
    /// What is counted; 0 for calls.
    #[serde(default, skip_serializing_if = "is_calls")]
    pub what: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_calls(what: &u64) -> bool {
    *what == 0
}

impl WindowKey {
    /// The key of `counter` for the agent, task or instance with these bits; `None` for a length of time that no
    /// contract can hold.
    pub fn new(of: u128, counter: &CounterId) -> Option<Self> {
        let what = match &counter.counted {
            policy::Counted::Calls => 0,
            other => short_hash(&other.to_string()),
        };
        Some(Self {
            of,
            per_secs: u32::try_from(counter.per_secs).ok()?,
            what,
        })
    }
}

/// The first 53 bits of a SHA-256, so that every JSON reader holds it exactly; never 0.
fn short_hash(text: &str) -> u64 {
    let digest = credential::sha256(text.as_bytes());
    let bits = digest.first_chunk().map_or(1, |first| u64::from_be_bytes(*first));
    (bits >> 11).max(1)
}

/// 128 bits as 32 hex digits: no JSON number holds them.
pub(super) mod bits {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use std::borrow::Cow;

    pub(crate) fn serialize<S: Serializer>(bits: &u128, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{bits:032x}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u128, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        u128::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}

/// What was taken from one counter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Taken {
    /// Where.
    pub key: WindowKey,
    /// When.
    pub at: UnixTime,
    /// How much.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub amount: u64,
    /// The names that were new, where different names are counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<Box<str>>,
}

impl Taken {
    /// One of something.
    pub const fn one(key: WindowKey, at: UnixTime) -> Self {
        Self {
            key,
            at,
            amount: 1,
            names: Vec::new(),
        }
    }
}

const fn one() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_one(amount: &u64) -> bool {
    *amount == 1
}

/// What one call adds to the trail of its task and its instance.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Whose trails: the task at the root of the tree, and the instance.
    #[serde(default)]
    pub of: Vec<TrailKey>,
    /// What it sees.
    #[serde(default)]
    pub labels: Labels,
    /// What it does; `None` for a refused call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Name>,
    /// Which steps of which agent's declared graph it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<(Name, Name)>,
    /// Whether it ends the task or instance.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspends: bool,
    /// A human lowered the labels before this, by the Change of this revision. Each call carries the last one, so that
    /// after a restart what was read since is not lowered by the same word again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declassified: Option<u64>,
    /// When.
    #[serde(default)]
    pub at: UnixTime,
}

impl Seen {
    /// The end of tasks or instances: too many of its calls were refused.
    pub fn ended(of: Vec<TrailKey>, at: UnixTime) -> Self {
        Self {
            of,
            suspends: true,
            at,
            ..Self::default()
        }
    }
}

//! The one registry of typed ids: `prefix_` and 26 Crockford characters of a UUIDv7.
//!
//! An id that a change of state made carries what a server needs to know whether it is behind
//! (see [`Id::mint`]): the number of the log it was opened on and the revision it appeared at.
//!
//! ```text
//!  48 bits  milliseconds since 1970   (UUIDv7, RFC 9562 section 5.7)
//!   4 bits  version = 7
//!  12 bits  log number of the server that made it (its home)
//!   2 bits  variant = 0b10
//!  40 bits  revision of the Change that made it; 0 for ids that no Change makes
//!  22 bits  random
//! ```

use crate::{LogId, Revision, UnixTime};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

/// Why a text is not an id of the expected kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Another kind of id, or none at all.
    #[error("the id does not start with \"{0}_\"")]
    Prefix(&'static str),
    /// Not exactly 26 characters after the prefix.
    #[error("an id has 26 characters after its prefix")]
    Length,
    /// A character outside Crockford's alphabet (lower case, `i`, `l`, `o` and `u` are refused).
    #[error("an id holds only the digits and letters 0-9 A-Z without I, L, O, U")]
    Alphabet,
    /// 26 characters can hold 130 bits; an id has 128.
    #[error("the id is larger than 128 bits")]
    Overflow,
}

/// What tells one kind of id from another at compile time.
pub trait Kind: Copy + Eq + 'static {
    /// The part before the underscore.
    const PREFIX: &'static str;
}

/// A typed 128-bit id. Make your own kind only here, in the registry below.
pub struct Id<K: Kind>(u128, PhantomData<fn() -> K>);

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters after the underscore.
const DIGITS: usize = 26;
/// Room for any id of the registry: the longest prefix has four letters.
const TEXT_BYTES_MAX: usize = 8 + 1 + DIGITS;
const REVISION_BITS: u32 = 40;
const REVISION_MASK: u128 = (1 << REVISION_BITS) - 1;
const RANDOM_BITS: u32 = 22;

impl<K: Kind> Id<K> {
    /// An id that no Change makes (decisions, events, tokens): time, home log and 62 random bits.
    pub const fn random(now: UnixTime, log: LogId, random: u64) -> Self {
        Self::assemble(now, log, random as u128 & ((1 << 62) - 1))
    }
    /// An id that the Change at `revision` makes. The writer knows the revision only at its commit, so an id is
    /// first made with revision zero and then stamped with [`Id::at`].
    pub const fn mint(now: UnixTime, log: LogId, random: u64) -> Self {
        Self::assemble(now, log, random as u128 & ((1 << RANDOM_BITS) - 1))
    }
    /// The same id, stamped with the revision of the Change that made it.
    #[must_use]
    pub const fn at(self, revision: Revision) -> Self {
        let cleared = self.0 & !(REVISION_MASK << RANDOM_BITS);
        Self(
            cleared | (revision.0 as u128 & REVISION_MASK) << RANDOM_BITS,
            PhantomData,
        )
    }
    /// The revision stamped by [`Id::at`]; meaningful only for ids that a Change makes.
    pub const fn revision(self) -> Revision {
        Revision((self.0 >> RANDOM_BITS & REVISION_MASK) as u64)
    }
    /// The log number of the server that made it.
    pub const fn home(self) -> LogId {
        LogId((self.0 >> 64 & 0xfff) as u16)
    }
    /// The 128 bits.
    pub const fn as_u128(self) -> u128 {
        self.0
    }
    /// From 128 bits that came out of [`Id::as_u128`].
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits, PhantomData)
    }

    /// Writes its text into `room`: entries hold a dozen ids, and formatting goes a long way round.
    fn text<'r>(&self, room: &'r mut [u8; TEXT_BYTES_MAX]) -> &'r str {
        let prefix = K::PREFIX.as_bytes();
        let underscore = std::iter::once(&b'_');
        let digits = (0..DIGITS).map(|place| {
            let digit = (self.0 >> (5 * (DIGITS - 1 - place)) & 31) as usize;
            ALPHABET.get(digit).unwrap_or(&b'0')
        });
        for (slot, byte) in room.iter_mut().zip(prefix.iter().chain(underscore).chain(digits)) {
            *slot = *byte;
        }
        let text = room.get(..prefix.len() + 1 + DIGITS).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }

    const fn assemble(now: UnixTime, log: LogId, low: u128) -> Self {
        let time = (now.millis() as u128 & 0xffff_ffff_ffff) << 80;
        Self(
            time | 7 << 76 | (log.0 as u128 & 0xfff) << 64 | 0b10 << 62 | low,
            PhantomData,
        )
    }
}

#[expect(clippy::expl_impl_clone_on_copy, reason = "derive would ask for K: Clone")]
impl<K: Kind> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K: Kind> Copy for Id<K> {}
impl<K: Kind> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K: Kind> Eq for Id<K> {}
impl<K: Kind> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K: Kind> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K: Kind> std::hash::Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(self.0);
    }
}
impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text(&mut [0; TEXT_BYTES_MAX]))
    }
}
impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl<K: Kind> FromStr for Id<K> {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let body = text
            .strip_prefix(K::PREFIX)
            .and_then(|rest| rest.strip_prefix('_'))
            .ok_or(IdError::Prefix(K::PREFIX))?
            .as_bytes();
        let [first, ..] = body else {
            return Err(IdError::Length);
        };
        if body.len() != 26 {
            return Err(IdError::Length);
        }
        if *first > b'7' {
            return Err(IdError::Overflow);
        }
        let mut bits = 0_u128;
        for byte in body {
            let digit = ALPHABET.iter().position(|a| a == byte).ok_or(IdError::Alphabet)?;
            bits = bits << 5 | digit as u128;
        }
        Ok(Self(bits, PhantomData))
    }
}
impl<K: Kind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() {
            to.serialize_str(self.text(&mut [0; TEXT_BYTES_MAX]))
        } else {
            self.0.serialize(to)
        }
    }
}
impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if from.is_human_readable() {
            crate::text::parsed(from)
        } else {
            Ok(Self(u128::deserialize(from)?, PhantomData))
        }
    }
}

/// A hasher for maps keyed by ids: the random and revision bits are already spread, one multiply mixes them.
#[derive(Default, Clone, Copy)]
pub struct IdHash(u64);

/// `BuildHasher` of [`IdHash`], for `HashMap<TaskId, _, IdHasher>`.
pub type IdHasher = BuildHasherDefault<IdHash>;

impl Hasher for IdHash {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u128(u128::from(*byte));
        }
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "both halves are taken, one after the other"
    )]
    fn write_u128(&mut self, bits: u128) {
        let folded = (bits as u64) ^ (bits >> 64) as u64 ^ self.0.rotate_left(29);
        self.0 = folded.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26);
    }
}

macro_rules! registry {
    ($($(#[$doc:meta])* $name:ident, $kind:ident, $prefix:literal;)*) => {$(
        $(#[$doc])*
        pub type $name = Id<kind::$kind>;
    )*
    /// Markers that tell one kind of id from another at compile time.
    pub mod kind {
        $(
            #[doc = concat!("Marker of the kind `", $prefix, "_`.")]
            #[derive(Clone, Copy, PartialEq, Eq, Debug)]
            pub struct $kind;
            impl super::Kind for $kind {
                const PREFIX: &'static str = $prefix;
            }
        )*
    }};
}

registry! {
    /// An org: the isolation unit of an installation.
    OrgId, Org, "org";
    /// A registered AI agent.
    AgentId, Agent, "agt";
    /// One unit of work, opened by somebody who may.
    TaskId, Task, "task";
    /// What one launch started.
    RunId, Run, "run";
    /// One attested process instance of an agent.
    InstanceId, Instance, "ins";
    /// A node agent.
    NodeId, Node, "node";
    /// A service that agents call through the gateway.
    UpstreamId, Upstream, "ups";
    /// One decision, allowed or not.
    DecisionId, Decision, "dec";
    /// Credentials that descend from one exchange.
    FamilyId, Family, "fam";
    /// One credential (`jti`).
    TokenId, Token, "tok";
    /// A human's approval of one request.
    ApprovalId, Approval, "apr";
    /// One audit event.
    EventId, Event, "evt";
    /// One session of a person.
    SessionId, Session, "ses";
    /// A right beyond a contract, for a while.
    ExceptionId, Exception, "exc";
    /// An endpoint that is told of approvals.
    WebhookId, Webhook, "whk";
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_millis(1_795_324_183_120);

    #[test]
    fn ids_round_trip_and_are_uuid_v7() {
        let id = DecisionId::random(NOW, LogId(5), u64::MAX);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.as_u128() >> 76 & 15, 7);
        assert_eq!(id.as_u128() >> 62 & 3, 0b10);
        assert_eq!((id.as_u128() >> 80) as u64, NOW.millis());
        assert_eq!(id.home(), LogId(5));
    }

    #[test]
    fn a_minted_id_tells_its_revision_and_home() {
        let id = TaskId::mint(NOW, LogId(3), u64::MAX).at(Revision(123_456));
        assert_eq!((id.revision(), id.home()), (Revision(123_456), LogId(3)));
        assert_eq!(id.at(Revision(7)).revision(), Revision(7));
    }

    #[test]
    fn other_kinds_and_bad_texts_are_refused() {
        let id = DecisionId::random(NOW, LogId(0), 1).to_string();
        assert_eq!(id.parse::<TaskId>(), Err(IdError::Prefix("task")));
        assert_eq!(id.to_lowercase().parse::<DecisionId>(), Err(IdError::Alphabet));
        assert_eq!(format!("{id}0").parse::<DecisionId>(), Err(IdError::Length));
        assert_eq!(
            "dec_80000000000000000000000000".parse::<DecisionId>(),
            Err(IdError::Overflow)
        );
        assert_eq!("dec_".parse::<DecisionId>(), Err(IdError::Length));
    }
}

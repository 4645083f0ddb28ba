//! From an event to the bytes of its entry, and back.
//!
//! [`Event::encode`] gives a [`Draft`]: canonical bytes without a place. The store, and only the store, knows the
//! place when it commits: [`Draft::seal`] adds it as the last member, `writer`, without encoding anything again,
//! and stamps the id that the entry's Change makes. Reading accepts canonical bytes only, so duplicate keys,
//! spaces, `null` members and other spellings of the same value are all refused by one comparison.

use super::canonical::{self, Flaw};
use super::{Event, Minted, VERSION};
use crate::merkle;
use identity::{Digest, EntryRef, LogId, Revision};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest entry in bytes. tlog-tiles allows 65,535 in an entry bundle; the rest is room for framing elsewhere.
/// Larger evidence is referred to by its digest.
pub const ENTRY_BYTES_MAX: usize = 60 * 1024;
/// Room for most entries with their `writer`: a decision of one link takes 3,000 bytes.
const ENTRY_BYTES_USUAL: usize = 4096;
/// Longest `writer` member: the names, and four integers of at most 20 digits.
const WRITER_BYTES_MAX: usize = 160;
/// The member the store appends. No member of an event sorts after it.
const WRITER: &str = "writer";

/// Why an event cannot be recorded. The request it belongs to is refused: what cannot be recorded is not done.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// Too long.
    #[error(
        "the event takes {bytes} bytes; an entry has at most 61440: refer to large evidence by its digest"
    )]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// A number that not every reader gets exactly.
    #[error("the event holds a fraction or an integer beyond 2^53-1: write it as a string")]
    Number,
    /// Nested too deep.
    #[error("the event nests deeper than 32 levels")]
    Depth,
    /// An unknown member that would come after, or in place of, the one the store appends.
    #[error("an event has no member {0:?}: its last member is \"writer\", and the store writes that")]
    AfterWriter(String),
    /// An unknown member with the name of a known one.
    #[error("the event holds a known member among the unknown ones: set the field instead")]
    KnownAsUnknown,
    /// The minted id as the name of a member: stamping it could change the order of members.
    #[error("the event uses the id it mints as the name of a member: use it as a value")]
    MintedName,
    /// Not this version of the format.
    #[error("the event says version {0}; this writer writes version 1")]
    Version(u8),
    /// serde_json refused it.
    #[error("the event is not expressible in JSON")]
    Json(#[from] serde_json::Error),
}

/// Why bytes are not an entry of event v1.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// Too long.
    #[error("an entry has at most 61440 bytes; this one has {bytes}")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// Another version of the format.
    #[error("the entry says version {0}; this reader knows version 1")]
    Version(u64),
    /// Not JSON, or a member of the wrong form.
    #[error("the entry is not an event: {0}")]
    Json(#[from] serde_json::Error),
    /// Not in canonical form: spaces, order, duplicate or `null` members, other spellings.
    #[error("the entry is not in canonical form (RFC 8785)")]
    NotCanonical,
    /// An entry has a place.
    #[error("the bytes hold no \"writer\": they are a draft, not an entry")]
    NotSealed,
    /// A draft has no place yet.
    #[error("the bytes hold a \"writer\": they are an entry, not a draft of one")]
    AlreadySealed,
    /// A number or nesting that no writer makes.
    #[error("the entry could not have been written: {0}")]
    Unwritable(EncodeError),
}

/// Where an entry stands. Only the store makes one, at the commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriterStamp {
    /// The cluster epoch: how often the installation was restored.
    pub epoch: u64,
    /// The entry's place in its log, dense from zero.
    pub index: u64,
    /// The log.
    pub log: LogId,
    /// The World revision after this entry: the one its Change made, or else the newest at the commit.
    pub revision: Revision,
}

impl WriterStamp {
    /// Log and index.
    pub const fn place(&self) -> EntryRef {
        EntryRef {
            log: self.log,
            index: self.index,
        }
    }
}

/// The canonical bytes of an event that has no place yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Draft {
    bytes: Vec<u8>,
    minted: Option<Minted>,
}

impl Draft {
    /// The bytes as they are now: an unstamped id, no writer.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }
    /// The id that the entry's Change makes, unstamped.
    pub const fn minted(&self) -> Option<Minted> {
        self.minted
    }
    /// The bytes of the entry at its place.
    pub fn seal(self, stamp: WriterStamp) -> EntryBytes {
        let mut bytes = self.bytes;
        if let Some(minted) = self.minted {
            // Only the 26 characters after the prefix: a run and its first instance share them.
            let (from, to) = (minted.to_string(), minted.at(stamp.revision).to_string());
            replace(&mut bytes, body(&from).as_bytes(), body(&to).as_bytes());
        }
        bytes.pop();
        let WriterStamp {
            epoch,
            index,
            log,
            revision,
        } = stamp;
        let writer = format!(
            ",\"{WRITER}\":{{\"epoch\":{epoch},\"index\":{index},\"log\":{},\"revision\":{revision}}}}}",
            log.0
        );
        bytes.extend_from_slice(writer.as_bytes());
        EntryBytes(bytes)
    }
}

/// What follows an id's prefix.
fn body(id: &str) -> &str {
    id.split_once('_').map_or(id, |(_, body)| body)
}

/// Whether the id stands in front of a colon, as the name of a member.
fn names_a_member(bytes: &[u8], minted: Minted) -> bool {
    let name = format!("{minted}\":");
    bytes.windows(name.len()).any(|window| window == name.as_bytes())
}

/// Replaces every `from` by `to`, which is as long.
fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let mut rest = bytes;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        let Some((found, after)) = rest
            .get_mut(at..)
            .and_then(|tail| tail.split_at_mut_checked(from.len()))
        else {
            return;
        };
        found.copy_from_slice(to);
        rest = after;
    }
}

/// The canonical bytes of an entry: what is hashed, stored and exported. Made only by [`Draft::seal`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EntryBytes(Vec<u8>);

impl EntryBytes {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
    /// Its hash in the tree.
    pub fn leaf_hash(&self) -> Digest {
        merkle::leaf_hash(&self.0)
    }
}

/// An entry as read back: the event and its place.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// What happened.
    pub event: Event,
    /// Where it stands.
    pub writer: WriterStamp,
}

impl Entry {
    /// Reads the bytes of an entry; refuses all but the canonical form.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let mut event = read(bytes)?;
        let writer = event.extra.remove(WRITER).ok_or(ParseError::NotSealed)?;
        let writer = WriterStamp::deserialize(writer)?;
        let entry = Self { event, writer };
        match entry.encode() {
            Ok(again) if again.as_slice() == bytes => Ok(entry),
            Ok(_) => Err(ParseError::NotCanonical),
            Err(unwritable) => Err(ParseError::Unwritable(unwritable)),
        }
    }

    /// The bytes it was read from.
    pub fn encode(&self) -> Result<EntryBytes, EncodeError> {
        let bytes = self.event.encode()?.bytes;
        // Its id has been stamped already.
        Ok(Draft { bytes, minted: None }.seal(self.writer))
    }
}

impl Event {
    /// The canonical bytes of the event, checked against every limit an entry has.
    pub fn encode(&self) -> Result<Draft, EncodeError> {
        if self.v != VERSION {
            return Err(EncodeError::Version(self.v));
        }
        if let Some(name) = self.extra.keys().find(|name| name.as_str() >= WRITER) {
            return Err(EncodeError::AfterWriter(name.clone()));
        }
        let bytes = if self.is_plain() {
            let mut bytes = Vec::with_capacity(ENTRY_BYTES_USUAL);
            serde_json::to_writer(&mut bytes, self)?;
            bytes
        } else {
            self.encode_with_unknown_members()?
        };
        if bytes.len() > ENTRY_BYTES_MAX - WRITER_BYTES_MAX {
            return Err(EncodeError::TooLong { bytes: bytes.len() });
        }
        if self.minted.is_some_and(|minted| names_a_member(&bytes, minted)) {
            return Err(EncodeError::MintedName);
        }
        match canonical::flaw(&bytes) {
            Some(Flaw::Number) => Err(EncodeError::Number),
            Some(Flaw::Depth) => Err(EncodeError::Depth),
            None => Ok(Draft {
                bytes,
                minted: self.minted,
            }),
        }
    }

    /// Reads the bytes of a draft; refuses all but the canonical form.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let event = read(bytes)?;
        if event.extra.contains_key(WRITER) {
            return Err(ParseError::AlreadySealed);
        }
        match event.encode() {
            Ok(again) if again.as_slice() == bytes => Ok(event),
            Ok(_) => Err(ParseError::NotCanonical),
            Err(unwritable) => Err(ParseError::Unwritable(unwritable)),
        }
    }

    /// Unknown members have to be sorted in between the known ones.
    fn encode_with_unknown_members(&self) -> Result<Vec<u8>, EncodeError> {
        let value = serde_json::to_value(self)?;
        let bytes = canonical::canonical_json(&value)?;
        // A known member that hides among the unknown ones was overwritten, or reads back as something else.
        if serde_json::from_slice::<Self>(&bytes).is_ok_and(|again| again == *self) {
            Ok(bytes)
        } else {
            Err(EncodeError::KnownAsUnknown)
        }
    }
}

fn read(bytes: &[u8]) -> Result<Event, ParseError> {
    #[derive(Deserialize)]
    struct Version {
        v: Value,
    }
    if bytes.len() > ENTRY_BYTES_MAX {
        return Err(ParseError::TooLong { bytes: bytes.len() });
    }
    let Version { v } = serde_json::from_slice(bytes)?;
    match v.as_u64() {
        Some(v) if v == u64::from(VERSION) => Ok(serde_json::from_slice(bytes)?),
        other => Err(ParseError::Version(other.unwrap_or_default())),
    }
}

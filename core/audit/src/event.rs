//! Event v1: one fact of the record, in the words of `docs/reference/event.md`.
//!
//! An event is serialised directly as RFC 8785 canonical JSON: every struct declares its fields in the order of
//! their wire names, maps are sorted, there are no fractions. What is absent is left out, never `null`.
//!
//! The format is frozen: fields and kinds may be added, meanings never change, and a field that this code does not
//! know is kept (`extra`), so that reading and writing an entry of a newer writer gives the same bytes.
//!
//! Personal values are not written in clear: see [`Commitment`]. The place of an entry in its log is not part of
//! the event; the store adds it when it commits ([`Draft::seal`]).

mod canonical;
mod commitment;
mod credential;
mod decision;
mod entry;
mod kind;
mod minted;
mod outcome;
mod purpose;
mod who;

#[cfg(test)]
mod tests;

pub use canonical::canonical_json;
pub use commitment::{Commitment, CommitmentError, CommitmentKey};
pub use credential::{Credential, CredentialClass};
pub use decision::{Decision, Fact, Link, LinkVerdict, Provenance, Ruling, Shadow};
pub use entry::{Draft, ENTRY_BYTES_MAX, EncodeError, Entry, EntryBytes, ParseError, WriterStamp};
pub use kind::EventKind;
pub use minted::Minted;
pub use outcome::{Outcome, Status, Trace};
pub use purpose::{What, Why};
pub use who::{AssuranceRecord, Caller, CallerKind, Human, Who};

use identity::{Digest, EventId, OrgId, Revision, UnixTime};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The only version of the format there is.
pub const VERSION: u8 = 1;

/// Fields that this version does not know, by wire name. Empty in every event that this version makes.
pub type Extra = BTreeMap<String, Value>;

/// One event. Build it with [`Event::new`] and fill in the groups that apply.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// When it happened: the time the request was judged at, milliseconds since 1970 by the writer's clock.
    pub at: UnixTime,
    /// On whose behalf and through whom: the originating principal first, the current actor last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<Link>,
    /// One line for people per Change that was committed with this entry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub change_summary: Vec<String>,
    /// Digest of the Changes that were committed with this entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Digest>,
    /// The credential this is about; never the credential itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Credential>,
    /// What was decided, why, and on which facts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// What else belongs to this kind of event. Integers between -(2^53-1) and 2^53-1 only.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        serialize_with = "canonical::sorted_map"
    )]
    pub detail: BTreeMap<String, Value>,
    /// The person who did it, for what people do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub human: Option<Human>,
    /// This event.
    pub id: EventId,
    /// What happened.
    pub kind: EventKind,
    /// The id that this entry's Change makes. Every occurrence of it is stamped at the commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minted: Option<Minted>,
    /// The org it belongs to; absent for what concerns the installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<OrgId>,
    /// How a permitted action ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The World revision it was decided on.
    pub rev: Revision,
    /// Where it belongs in a distributed trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
    /// The version of this format: [`VERSION`].
    pub v: u8,
    /// The action and its object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<What>,
    /// The agent, and how well that is proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<Who>,
    /// Task, purpose and tenants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
    /// Fields of newer writers, kept. None may sort after `writer`, which the store appends.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Event {
    /// An event with the groups that every event has.
    pub const fn new(id: EventId, at: UnixTime, kind: EventKind, rev: Revision) -> Self {
        Self {
            at,
            chain: Vec::new(),
            change_summary: Vec::new(),
            changes: None,
            credential: None,
            decision: None,
            detail: BTreeMap::new(),
            human: None,
            id,
            kind,
            minted: None,
            org: None,
            outcome: None,
            rev,
            trace: None,
            v: VERSION,
            what: None,
            who: None,
            why: None,
            extra: Extra::new(),
        }
    }

    /// Whether it was made by this version: nothing in it has to be sorted in.
    fn is_plain(&self) -> bool {
        let none = |extra: Option<&Extra>| extra.is_none_or(BTreeMap::is_empty);
        self.extra.is_empty()
            && self.chain.iter().all(|link| link.extra.is_empty())
            && none(self.credential.as_ref().map(|it| &it.extra))
            && none(self.human.as_ref().map(|it| &it.extra))
            && none(self.outcome.as_ref().map(|it| &it.extra))
            && none(self.trace.as_ref().map(|it| &it.extra))
            && none(self.what.as_ref().map(|it| &it.extra))
            && none(self.why.as_ref().map(|it| &it.extra))
            && self.decision.as_ref().is_none_or(Decision::is_plain)
            && self.who.as_ref().is_none_or(Who::is_plain)
    }
}

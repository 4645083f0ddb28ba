//! Callers that nobody could identify: counted, one entry for each source and second, so that nobody can fill the disk
//! by being refused.
//!
//! Server, gateway and node agent each keep a [`Tally`] behind a lock of their own and empty it once a second.

use crate::draw::Draw;
use crate::plan::Plan;
use crate::world::{NodeRecord, World};
use audit::event::Who;
use audit::{Event, EventKind};
use identity::{NodeId, RunId, UnixTime};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;

/// Sources told apart within one second; all further ones are counted together. Bounds a log at 65 entries a second,
/// whatever anyone sends.
const SOURCES_MAX: usize = 64;

/// The code for processes that connected to the listener of a run that they are not of.
pub const OUTSIDE_RUN: &str = "TABARD-CALL-001";

/// Where refused callers come from, as far as anybody can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// A network address.
    Address(IpAddr),
    /// A member that asks for what it may not have, more often than singly recorded.
    Member(NodeId),
    /// Processes of the node's own host that are not of the run whose listener they connected to.
    AtRun {
        /// Their uid by the kernel; `None` if the connection was gone before it was looked up.
        uid: Option<u32>,
        /// Whose listener it was.
        run: RunId,
    },
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(ip) => ip.fmt(f),
            Self::Member(member) => member.fmt(f),
            Self::AtRun { uid: Some(uid), run } => write!(f, "uid {uid} at {run}"),
            Self::AtRun { uid: None, run } => write!(f, "unknown uid at {run}"),
        }
    }
}

/// How often each source was refused since the tally was last taken, by code.
#[derive(Debug, Default)]
pub struct Tally(HashMap<Option<Source>, BTreeMap<&'static str, u64>>);

impl Tally {
    /// Counts one refusal. The codes are ours, so their number is bounded too.
    pub fn count(&mut self, source: Source, code: &'static str) {
        let known = self.0.len() < SOURCES_MAX || self.0.contains_key(&Some(source));
        let counts = self.0.entry(known.then_some(source)).or_default();
        let times = counts.entry(code).or_default();
        *times = times.saturating_add(1);
    }

    /// Takes what was counted, to be recorded as of `at`.
    pub fn take(&mut self, at: UnixTime) -> Vec<Refused> {
        let text =
            |source: Option<Source>| source.map_or_else(|| "others".to_owned(), |source| source.to_string());
        std::mem::take(&mut self.0)
            .into_iter()
            .map(|(source, counts)| Refused {
                source: text(source),
                at,
                counts,
            })
            .collect()
    }
}

/// What one source was refused within one second: how often, by code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// A [`Source`] as text, or `others` for all beyond those that are told apart.
    pub source: String,
    /// The second.
    pub at: UnixTime,
    /// Times by code.
    pub counts: BTreeMap<&'static str, u64>,
}

/// Records it.
pub fn counted(world: &World, refused: &Refused, draw: &mut Draw<'_>) -> Plan<()> {
    Plan::new(world.revision(), event(world, refused, draw), ())
}

/// Records what a member counted: the entry names the member, whose word it is.
pub fn counted_by(world: &World, member: &NodeRecord, refused: &Refused, draw: &mut Draw<'_>) -> Plan<()> {
    let mut event = event(world, refused, draw);
    event.org = member.org;
    event.who = Some(Who {
        node: Some(member.id),
        ..Who::default()
    });
    Plan::new(world.revision(), event, ())
}

fn event(world: &World, refused: &Refused, draw: &mut Draw<'_>) -> Event {
    let mut event = draw.event(EventKind::RefusalsCounted, world.revision());
    let counts: Map<String, Value> = refused
        .counts
        .iter()
        .map(|(code, times)| ((*code).to_owned(), (*times).into()))
        .collect();
    event.detail.insert("counts".to_owned(), counts.into());
    event
        .detail
        .insert("second".to_owned(), refused.at.rfc3339().into());
    event
        .detail
        .insert("source".to_owned(), refused.source.clone().into());
    event
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn address(bits: u32) -> Source {
        Source::Address(Ipv4Addr::from_bits(bits).into())
    }

    #[test]
    fn a_flood_from_many_sources_is_a_bounded_number_of_entries() {
        let mut tally = Tally::default();
        for n in 0..10_000 {
            tally.count(address(n), "NO_PROOF");
        }
        let taken = tally.take(UnixTime::from_secs(1));
        assert_eq!(taken.len(), SOURCES_MAX + 1);
        let others = taken.iter().find(|refused| refused.source == "others").unwrap();
        assert_eq!(others.counts["NO_PROOF"], 10_000 - SOURCES_MAX as u64);
        assert!(tally.take(UnixTime::from_secs(2)).is_empty());
    }

    #[test]
    fn a_source_says_what_it_is() {
        let run = RunId::from_u128(7);
        let at_run = |uid| Source::AtRun { uid, run }.to_string();
        assert_eq!(address(0x7f00_0001).to_string(), "127.0.0.1");
        assert_eq!(at_run(Some(1000)), format!("uid 1000 at {run}"));
        assert_eq!(at_run(None), format!("unknown uid at {run}"));
    }
}

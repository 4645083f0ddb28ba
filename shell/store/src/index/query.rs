//! What can be asked of the index, and what is known of each entry to answer it.

use crate::error::ReadError;
use audit::event::Link;
use audit::{Event, EventKind};
use aws_lc_rs::digest::{Context, SHA256};
use identity::{ActorKind, AgentId, DecisionId, OrgId, OrgScope, TaskId, UnixTime};
use serde::Deserialize;

/// Which entries. Everything that is set must match.
#[derive(Debug, Clone)]
pub struct Query {
    /// Whose entries may be seen; those of no org only by [`OrgScope::Every`].
    pub scope: OrgScope,
    /// The agent that acted, or that it was about.
    pub agent: Option<AgentId>,
    /// The task.
    pub task: Option<TaskId>,
    /// The user on whose behalf.
    pub user: Option<UserKey>,
    /// What happened.
    pub kind: Option<EventKind>,
    /// One of the reason codes of a refusal.
    pub reason: Option<String>,
    /// The decision.
    pub decision: Option<DecisionId>,
    /// At or after this instant.
    pub since: Option<UnixTime>,
    /// Before this instant.
    pub until: Option<UnixTime>,
    /// Only entries below this index: the next page.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// How entries spell [`ActorKind::User`].
const USER: &str = "user";

/// Entries in one answer unless the caller says otherwise: one page of a console.
const LIMIT: usize = 200;

impl Query {
    /// Everything in `scope`, newest first, one page.
    pub const fn of(scope: OrgScope) -> Self {
        Self {
            scope,
            agent: None,
            task: None,
            user: None,
            kind: None,
            reason: None,
            decision: None,
            since: None,
            until: None,
            before: None,
            limit: LIMIT,
        }
    }

    pub(super) fn admits(&self, facets: &Facets) -> bool {
        let sees = match self.scope {
            OrgScope::Every => true,
            OrgScope::Only(org) => facets.org == Some(org),
        };
        sees && self.agent.is_none_or(|agent| facets.agent == Some(agent))
            && self.task.is_none_or(|task| facets.task == Some(task))
            && self.user.is_none_or(|user| facets.user == Some(user))
            && self.kind.as_ref().is_none_or(|kind| facets.kind == *kind)
            && self
                .reason
                .as_ref()
                .is_none_or(|reason| facets.reasons.contains(reason))
            && self
                .decision
                .is_none_or(|decision| facets.decision == Some(decision))
            && self.since.is_none_or(|since| facets.at >= since)
            && self.until.is_none_or(|until| facets.at < until)
    }
}

/// A user by whom a chain begins, as the index knows them: no name, but what an entry says of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserKey([u8; 16]);

impl UserKey {
    /// The user whom `issuer` vouches for and entries call `id`: a commitment's text.
    pub fn of(issuer: &str, id: &str) -> Self {
        let mut hash = Context::new(&SHA256);
        hash.update(issuer.as_bytes());
        hash.update(&[0]);
        hash.update(id.as_bytes());
        let hash = hash.finish();
        Self(hash.as_ref().first_chunk().copied().unwrap_or_default())
    }
    pub(super) const fn bytes(self) -> [u8; 16] {
        self.0
    }
    fn first(chain: &[Link]) -> Option<Self> {
        // The chain begins with whoever it is all for.
        let user = chain.first().filter(|link| link.kind == ActorKind::User)?;
        Some(Self::of(&user.iss, &user.id))
    }
}

/// An entry that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its place in the log.
    pub index: u64,
    /// Its bytes.
    pub entry: Vec<u8>,
}

/// What the index knows of an entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Facets {
    pub(super) at: UnixTime,
    pub(super) kind: EventKind,
    pub(super) org: Option<OrgId>,
    pub(super) agent: Option<AgentId>,
    pub(super) task: Option<TaskId>,
    pub(super) user: Option<UserKey>,
    pub(super) decision: Option<DecisionId>,
    pub(super) reasons: Vec<String>,
}

/// The few members of an event that are indexed; the rest, facts above all, is skipped over.
#[derive(Deserialize)]
struct Indexed {
    at: UnixTime,
    kind: EventKind,
    org: Option<OrgId>,
    who: Option<Who>,
    why: Option<Why>,
    #[serde(default)]
    chain: Vec<Party>,
    decision: Option<Decision>,
}

#[derive(Deserialize)]
struct Who {
    agent: Option<AgentId>,
}

/// Kinds of parties that a newer writer knows are read over, as everything else of theirs.
#[derive(Deserialize)]
struct Party {
    id: String,
    iss: String,
    kind: String,
}

#[derive(Deserialize)]
struct Why {
    task: Option<TaskId>,
}

#[derive(Deserialize)]
struct Decision {
    id: DecisionId,
    #[serde(default)]
    reasons: Vec<String>,
}

impl Facets {
    /// What an entry of this event will say, if no id in it is still to be stamped.
    pub(crate) fn of(event: &Event) -> Self {
        let decision = event.decision.as_ref();
        Self {
            at: event.at,
            kind: event.kind.clone(),
            org: event.org,
            agent: event.who.as_ref().and_then(|who| who.agent),
            task: event.why.as_ref().and_then(|why| why.task),
            user: UserKey::first(&event.chain),
            decision: decision.map(|decision| decision.id),
            reasons: decision.map_or_else(Vec::new, |decision| decision.reasons.clone()),
        }
    }

    /// Reads an entry without checking that it is canonical: the writer made it so, and the tree holds it to that.
    pub(crate) fn read(index: u64, entry: &[u8]) -> Result<Self, ReadError> {
        let event: Indexed = serde_json::from_slice(entry).map_err(|error| ReadError::Entry {
            index,
            why: error.to_string(),
        })?;
        let (decision, reasons) = event.decision.map_or((None, Vec::new()), |decision| {
            (Some(decision.id), decision.reasons)
        });
        Ok(Self {
            at: event.at,
            kind: event.kind,
            org: event.org,
            agent: event.who.and_then(|who| who.agent),
            task: event.why.and_then(|why| why.task),
            user: event.chain.first().and_then(|first| {
                let is_user = first.kind == USER;
                is_user.then(|| UserKey::of(&first.iss, &first.id))
            }),
            decision,
            reasons,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use audit::event::{CommitmentKey, Decision, Ruling, Who, Why};
    use identity::{Actor, EventId, LogId, Revision, Secret};

    #[test]
    fn what_is_kept_of_an_event_is_what_is_read_of_its_entry() {
        let now = UnixTime::from_millis(1_795_428_000_123);
        let id = EventId::random(now, LogId(3), 1);
        let bare = Event::new(id, now, EventKind::TokenDenied, Revision(4));
        let mut full = bare.clone();
        full.org = Some(OrgId::mint(now, LogId(3), 2).at(Revision(1)));
        full.who = Some(Who {
            agent: Some(AgentId::mint(now, LogId(3), 3).at(Revision(2))),
            ..Who::default()
        });
        full.why = Some(Why {
            task: Some(TaskId::mint(now, LogId(3), 4).at(Revision(3))),
            ..Why::default()
        });
        let actor = |kind, id: &str| Actor {
            kind,
            issuer: "https://idp.example".into(),
            id: id.into(),
        };
        let key = CommitmentKey::new(Secret::new([7; 32]));
        let (user, agent) = (
            actor(ActorKind::User, "4711"),
            actor(ActorKind::AiAgent, "spiffe://a/b"),
        );
        full.chain = vec![Link::of(&user, None, &key), Link::of(&agent, None, &key)];
        let mut decision = Decision::new(DecisionId::random(now, LogId(3), 5), Ruling::Deny);
        decision.reasons = vec!["ACTION_NOT_GRANTED".into(), "RATE_LIMITED".into()];
        full.decision = Some(decision);
        for event in [bare, full] {
            let entry = event.encode().unwrap();
            assert_eq!(Facets::of(&event), Facets::read(7, entry.as_slice()).unwrap());
            assert_eq!(Facets::of(&event).user.is_some(), !event.chain.is_empty());
        }
    }

    #[test]
    fn a_user_is_one_of_their_issuer() {
        let key = UserKey::of("https://idp.example", "4711");
        assert_ne!(key, UserKey::of("https://idp.example/", "4711"));
        assert_ne!(key, UserKey::of("https://idp.example4", "711"));
        assert_ne!(key, UserKey::of("https://idp.example", "4712"));
    }
}

//! Approvals: what a human was asked, what humans said, and whether it was used.
//!
//! One record for each exact request, whatever wire it came by. It holds the very text that its digest was made over
//! ([`crate::approve::Bound`]), so what a human is shown and what the approval is good for cannot differ. Its state
//! follows from what happened and from the time; nobody sets it.

use crate::approve::Besides;
use identity::{AgentId, ApprovalId, DecisionId, Digest, Name, NodeId, OrgId, TaskId, UnixTime};
use policy::contract::Excluded;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How long after its end an approval is remembered, in seconds: its story is asked for, and how much an agent asked
/// lately is shown to whoever decides next.
pub const APPROVAL_MEMORY_SECS: u64 = 2 * 3600;

/// One request that waits, or waited, for humans.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Approval {
    /// Unstamped until its Change commits.
    pub id: ApprovalId,
    /// Its org.
    pub org: OrgId,
    /// The agent that asks: the current actor of the chain.
    pub agent: AgentId,
    /// Its task.
    pub task: TaskId,
    /// SHA-256 of `request`.
    pub digest: Digest,
    /// The exact request, as RFC 8785 JSON.
    pub request: String,
    /// The refusal that led to it.
    pub refusal: DecisionId,
    /// Why that was refused, by code.
    pub reasons: Vec<String>,
    /// Whose approval it takes.
    pub needs: Vec<Need>,
    /// What the action means to the business, by the contract.
    pub meaning: Option<String>,
    /// What the agent said about it. Never relied on.
    pub said: Option<String>,
    /// What is sent besides what the service's definition names: shown, and understood by nobody.
    #[serde(default)]
    pub besides: Besides,
    /// Where humans decide: the address of the pages, without a slash at its end.
    pub desk: String,
    /// Who asked for it: the gateway; `None` for the server itself.
    pub through: Option<NodeId>,
    /// When.
    pub asked_at: UnixTime,
    /// Until when humans may decide; then it is refused.
    pub expires_at: UnixTime,
    /// What humans said, in order.
    pub votes: Vec<Vote>,
    /// How it ended, and when.
    pub ended: Option<(Ended, UnixTime)>,
}

/// Humans of one group whose approval a contract of the chain asks for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Need {
    /// The contract.
    pub contract: Digest,
    /// The escalation in it.
    pub escalation: Name,
    /// The group.
    pub approvers: Name,
    /// How many of them.
    pub quorum: u8,
    /// Who may not, although a member.
    pub not: BTreeSet<Excluded>,
    /// How long the request waits and how long an approval is good, in seconds.
    pub ttl_secs: u64,
}

/// What one human said.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Vote {
    /// The principal.
    pub by: Name,
    /// Yes or no.
    pub yes: bool,
    /// When.
    pub at: UnixTime,
    /// When they had last proved that it is they.
    pub verified: UnixTime,
    /// The groups for which it counts: places in [`Approval::needs`].
    pub counts_for: Vec<u8>,
}

/// How an approval ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// The request passed.
    Used,
    /// Taken back by an operator, or by who gave it.
    Withdrawn,
    /// Nobody decided in time, or it was not used in time. Only written down: the time alone says so.
    Expired,
}

/// Where an approval stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits for humans.
    Pending,
    /// It is good for one use.
    Approved,
    /// A human said no.
    Denied,
    /// Too late.
    Expired,
    /// It was used.
    Used,
    /// It was taken back.
    Withdrawn,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Approved,
        Self::Denied,
        Self::Expired,
        Self::Used,
        Self::Withdrawn,
    ];
    /// The state that a word names.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
    /// The word that people and machines read.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Used => "used",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl Approval {
    /// Whether that principal said yes to it.
    pub fn has_yes_of(&self, principal: &Name) -> bool {
        self.votes.iter().any(|vote| vote.yes && vote.by == *principal)
    }
    /// Where it stands at `now`. A no is the end, whatever else was said.
    pub fn state(&self, now: UnixTime) -> State {
        if self.votes.iter().any(|vote| !vote.yes) {
            return State::Denied;
        }
        match self.ended {
            Some((Ended::Used, _)) => return State::Used,
            Some((Ended::Withdrawn, _)) => return State::Withdrawn,
            Some((Ended::Expired, _)) => return State::Expired,
            None => {}
        }
        match self.approved_at() {
            Some(_) if now < self.good_until() => State::Approved,
            None if now < self.expires_at => State::Pending,
            Some(_) | None => State::Expired,
        }
    }

    /// When the last human that it takes said yes; `None` while more are needed.
    pub fn approved_at(&self) -> Option<UnixTime> {
        let met = |(place, need): (usize, &Need)| {
            let votes = self.votes.iter().filter(|vote| vote.yes && vote.is_for(place));
            votes
                .map(|vote| vote.at)
                .nth(usize::from(need.quorum).saturating_sub(1))
        };
        if self.needs.is_empty() {
            return None;
        }
        let each: Option<Vec<UnixTime>> = self.needs.iter().enumerate().map(met).collect();
        each.and_then(|each| each.into_iter().max())
    }

    /// Until when it waits, or is good once it is approved.
    pub fn good_until(&self) -> UnixTime {
        self.approved_at()
            .map_or(self.expires_at, |at| at.plus_secs(self.ttl_secs()))
    }

    /// The shortest time that any contract of the chain gives.
    pub fn ttl_secs(&self) -> u64 {
        self.needs.iter().map(|need| need.ttl_secs).min().unwrap_or(0)
    }

    /// The page on which humans decide.
    pub fn page(&self) -> String {
        format!("{}/ui/approvals/{}", self.desk, self.id)
    }

    /// Whether it can be forgotten.
    pub fn is_over(&self, until: UnixTime) -> bool {
        self.good_until()
            .max(self.expires_at)
            .plus_secs(APPROVAL_MEMORY_SECS)
            <= until
    }

    pub(super) fn vote(&mut self, vote: Vote) {
        // A Change that was committed always applies; what is over stays as it ended.
        if self.ended.is_none() && self.votes.iter().all(|known| known.by != vote.by) {
            self.votes.push(vote);
        }
    }

    pub(super) fn end(&mut self, how: Ended, at: UnixTime) {
        if self.ended.is_none() {
            self.ended = Some((how, at));
        }
    }
}

impl Vote {
    /// Whether it counts for the need at `place`.
    pub fn is_for(&self, place: usize) -> bool {
        self.counts_for.iter().any(|known| usize::from(*known) == place)
    }
}

/// Humans who decide together: contracts name the group, the org says who is in it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Group {
    /// Its org.
    pub org: OrgId,
    /// As contracts call it.
    pub name: Name,
    /// Its members: names of principals.
    pub members: BTreeSet<Name>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use identity::{LogId, Revision};

    const NOW: UnixTime = UnixTime::from_secs(1_000_000);

    fn approval(quorum: u8) -> Approval {
        Approval {
            id: ApprovalId::mint(NOW, LogId(0), 1).at(Revision(3)),
            org: OrgId::from_u128(1),
            agent: AgentId::from_u128(2),
            task: TaskId::from_u128(3),
            digest: Digest::from_bytes([0; 32]),
            request: "{}".into(),
            refusal: DecisionId::from_u128(4),
            reasons: Vec::new(),
            needs: vec![Need {
                contract: Digest::from_bytes([1; 32]),
                escalation: "refunds".parse().unwrap(),
                approvers: "leads".parse().unwrap(),
                quorum,
                not: BTreeSet::new(),
                ttl_secs: 600,
            }],
            meaning: None,
            said: None,
            besides: Besides::default(),
            desk: String::new(),
            through: None,
            asked_at: NOW,
            expires_at: NOW.plus_secs(600),
            votes: Vec::new(),
            ended: None,
        }
    }

    fn vote(by: &str, yes: bool, at: u64) -> Vote {
        Vote {
            by: by.parse().unwrap(),
            yes,
            at: NOW.plus_secs(at),
            verified: NOW,
            counts_for: vec![0],
        }
    }

    #[test]
    fn a_quorum_counts_people_and_not_votes() {
        let mut it = approval(2);
        it.vote(vote("ann", true, 10));
        it.vote(vote("ann", true, 20));
        assert_eq!(it.state(NOW.plus_secs(30)), State::Pending);
        it.vote(vote("bob", true, 30));
        assert_eq!(it.state(NOW.plus_secs(31)), State::Approved);
        assert_eq!(it.good_until(), NOW.plus_secs(630));
        assert_eq!(it.state(NOW.plus_secs(630)), State::Expired);
    }

    #[test]
    fn a_no_is_the_end_and_silence_is_no() {
        let mut it = approval(2);
        it.vote(vote("ann", true, 10));
        assert_eq!(it.state(NOW.plus_secs(600)), State::Expired);
        it.vote(vote("bob", false, 20));
        it.vote(vote("eve", true, 30));
        assert_eq!(it.state(NOW.plus_secs(40)), State::Denied);
        assert_eq!(it.state(NOW.plus_secs(4000)), State::Denied);
    }

    #[test]
    fn what_needs_nobody_is_never_approved() {
        let mut it = approval(1);
        it.needs.clear();
        it.vote(vote("ann", true, 10));
        assert_eq!(it.state(NOW.plus_secs(11)), State::Pending);
    }

    #[test]
    fn what_ended_stays_as_it_ended() {
        let mut it = approval(1);
        it.vote(vote("ann", true, 1));
        it.end(Ended::Used, NOW.plus_secs(2));
        it.end(Ended::Withdrawn, NOW.plus_secs(3));
        it.vote(vote("bob", false, 4));
        assert_eq!(it.state(NOW.plus_secs(5)), State::Used);
    }
}

//! A contract that waits for somebody else's yes.

use super::{ContractRecord, Principal};
use identity::{Digest, Name, UnixTime};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A principal, as the World remembers who did something.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Person {
    /// What entries call them.
    pub name: Name,
    /// Their uid on the server's host, for those who have one.
    pub uid: Option<u32>,
}

impl Person {
    /// Who this principal is.
    pub fn of(principal: &Principal) -> Self {
        Self {
            name: principal.name.clone(),
            uid: principal.uid,
        }
    }
    /// Whether these are two people: neither the name nor, where both have one, the uid is the same.
    pub fn is_another_than(&self, other: &Self) -> bool {
        let same_uid = self.uid.is_some() && self.uid == other.uid;
        self.name != other.name && !same_uid
    }
}

/// A contract version that is wider than what is in force, and is not in force itself.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Proposal {
    /// As it would be published.
    pub contract: ContractRecord,
    /// The contracts whose place it would take, and than which it is wider.
    pub over: BTreeSet<Digest>,
    /// What it lets an agent do that those do not, in sentences.
    pub sentences: Vec<String>,
    /// Who asks.
    pub by: Person,
    /// Since when.
    pub proposed_at: UnixTime,
    /// From this instant on it is worth nothing.
    pub expires_at: UnixTime,
}

impl Proposal {
    /// Whether it can still be published.
    pub fn is_open(&self, now: UnixTime) -> bool {
        self.proposed_at <= now && now < self.expires_at
    }
    /// What somebody looks at who decides on it: the contract, those whose place it takes, and the sentences. Applying it
    /// again can alter the last two.
    pub fn digest(&self) -> Digest {
        let over = self.over.iter().map(ToString::to_string);
        let sentences = self.sentences.iter();
        // Each with its length, so that no two proposals look alike.
        let sentences = sentences.map(|sentence| format!("{} {sentence}", sentence.len()));
        let parts = std::iter::once(self.contract.hash.to_string())
            .chain(over)
            .chain(sentences);
        let text = parts.collect::<Vec<_>>().join("\n");
        Digest::from_bytes(credential::sha256(text.as_bytes()))
    }
}

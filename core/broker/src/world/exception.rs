//! An exception: for a while an agent may do one more thing than its contract says.

use super::Person;
use identity::{AgentId, Audience, ExceptionId, Name, OrgId, UnixTime};
use serde::{Deserialize, Serialize};

/// One exception. It adds a grant and loosens no limit: tenants, chains, labels, hours and budgets of the contract hold.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Exception {
    /// Made by no Change: it can be read in the very answer that opens it.
    pub id: ExceptionId,
    /// Its org.
    pub org: OrgId,
    /// For which agent.
    pub agent: AgentId,
    /// What it may do.
    pub action: Name,
    /// Where.
    pub audience: Audience,
    /// Why, in one sentence.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// Who opened it.
    pub by: Person,
    /// How well it was known that they were there: `session`, or `process` where the installation does not ask for more.
    pub presence: String,
    /// From when.
    pub opened_at: UnixTime,
    /// Until when: from this instant on it permits nothing, whoever cleans up.
    pub until: UnixTime,
    /// When that was recorded, or somebody ended it. Such a one is remembered, and no clock brings it back.
    pub ended: Option<UnixTime>,
}

impl Exception {
    /// Whether it permits anything at `now`. A clock that was set back before its beginning ends it, too.
    pub fn is_open(&self, now: UnixTime) -> bool {
        self.ended.is_none() && self.opened_at <= now && now < self.until
    }
}

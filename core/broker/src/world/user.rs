//! Users: the people on whose behalf agents act, and what each may do through them.

use identity::{Audience, Name, OrgId, UnixTime};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A user that the org knows, by the issuer that authenticates them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct User {
    /// The org.
    pub org: OrgId,
    /// The issuer that authenticates them.
    pub issuer: String,
    /// The issuer's name for them.
    pub subject: String,
    /// The groups that they are in.
    pub groups: BTreeSet<Name>,
    /// What they may do through agents; nothing when empty.
    pub rights: Vec<UserRight>,
    /// When the rights end.
    pub expires_at: UnixTime,
}

/// One thing that a user may do.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct UserRight {
    /// The agents, by name, through which it may be done.
    pub agents: BTreeSet<Name>,
    /// At these services.
    pub services: BTreeSet<Audience>,
    /// These actions.
    pub actions: BTreeSet<Name>,
    /// For these tenants; no tenant's data when empty.
    pub tenants: BTreeSet<Name>,
}

impl User {
    /// Whether the user may do `action` at `service` through `agent` for `tenant` at `now`.
    pub fn may(
        &self,
        agent: &Name,
        service: &Audience,
        action: &Name,
        tenant: Option<&Name>,
        now: UnixTime,
    ) -> bool {
        now < self.expires_at
            && self
                .rights
                .iter()
                .any(|right| right.covers(agent, service, action, tenant))
    }
}

impl UserRight {
    /// Whether that is what may be done.
    pub fn covers(&self, agent: &Name, service: &Audience, action: &Name, tenant: Option<&Name>) -> bool {
        self.agents.contains(agent)
            && self.services.contains(service)
            && self.actions.contains(action)
            && tenant.is_none_or(|tenant| self.tenants.contains(tenant))
    }
}

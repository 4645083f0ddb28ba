//! What users say themselves about the agents that act for them.
//!
//! The org says what a user may do at all; a token of theirs says who they are. Neither is a yes: that is a rule of the
//! org for an issuer's users, or their own, given in a session of theirs. A stop of theirs is stronger than both.

use super::UserRight;
use identity::{Audience, Name, OrgId, SessionId, UnixTime};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// All that one user said.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Consent {
    /// The org.
    pub org: OrgId,
    /// The issuer that authenticates them.
    pub issuer: String,
    /// The issuer's name for them.
    pub subject: String,
    /// What they gave.
    pub given: Vec<Given>,
    /// The agents that they stopped.
    pub stopped: BTreeSet<Name>,
}

/// A yes of a user to one agent: to what it could do for them at that moment, and to no more.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Given {
    /// The agent.
    pub agent: Name,
    /// What it may do for them.
    pub rights: Vec<UserRight>,
    /// When they said so.
    pub given_at: UnixTime,
    /// When it ends.
    pub expires_at: UnixTime,
    /// The session they said it in.
    pub session: SessionId,
}

/// What a user said, and whether the org asks them at all.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Said {
    /// What they said; `None` for nothing yet.
    pub consent: Option<Arc<Consent>>,
    /// Whether agents need their yes; the org's rule is one where not.
    pub asked: bool,
}

impl Said {
    /// Whether the user lets `agent` do `action` at `service` for `tenant` on their behalf at `now`.
    pub fn lets(
        &self,
        agent: &Name,
        service: &Audience,
        action: &Name,
        tenant: Option<&Name>,
        now: UnixTime,
    ) -> bool {
        let Some(consent) = &self.consent else {
            return !self.asked;
        };
        let covers = |right: &UserRight| {
            right.services.contains(service)
                && right.actions.contains(action)
                && tenant.is_none_or(|tenant| right.tenants.contains(tenant))
        };
        let given = || {
            consent
                .given
                .iter()
                .any(|it| it.agent == *agent && now < it.expires_at && it.rights.iter().any(covers))
        };
        !consent.stopped.contains(agent) && (!self.asked || given())
    }

    /// Whether the user stopped `agent`.
    pub fn stops(&self, agent: &Name) -> bool {
        let consent = self.consent.as_ref();
        consent.is_some_and(|consent| consent.stopped.contains(agent))
    }
}

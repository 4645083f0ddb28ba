//! Orgs, and the people who administer them.

use identity::{Name, OrgId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The isolation unit of an installation: registry, contracts, upstreams and administrators of its own.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Org {
    /// Unstamped until its Change commits.
    pub id: OrgId,
    /// First segment of its SPIFFE IDs.
    pub name: Name,
}

/// What a principal may do. Each role is a set of verbs on the admin plane; nobody gets one by default.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees the inventory and the state.
    Viewer,
    /// Sees and exports the log besides.
    Auditor,
    /// Opens tasks, launches, revokes, suspends and resumes.
    Operator,
    /// Publishes contracts, upstreams, agents and registrations.
    Author,
    /// Says yes or no to what a contract does not let an agent do alone.
    Approver,
    /// Everything, and other principals.
    Admin,
}

impl Role {
    /// The word that people write.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Auditor => "auditor",
            Self::Operator => "operator",
            Self::Author => "author",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }
}

/// A human (or a script a human answers for) whom the admin plane knows by a uid of its host.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Principal {
    /// What entries call them.
    pub name: Name,
    /// The uid the kernel vouches for.
    pub uid: u32,
    /// What they may do.
    pub roles: BTreeSet<Role>,
    /// The one org they administer; `None` for the installation.
    pub org: Option<OrgId>,
    /// How well we know that it is this human: `dev` when it is merely the owner's uid, `uid` for an assigned one.
    pub assurance: String,
}

impl Principal {
    /// Whether `role` or [`Role::Admin`] was given.
    pub fn may(&self, role: Role) -> bool {
        self.roles.contains(&role) || self.roles.contains(&Role::Admin)
    }
}

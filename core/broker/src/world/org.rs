//! Orgs, and the people who administer them.

use super::session::{Account, Passkey};
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

/// A human (or a script a human answers for) whom the admin plane knows. There are three ways in, and a password is
/// none of them: a uid of the server's host, an account at an identity provider, a passkey.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Principal {
    /// What entries call them. Unique within the installation, because the record compares people by it.
    pub name: Name,
    /// The uid the kernel vouches for; `None` for one who has no account on the server's host.
    pub uid: Option<u32>,
    /// What they may do.
    pub roles: BTreeSet<Role>,
    /// The one org they administer; `None` for the installation.
    pub org: Option<OrgId>,
    /// How well we know that the uid is this human: `dev` when it is merely the owner's, `uid` for an assigned one.
    pub assurance: String,
    /// Their accounts at identity providers.
    #[serde(default)]
    pub accounts: BTreeSet<Account>,
    /// Their passkeys.
    #[serde(default)]
    pub passkeys: Vec<Passkey>,
}

impl Principal {
    /// A principal who comes in by a uid of the server's host.
    pub const fn with_uid(name: Name, uid: u32, roles: BTreeSet<Role>, assurance: String) -> Self {
        Self {
            name,
            uid: Some(uid),
            roles,
            org: None,
            assurance,
            accounts: BTreeSet::new(),
            passkeys: Vec::new(),
        }
    }
    /// Their passkey of that credential id.
    pub fn passkey(&self, credential: &[u8]) -> Option<&Passkey> {
        self.passkeys.iter().find(|passkey| passkey.id == credential)
    }
    /// Whether `role` or [`Role::Admin`] was given.
    pub fn may(&self, role: Role) -> bool {
        self.roles.contains(&role) || self.roles.contains(&Role::Admin)
    }
}

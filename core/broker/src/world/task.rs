//! Tasks: one unit of work each, opened by somebody who may.

use identity::{AgentId, Name, OrgId, Revision, TaskId, UnixTime};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What kind of party opened a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenerKind {
    /// A user in a session of their own.
    User,
    /// An operator, known to the admin plane or launching on the agent's node.
    Operator,
    /// A registered trigger with its own identity.
    Trigger,
    /// The agent alone: the smallest envelope.
    Agent,
}

/// Who opened a task.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Opener {
    /// Which kind of party.
    pub kind: OpenerKind,
    /// Its name, as entries show it.
    pub name: String,
}

/// One unit of work. Present while it is open or a credential of it may still live.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Task {
    /// Unstamped until its Change commits.
    pub id: TaskId,
    /// Its org.
    pub org: OrgId,
    /// The agent that works on it.
    pub agent: AgentId,
    /// One of the contract's task types.
    pub kind: Name,
    /// Whose data it touches, when the contract works on one tenant per task.
    pub tenant: Option<Name>,
    /// Who opened it.
    pub opener: Opener,
    /// When.
    pub opened_at: UnixTime,
    /// When it ends by itself.
    pub expires_at: UnixTime,
    /// The task it is a part of.
    pub parent: Option<TaskId>,
    /// The task at the root of that tree; `None` when it is that itself. Counts and labels are kept there.
    #[serde(default)]
    pub root: Option<TaskId>,
    /// Destinations that the opener named. Nobody else adds one.
    #[serde(default)]
    pub trusted: BTreeSet<String>,
    /// When a human last lowered its labels; 0 for never.
    #[serde(default)]
    pub declassified: Revision,
    /// Set once it was closed; no credential is issued for it any more.
    pub closed: bool,
}

impl Task {
    /// The task at the root of the tree that it is in.
    pub fn root(&self) -> TaskId {
        self.root.unwrap_or(self.id)
    }
    /// Whether credentials may be issued for it at `now`.
    pub fn is_open(&self, now: UnixTime) -> bool {
        !self.closed && now < self.expires_at
    }
}

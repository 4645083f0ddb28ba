//! The one id that an entry's own Change makes.
//!
//! Such an id carries the revision it appeared at, which the store knows only at its commit. The id has a fixed
//! length, so stamping it is a replacement in place: nothing is encoded twice, and all its occurrences agree.

use identity::{
    AgentId, ApprovalId, FamilyId, Id, IdError, InstanceId, Kind, NodeId, OrgId, Revision, RunId, TaskId,
    UpstreamId,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An id made with [`Id::mint`] by the Change of the entry it is named in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Minted {
    /// A registered agent.
    Agent(AgentId),
    /// An approval.
    Approval(ApprovalId),
    /// A family of credentials.
    Family(FamilyId),
    /// An instance of an agent.
    Instance(InstanceId),
    /// A node.
    Node(NodeId),
    /// An org.
    Org(OrgId),
    /// A run.
    Run(RunId),
    /// A task.
    Task(TaskId),
    /// An upstream.
    Upstream(UpstreamId),
}

impl Minted {
    /// The same id as the Change at `revision` makes it.
    #[must_use]
    pub const fn at(self, revision: Revision) -> Self {
        match self {
            Self::Agent(id) => Self::Agent(id.at(revision)),
            Self::Approval(id) => Self::Approval(id.at(revision)),
            Self::Family(id) => Self::Family(id.at(revision)),
            Self::Instance(id) => Self::Instance(id.at(revision)),
            Self::Node(id) => Self::Node(id.at(revision)),
            Self::Org(id) => Self::Org(id.at(revision)),
            Self::Run(id) => Self::Run(id.at(revision)),
            Self::Task(id) => Self::Task(id.at(revision)),
            Self::Upstream(id) => Self::Upstream(id.at(revision)),
        }
    }
}

impl fmt::Display for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(id) => id.fmt(f),
            Self::Approval(id) => id.fmt(f),
            Self::Family(id) => id.fmt(f),
            Self::Instance(id) => id.fmt(f),
            Self::Node(id) => id.fmt(f),
            Self::Org(id) => id.fmt(f),
            Self::Run(id) => id.fmt(f),
            Self::Task(id) => id.fmt(f),
            Self::Upstream(id) => id.fmt(f),
        }
    }
}

impl FromStr for Minted {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        fn of<K: Kind>(text: &str, make: fn(Id<K>) -> Minted) -> Result<Minted, IdError> {
            text.parse().map(make)
        }
        match text.split_once('_').map_or("", |(prefix, _)| prefix) {
            "agt" => of(text, Self::Agent),
            "apr" => of(text, Self::Approval),
            "fam" => of(text, Self::Family),
            "ins" => of(text, Self::Instance),
            "node" => of(text, Self::Node),
            "org" => of(text, Self::Org),
            "run" => of(text, Self::Run),
            "task" => of(text, Self::Task),
            "ups" => of(text, Self::Upstream),
            _ => Err(IdError::Prefix("agt|apr|fam|ins|node|org|run|task|ups")),
        }
    }
}

impl TryFrom<String> for Minted {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}
impl From<Minted> for String {
    fn from(minted: Minted) -> Self {
        minted.to_string()
    }
}

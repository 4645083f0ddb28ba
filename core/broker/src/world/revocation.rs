//! Revocation: everything of one kind and value that was decided before a Change dies with it.

use identity::{AgentId, FamilyId, InstanceId, OrgId, SpiffeId, TaskId, TokenId, UnixTime};
use serde::{Deserialize, Serialize};

/// What is revoked. A credential is hit when it carries the value and its `rev` is older than the revocation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// One credential.
    Token(TokenId),
    /// All that descend from one exchange.
    Family(FamilyId),
    /// All of an agent, at whatever place of the chain.
    Agent(AgentId),
    /// All of one attested process.
    Instance(InstanceId),
    /// All on behalf of one user, by issuer and subject.
    User(String),
    /// All of one task.
    Task(TaskId),
    /// All of one org.
    Org(OrgId),
    /// Every SVID and key of one service.
    Service(SpiffeId),
}

impl Target {
    /// The dimension's word, as the CLI and entries spell it.
    pub const fn dimension(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Family(_) => "family",
            Self::Agent(_) => "agent",
            Self::Instance(_) => "instance",
            Self::User(_) => "user",
            Self::Task(_) => "task",
            Self::Org(_) => "org",
            Self::Service(_) => "service",
        }
    }
}

/// A revocation as it is committed; the World remembers the revision it committed at.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Revocation {
    /// What.
    pub target: Target,
    /// The org it belongs to; `None` for the installation.
    pub org: Option<OrgId>,
    /// When no credential that it could match can be alive any more.
    pub forget_at: UnixTime,
}

//! Who: the agent and its process, or the person.

use super::{Commitment, Extra};
use identity::{AgentId, Assurance, Digest, InstanceId, Level, Name, NodeId, RunId, SessionId, SpiffeId};
use serde::{Deserialize, Serialize};

/// The agent, the process that acted as it, and how well that is proven. Attested or observed, never asserted.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Who {
    /// The registered agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// Its name in the org when this happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_name: Option<Name>,
    /// How well the identity is proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assurance: Option<AssuranceRecord>,
    /// Which process of the run called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<Caller>,
    /// Digest of the evidence that was appraised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Digest>,
    /// The process instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
    /// The node it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// The run it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Its SPIFFE ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spiffe_id: Option<SpiffeId>,
    /// Fields of newer writers, kept.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Who {
    pub(super) fn is_plain(&self) -> bool {
        self.extra.is_empty()
            && self.assurance.as_ref().is_none_or(|it| it.extra.is_empty())
            && self.caller.as_ref().is_none_or(|it| it.extra.is_empty())
    }
}

/// The assurance vector and its summary. Make it with `From<Assurance>`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct AssuranceRecord {
    /// How its code was measured.
    pub code: u8,
    /// How the process was bound.
    pub launch: u8,
    /// The summary, 0 to 5.
    pub level: Level,
    /// How the node proved itself.
    pub node: u8,
    /// Who vouches for the code.
    pub signer: u8,
    /// Fields of newer writers, kept.
    #[serde(flatten)]
    pub extra: Extra,
}

impl From<Assurance> for AssuranceRecord {
    fn from(assurance: Assurance) -> Self {
        Self {
            code: assurance.code,
            launch: assurance.launch,
            level: assurance.level(),
            node: assurance.node,
            signer: assurance.signer,
            extra: Extra::new(),
        }
    }
}

/// Which process of a run called: the agent itself, or something that it started.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Caller {
    /// Digest of its argument vector, each argument followed by a zero byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argv: Option<Digest>,
    /// Path of its executable as the kernel names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exe: Option<String>,
    /// Digest of its executable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exe_digest: Option<Digest>,
    /// The bound process, or a child.
    pub kind: CallerKind,
    /// Its process id on the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Fields of newer writers, kept.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Caller {
    /// A caller of whom only the kind is known.
    pub const fn new(kind: CallerKind) -> Self {
        Self {
            argv: None,
            exe: None,
            exe_digest: None,
            kind,
            pid: None,
            extra: Extra::new(),
        }
    }
}

/// Whether the bound process called, or another process of its run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallerKind {
    /// The process that the identity is bound to.
    Agent,
    /// Another process of the run.
    Child,
}

/// A person, for what people do: administration, approval, opening a task.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Human {
    /// How the person was authenticated: `dev`, `password`, `oidc`, `webauthn`, `uid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assurance: Option<String>,
    /// The person's name or account, committed with the org's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Commitment>,
    /// The role in which the person acted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The session in which the person acted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The operating system's user id, where the kernel vouches for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Fields of newer writers, kept.
    #[serde(flatten)]
    pub extra: Extra,
}

//! Agents, their launch specs, registrations and live instances.

use identity::{
    AgentId, Assurance, Digest, InstanceId, Name, NodeId, OrgId, RunId, SpiffeId, TaskId, Thumbprint,
    UnixTime,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where an agent stands in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    /// May act.
    Active,
    /// Stopped by a human; a human can resume it.
    Suspended,
    /// Gone for good; its name stays taken.
    Retired,
}

/// A registered AI agent: who answers for it, what it is for, under which contract.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Agent {
    /// Unstamped until its Change commits.
    pub id: AgentId,
    /// Its org.
    pub org: OrgId,
    /// Unique within the org; last segment of the SPIFFE ID.
    pub name: Name,
    /// `spiffe://<trust domain>/<org>/agent/<name>`.
    pub spiffe_id: SpiffeId,
    /// The person or team who answers for it.
    pub owner: String,
    /// One sentence.
    pub purpose: String,
    /// The contract version it acts under.
    pub contract: Digest,
    /// Its state.
    pub state: AgentState,
    /// When it stops being allowed to act by itself.
    pub expires_at: UnixTime,
}

impl Agent {
    /// Whether it may act at `now`.
    pub fn is_live(&self, now: UnixTime) -> bool {
        self.state == AgentState::Active && now < self.expires_at
    }
}

/// Which command lines a launch spec admits.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArgvRule {
    /// Any command: the agent is *unpinned*, its level is 1 at most.
    Free,
    /// Exactly this command line.
    Exact(Vec<String>),
    /// These leading arguments; more may follow.
    Prefix(Vec<String>),
}

/// A file or tree whose content decides what code runs, and its registered digest.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct MeasuredRoot {
    /// Absolute path on the node.
    pub path: String,
    /// What the node agent must measure there before exec.
    pub digest: Digest,
}

/// How an agent may be launched, and what must be found on the node before its first instruction runs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LaunchSpec {
    /// Whose identity the process gets.
    pub agent: AgentId,
    /// Its org.
    pub org: OrgId,
    /// The contract version that it was registered with: this code is reviewed for this contract, and launched under no
    /// other.
    #[serde(default)]
    pub contract: Digest,
    /// Uids that may ask for the launch.
    pub launchers: Vec<u32>,
    /// Admitted command lines.
    pub argv: ArgvRule,
    /// Digest of the executable; required unless the command is free.
    pub executable: Option<Digest>,
    /// Working directory; the launcher's own when `None`.
    pub cwd: Option<String>,
    /// Names of environment variables that may pass from the launcher.
    pub env_allow: Vec<String>,
    /// Variables that are always set.
    pub env_set: BTreeMap<String, String>,
    /// Code, lock file, model manifest, prompts: whatever decides what runs.
    pub roots: Vec<MeasuredRoot>,
    /// Whether only an isolated run gets the identity.
    pub isolate: bool,
    /// What of its home and other hidden directories an isolated run sees besides its roots and its directory.
    pub binds: Vec<VisiblePath>,
}

/// A path that an isolated run sees, the same outside and inside.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct VisiblePath {
    /// Absolute.
    pub path: String,
    /// Whether it may be written.
    pub writable: bool,
}

impl LaunchSpec {
    /// Whether the spec pins what code runs.
    pub fn is_pinned(&self) -> bool {
        self.argv != ArgvRule::Free && self.executable.is_some()
    }
}

/// Selectors under which a process that was not launched by us gets an identity, level 1 at most.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Registration {
    /// Unique within the org.
    pub name: Name,
    /// Its org.
    pub org: OrgId,
    /// Whose identity.
    pub agent: AgentId,
    /// The uid the kernel must report.
    pub uid: u32,
    /// The executable's path.
    pub executable: String,
    /// The executable's digest, if it is pinned.
    pub executable_digest: Option<Digest>,
}

/// One attested process of an agent, known by its key.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Instance {
    /// Unstamped until its Change commits.
    pub id: InstanceId,
    /// The run it belongs to.
    pub run: RunId,
    /// Its org.
    pub org: OrgId,
    /// The agent it is.
    pub agent: AgentId,
    /// The node agent that vouches for it.
    pub node: NodeId,
    /// The task it was started for.
    pub task: TaskId,
    /// Thumbprint of its key (RFC 7638); proofs of any other key are not its own.
    pub key: Thumbprint,
    /// How well it is proven.
    pub assurance: Assurance,
    /// Digest of the evidence the node sent: executable, command line, roots, environment.
    pub evidence: Digest,
    /// When that evidence was taken.
    pub attested_at: UnixTime,
    /// Whether its evidence matched a pinned launch spec.
    pub pinned: bool,
}

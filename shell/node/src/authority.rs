//! What the node agent asks of the server. The node measures and binds; the server decides, records and signs.
//!
//! Every call that grants something is recorded there before it returns (record before sign). A call that can not
//! reach the server is [`Refused::Unreachable`], never a silent yes.

use crate::launch::{LaunchSpec, Measurement, TaskWish};
use crate::workload_api::{Bundles, Invalid, ValidJwt};
use broker::unidentified::Source;
use identity::{
    Assurance, Audience, DecisionId, Digest, InstanceId, Name, RunId, Secret, SpiffeId, TaskId, Thumbprint,
    UnixTime,
};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// A launch that the node has measured and is about to start.
#[derive(Clone, Debug)]
pub struct OpenRun {
    /// Which agent is asked for (`--as`): a request, never a claim.
    pub agent: Name,
    /// Who asked, by the kernel's word.
    pub launcher_uid: u32,
    /// The run that whoever asked belongs to.
    pub launcher_run: Option<RunId>,
    /// The command line.
    pub argv: Vec<String>,
    /// Where it starts.
    pub cwd: PathBuf,
    /// Names of the variables that it gets.
    pub environment: Vec<String>,
    /// What was found, before anything was executed.
    pub evidence: Measurement,
    /// RFC 7638 thumbprint of the instance key: what the run's credentials will be bound to.
    pub instance_key: Thumbprint,
    /// What the launcher wants of the task.
    pub wish: TaskWish,
}

/// What the server made of it.
#[derive(Clone, Debug)]
pub struct OpenedRun {
    /// The launch.
    pub run: RunId,
    /// The process instance.
    pub instance: InstanceId,
    /// The task it works on.
    pub task: TaskId,
    /// The agent's name in the world.
    pub spiffe_id: SpiffeId,
    /// Hash of the contract in force.
    pub contract: Digest,
    /// How well all this is proven.
    pub assurance: Assurance,
    /// Whose data it works on.
    pub tenant: Option<String>,
    /// Who opened the task.
    pub opener: String,
    /// Whether its launch spec says which code runs.
    pub pinned: bool,
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// The process returned this code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// The node lost it (supervisor killed, node stopped) and killed what it could reach.
    Lost,
}

/// An X.509-SVID for the key of the request.
#[derive(Clone, Debug)]
pub struct IssuedX509 {
    /// DER certificates, the leaf first.
    pub chain: Vec<Vec<u8>>,
    /// From when it counts.
    pub not_before: UnixTime,
    /// Until when.
    pub not_after: UnixTime,
}

/// Why the server gave nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// It decided so, and recorded it.
    #[error("{code}: {message} ({decision})")]
    Denied {
        /// Stable code, e.g. `TABARD-LAUNCH-002`.
        code: String,
        /// Where it is recorded.
        decision: DecisionId,
        /// One sentence for the launcher.
        message: String,
        /// What to do about it, one sentence.
        fix: String,
    },
    /// It can not be asked now.
    #[error("the server can not be reached")]
    Unreachable,
}

/// Something the node refused by itself, to be recorded.
#[derive(Clone, Debug)]
pub struct LocalRefusal {
    /// Stable code.
    pub code: &'static str,
    /// Who asked.
    pub uid: u32,
    /// Its pid then.
    pub pid: i32,
    /// Which agent it asked for, if any.
    pub agent: Option<Name>,
    /// What was seen and what was wanted, for operators only.
    pub seen: String,
}

/// A process that was not launched by us and asks who it is.
#[derive(Clone, Debug)]
pub struct IdentifyProcess {
    /// Its uid, by the kernel.
    pub uid: u32,
    /// Path of its executable.
    pub executable: PathBuf,
    /// Digest of the running file.
    pub executable_digest: Digest,
    /// Thumbprint of the key that was made for it.
    pub instance_key: Thumbprint,
}

/// The server, as a node sees it.
pub trait Authority: Send + Sync + 'static {
    /// Whether a registration matches such a process, by the newest state this node has. No I/O. Nobody is registered
    /// unless an implementation says so.
    fn is_registered(&self, _uid: u32, _executable: &Path, _digest: Digest) -> bool {
        false
    }

    /// Opens a run for a process that matches a registration.
    fn identify_process(
        &self,
        _request: IdentifyProcess,
    ) -> impl Future<Output = Result<OpenedRun, Refused>> + Send {
        std::future::ready(Err(Refused::Unreachable))
    }

    /// The launch spec of an agent that this node is authorised for; `None` if there is none.
    fn launch_spec(&self, agent: &Name) -> impl Future<Output = Result<Option<LaunchSpec>, Refused>> + Send;

    /// Opens a run: identifies the agent by its evidence, mints run, instance and task.
    fn open_run(&self, request: OpenRun) -> impl Future<Output = Result<OpenedRun, Refused>> + Send;

    /// The run has ended; its instance gets nothing any more.
    fn close_run(&self, run: RunId, ended: Ended) -> impl Future<Output = ()> + Send;

    /// Signs an X.509-SVID for an instance: `csr` is PKCS#10 DER, signed by the instance key.
    fn x509_svid(
        &self,
        instance: InstanceId,
        csr: Vec<u8>,
    ) -> impl Future<Output = Result<IssuedX509, Refused>> + Send;

    /// A JWT-SVID of an instance.
    fn jwt_svid(
        &self,
        instance: InstanceId,
        audiences: &[Audience],
    ) -> impl Future<Output = Result<Secret<String>, Refused>> + Send;

    /// The trust bundles.
    fn bundles(&self) -> watch::Receiver<Arc<Bundles>>;

    /// Checks a foreign JWT-SVID by the bundles at hand. No I/O.
    fn validate_jwt(&self, audience: &Audience, token: &str) -> Result<ValidJwt, Invalid>;

    /// Whether an instance (or its agent, task, org) is revoked or suspended, by the newest state this node has. No I/O.
    fn is_dead(&self, instance: InstanceId) -> bool;

    /// Rises whenever an answer of [`Authority::is_dead`] may have changed.
    fn revocations(&self) -> watch::Receiver<u64>;

    /// Counts a caller that nobody can identify, to be recorded with those of the same source and second. Must not wait.
    fn turned_away(&self, source: Source, code: &'static str);

    /// Records a refusal and names it. Must not wait: it is queued, and counted per uid and second beyond a limit.
    fn refuse(&self, refusal: LocalRefusal) -> DecisionId;
}

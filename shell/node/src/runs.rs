//! The runs of this node: which process is bound to which identity, and who belongs to whom.
//!
//! Two different questions have two different answers. *Who may have the identity* (SVIDs, tokens): only the bound process
//! itself, for as long as it executes what was measured. *Who may call through the run's listener*: every process of the
//! run, and the call says which it was.

use crate::authority::OpenedRun;
use crate::instance_key::InstanceKey;
use crate::launch::{Separation, Story};
use crate::workload_api::X509Svid;
use identity::{Digest, Name};
use peer::{Executable, ExecutableDigests, PeerError, PidFd, SUPERVISOR_NAME, ancestors};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::{OnceCell, mpsc, watch};

/// One launch, from its binding to its end.
#[derive(Debug)]
pub struct Run {
    /// What the server made of it.
    pub opened: OpenedRun,
    /// The agent.
    pub agent: Name,
    /// The bound process.
    pub process: Arc<PidFd>,
    /// What it must execute to keep the binding.
    pub executable: Executable,
    /// Digest of that file, as it was measured.
    pub executable_digest: Digest,
    /// Whose uid it runs with.
    pub uid: u32,
    /// How far it is separated from its host.
    pub separation: Separation,
    /// Agents that its processes may launch.
    pub may_launch: Vec<Name>,
    /// Lines for the launcher's terminal.
    pub story: mpsc::UnboundedSender<Story>,
    pub(crate) supervisor: Arc<PidFd>,
    pub(crate) key: InstanceKey,
    pub(crate) svids: watch::Sender<Arc<Vec<X509Svid>>>,
    pub(crate) renewing: OnceCell<()>,
}

impl Run {
    /// The key that the run is known by.
    pub const fn key(&self) -> &InstanceKey {
        &self.key
    }
    /// Tells the launcher's terminal; nobody listens when it asked for quiet.
    pub fn tell(&self, line: Story) {
        if self.story.send(line).is_err() {
            tracing::trace!(run = %self.opened.run, "nobody listens to the story");
        }
    }
    /// Whether the bound process lives and executes what it was bound with.
    pub fn is_intact(&self) -> bool {
        Executable::of(&self.process).is_ok_and(|now| now.is(&self.executable))
    }
}

/// Why a process has no identity.
#[derive(Debug, thiserror::Error)]
pub enum NotBound {
    /// It was not started by a launch.
    #[error("the process was not launched by this node agent: start it with `tabard run`")]
    Unknown,
    /// It belongs to a run but is not its bound process.
    #[error("the process is a child within run {0}: identity belongs to the launched process alone")]
    Child(identity::RunId),
    /// The bound process executes something else now.
    #[error("the process of run {0} has executed another program since it was bound")]
    Executed(identity::RunId),
    /// It could not be looked at.
    #[error("the process can not be judged: {0}")]
    Peer(#[from] PeerError),
}

/// Where a process stands.
#[derive(Debug, Clone)]
pub enum Place {
    /// In no run.
    Outside,
    /// It is the bound process of this run.
    Agent(Arc<Run>),
    /// It descends from this run's launch.
    Child(Arc<Run>),
    /// In some run, or too doubtful to say otherwise.
    Inside,
}

/// All runs. Shared between the launcher, the Workload API and the listeners.
#[derive(Debug, Default)]
pub struct Runs {
    bound: RwLock<HashMap<u64, Arc<Run>>>,
    /// Digests of the executables of processes that ask without having been launched.
    pub(crate) digests: ExecutableDigests,
    /// Held while a run is opened for such a process, so that it gets one.
    pub(crate) opening: tokio::sync::Mutex<()>,
    /// Set for good when a supervisor was killed: from then on we may be the parent of processes of a run.
    adopted: AtomicBool,
}

impl Runs {
    /// The run that a process is bound to, judged now.
    pub fn bound(&self, process: &PidFd) -> Result<Arc<Run>, NotBound> {
        process.check()?;
        let run = self.read(|runs| runs.get(&process.inode()).cloned());
        match run {
            Some(run) if run.is_intact() => Ok(run),
            Some(run) => Err(NotBound::Executed(run.opened.run)),
            None => match self.place_of(process) {
                Place::Child(run) => Err(NotBound::Child(run.opened.run)),
                Place::Outside | Place::Agent(_) | Place::Inside => Err(NotBound::Unknown),
            },
        }
    }

    /// Where a process stands, by its line of parents. Fails closed: whatever can not be followed is inside.
    pub fn place_of(&self, process: &PidFd) -> Place {
        if let Some(run) = self.read(|runs| runs.get(&process.inode()).cloned()) {
            return Place::Agent(run);
        }
        let Ok(line) = ancestors(process) else {
            return Place::Inside;
        };
        let own = rustix::process::getpid();
        for ancestor in line {
            let inode = ancestor.process.inode();
            let found = self.read(|runs| {
                let mut runs = runs.values();
                runs.find(|run| run.supervisor.inode() == inode || run.process.inode() == inode)
                    .cloned()
            });
            if let Some(run) = found {
                return Place::Child(run);
            }
            // A supervisor of another node agent; or we ourselves, after we may have adopted what a killed one left.
            let orphan = ancestor.process.pid() == own && self.adopted.load(Ordering::Acquire);
            if orphan || ancestor.name == SUPERVISOR_NAME {
                return Place::Inside;
            }
        }
        Place::Outside
    }

    /// Every run, in no order.
    pub fn all(&self) -> Vec<Arc<Run>> {
        self.read(|runs| runs.values().cloned().collect())
    }

    pub(crate) fn bind(&self, run: Arc<Run>) {
        let mut runs = self.bound.write().unwrap_or_else(PoisonError::into_inner);
        runs.insert(run.process.inode(), run);
    }

    /// A supervisor was killed: what it left behind is our child now, and nobody can say of which run.
    pub(crate) fn supervisor_lost(&self) {
        self.adopted.store(true, Ordering::Release);
    }

    pub(crate) fn unbind(&self, run: &Run) {
        let mut runs = self.bound.write().unwrap_or_else(PoisonError::into_inner);
        runs.remove(&run.process.inode());
    }

    fn read<T>(&self, look: impl FnOnce(&HashMap<u64, Arc<Run>>) -> T) -> T {
        look(&self.bound.read().unwrap_or_else(PoisonError::into_inner))
    }
}

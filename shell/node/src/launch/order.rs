//! What the node agent and a run's supervisor say to each other. Only ever between two processes of ours.

use super::spec::Bind;
use crate::authority::Ended;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The first message to a supervisor, with the executable and descriptors 0, 1 and 2 of the run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// The program's arguments.
    pub(super) argv: Vec<String>,
    /// Its environment, as `NAME=value`.
    pub(super) env: Vec<String>,
    /// Its working directory.
    pub(super) cwd: PathBuf,
    /// Who it runs as.
    pub(super) uid: u32,
    /// With which group.
    pub(super) gid: u32,
    /// And which further groups.
    pub(super) groups: Vec<u32>,
    /// The namespaces it gets, if any.
    pub(super) isolation: Option<Separate>,
}

/// What an isolated run sees.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Separate {
    /// Directories that are replaced by empty private ones.
    pub(super) hide: Vec<PathBuf>,
    /// What is put back into them.
    pub(super) binds: Vec<Bind>,
    /// Sockets of the node agent: where they are, and where the run finds them.
    pub(super) sockets: Vec<(PathBuf, PathBuf)>,
    /// The user's home, made anew when it was hidden.
    pub(super) home: PathBuf,
    /// Port of the run's HTTP listener on its own loopback.
    pub(super) port: u16,
}

/// From the node agent, after the order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Command {
    /// The process is bound: execute.
    Go,
    /// Send this signal to the run's process group.
    Signal(i32),
}

/// From the supervisor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Report {
    /// The process exists and waits. With its pidfd, and the listener of an isolated run.
    Ready,
    /// The program was executed.
    Started,
    /// It could not be.
    Failed {
        /// What did not work.
        what: String,
        /// What the kernel said.
        why: String,
    },
    /// The main process has ended.
    Ended(Ended),
}

//! What `tabard run` and the node agent say to each other on the launch socket (version 1).

use crate::authority::Ended;
use identity::{Name, TaskId};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// From the command line to the node agent. The first message is [`Ask::Launch`], with descriptors 0, 1 and 2.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// Start an agent.
    Launch(Launch),
    /// Send a signal to the run's processes.
    Signal {
        /// Its number.
        signal: i32,
    },
}

/// A request to start an agent. Who asks is known from the socket, not from here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Launch {
    /// Version of this protocol: 1.
    pub version: u32,
    /// Which agent (`--as`).
    pub agent: Name,
    /// The command.
    pub argv: Vec<String>,
    /// Where the launcher is.
    pub cwd: PathBuf,
    /// The launcher's variables, of which the launch spec may take some.
    pub env: Vec<(String, String)>,
    /// Whether to run it in namespaces of its own.
    pub isolate: bool,
    /// Whether the story is wanted.
    pub quiet: bool,
    /// What is wanted of the task.
    #[serde(default)]
    pub task: TaskWish,
}

/// What a launcher wants of the task that its run works on. What is left out is taken from the contract.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskWish {
    /// An open task to go on with, instead of a new one.
    #[serde(default)]
    pub task: Option<TaskId>,
    /// One of the contract's task types.
    #[serde(default)]
    pub kind: Option<Name>,
    /// Whose data.
    #[serde(default)]
    pub tenant: Option<Name>,
    /// How long, in seconds.
    #[serde(default)]
    pub ttl_secs: Option<u64>,
}

/// From the node agent to the command line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "tell", rename_all = "snake_case")]
pub enum Tell {
    /// The request has arrived. The first message, at once: a node agent that is stopped does not send it.
    Heard,
    /// Something happened, for people.
    Story(Story),
    /// The run has ended. The last message.
    Exited {
        /// How.
        ended: Ended,
    },
    /// It was refused before it started. The last message.
    Refused {
        /// Stable code.
        code: String,
        /// Where it is recorded.
        decision: Option<String>,
        /// What and why, one sentence.
        message: String,
        /// What to do about it.
        fix: String,
    },
}

/// One line of the story that `tabard run` tells on stderr.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Story {
    /// Which stage.
    pub step: Step,
    /// What happened, in one line.
    pub text: String,
}

/// The stages of a run, in the words of the glossary.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// A process was bound.
    Attested,
    /// It was found to be a registered agent.
    Identity,
    /// It works on a task.
    Task,
    /// A call was allowed.
    Allowed,
    /// A call was refused.
    Denied,
    /// A credential was issued.
    Issued,
    /// Something to know.
    Note,
}

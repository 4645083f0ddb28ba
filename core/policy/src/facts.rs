//! The facts of one decision: everything it may look at, and nothing else.
//!
//! Plain borrowed data, real or invented: simulation, lists and replay fill it too. Provenance is a property of the
//! kind of fact (see [`crate::fact`]); whoever gathers real facts answers for gathering them from there.

use crate::contract::Opener;
use crate::counter::CounterId;
use crate::flow::FlowFacts;
use identity::{AgentId, Assurance, Audience, Name, OrgId, TaskId, UnixTime};
use std::fmt;

/// What a decision may look at. Start from [`Facts::least`] so that a fact added later begins at its strictest value.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The agent's org.
    pub org: OrgId,
    /// The agent.
    pub agent: AgentId,
    /// How well its identity is proven; the minimum over its chain.
    pub assurance: Assurance,
    /// Seconds since the evidence behind that was appraised.
    pub evidence_age_secs: u64,
    /// The task.
    pub task: TaskFacts<'a>,
    /// What is asked for.
    pub action: &'a Name,
    /// The service that would do it.
    pub audience: &'a Audience,
    /// What it would be done to.
    pub resource: ResourceFacts<'a>,
    /// Whether a credential is asked for or a call is made.
    pub stage: Stage<'a>,
    /// Who makes the call.
    pub caller: Caller,
    /// Each of the contract's counters: what was counted before this request; for a count of different names, how many
    /// there are with those of this request.
    pub counters: &'a [(CounterId, i64)],
    /// The agent's place in the chain.
    pub link: Link,
    /// The agent to whom this one passed the work on; `None` when it acts itself.
    pub next: Option<&'a Name>,
    /// Whether a party stands in the chain twice.
    pub loops: bool,
    /// The user at the beginning of the chain.
    pub user: Option<UserFacts<'a>>,
    /// What was read so far, and what the service says of this action.
    pub flow: FlowFacts<'a>,
    /// Where the task stands in its workflow.
    pub workflow: WorkflowFacts<'a>,
    /// The escalations whose approval for exactly this request is valid now.
    pub approvals: &'a [Name],
    /// The actions in the presented credential; `None` when there is none yet, which only an exchange may have.
    pub task_scope: Option<&'a [Name]>,
    /// When somebody last reviewed or published the contract.
    pub reviewed_at: UnixTime,
    /// What the agent says it is doing. Recorded, never relied on.
    pub statement: Option<&'a str>,
}

/// The task a decision belongs to.
#[derive(Clone, Debug)]
pub struct TaskFacts<'a> {
    /// Its id.
    pub id: TaskId,
    /// Its type.
    pub kind: &'a Name,
    /// Who opened it.
    pub opener: Opener,
    /// The tenant it was opened for.
    pub tenant: Option<&'a Name>,
    /// The purpose it was opened for; `None` leaves it to the contract.
    pub purpose: Option<&'a Name>,
    /// When it was opened.
    pub opened_at: UnixTime,
    /// When it ends.
    pub expires_at: UnixTime,
}

/// What an action would be done to. At an exchange most of it is still unknown.
#[derive(Clone, Debug, Default)]
pub struct ResourceFacts<'a> {
    /// The kind of thing.
    pub kind: Option<&'a str>,
    /// Which one.
    pub id: Option<&'a str>,
    /// Whose data it is. `None` at a call means: not known.
    pub tenant: Option<&'a Name>,
}

/// What is decided: a credential, a list entry or a call.
#[derive(Clone, Copy, Debug)]
pub enum Stage<'a> {
    /// Whether a credential may be issued: could any call be allowed? Arguments and counters are not looked at.
    Exchange,
    /// Whether any call could be allowed, for lists of what is possible. As an exchange, but no credential is asked for,
    /// so a child process may ask too.
    List,
    /// Whether this very call may be made, with these arguments.
    Call {
        /// The arguments by name. One that a grant names and that is missing, there twice or of the wrong type denies.
        arguments: &'a [(&'a str, ArgValue<'a>)],
    },
}

impl Stage<'_> {
    /// Whether this is a call.
    pub const fn is_call(&self) -> bool {
        matches!(self, Self::Call { .. })
    }
    /// The spelling in records.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Exchange => "exchange",
            Self::List => "list",
            Self::Call { .. } => "call",
        }
    }
}

/// The value of an argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArgValue<'a> {
    /// A whole number.
    Int(i64),
    /// A text.
    Str(&'a str),
    /// True or false.
    Bool(bool),
    /// A list.
    List(&'a [ArgValue<'a>]),
}

impl fmt::Display for ArgValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => number.fmt(f),
            Self::Str(text) => write!(f, "{:?}", text.chars().take(SHOWN_CHARS_MAX).collect::<String>()),
            Self::Bool(value) => value.fmt(f),
            Self::List(items) => {
                f.write_str("[")?;
                for (place, item) in items.iter().take(SHOWN_ITEMS_MAX).enumerate() {
                    write!(f, "{}{item}", if place == 0 { "" } else { ", " })?;
                }
                f.write_str(if items.len() > SHOWN_ITEMS_MAX {
                    ", …]"
                } else {
                    "]"
                })
            }
        }
    }
}

/// Most characters of one argument shown in an explanation.
const SHOWN_CHARS_MAX: usize = 80;
/// Most items of one list shown in an explanation.
const SHOWN_ITEMS_MAX: usize = 8;

/// Who makes a call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Caller {
    /// The attested agent process itself.
    Agent,
    /// A child process of its run.
    Child,
}

impl Caller {
    /// The spelling in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Child => "child",
        }
    }
}

/// The user at the beginning of a chain.
#[derive(Clone, Copy, Debug)]
pub struct UserFacts<'a> {
    /// Who, as entries name them.
    pub id: &'a str,
    /// The groups that the user is in.
    pub groups: &'a [Name],
    /// Whether the user may do this, by the rights that the org keeps or asks for.
    pub entitled: bool,
    /// What a decision point outside says of that; `None` where nobody outside has a say in it.
    pub outside: Option<Outside>,
}

/// The word of a decision point outside on what a user may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outside {
    /// It said so.
    Said {
        /// What.
        yes: bool,
        /// How long ago it was asked.
        age_secs: u64,
    },
    /// It did not answer, or its answer is over.
    Silent,
}

/// Where a task stands in its workflow.
#[derive(Clone, Copy, Debug, Default)]
pub struct WorkflowFacts<'a> {
    /// The step taken last.
    pub last: Option<&'a Name>,
    /// How often each action and step was taken.
    pub done: &'a [(Name, i64)],
    /// How many calls were made; `None` when that is not known.
    pub steps: Option<i64>,
}

impl WorkflowFacts<'_> {
    /// How often `step` was taken.
    pub fn done(&self, step: &Name) -> i64 {
        self.done
            .iter()
            .find(|(known, _)| known == step)
            .map_or(0, |(_, times)| *times)
    }
}

/// An agent's place in the actor chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    /// One for the originating principal; equal to `depth` for the current actor.
    pub position: u8,
    /// Number of parties in the chain.
    pub depth: u8,
}

impl Link {
    /// The agent acts itself and is the whole chain.
    pub const ALONE: Self = Self {
        position: 1,
        depth: 1,
    };
}

impl<'a> Facts<'a> {
    /// The facts with which the least is allowed: nothing proven, nothing known, a call without arguments.
    pub const fn least(
        org: OrgId,
        agent: AgentId,
        task: TaskFacts<'a>,
        action: &'a Name,
        audience: &'a Audience,
    ) -> Self {
        Self {
            org,
            agent,
            assurance: Assurance {
                node: 0,
                launch: 0,
                code: 0,
                signer: 0,
            },
            evidence_age_secs: u64::MAX,
            task,
            action,
            audience,
            resource: ResourceFacts {
                kind: None,
                id: None,
                tenant: None,
            },
            stage: Stage::Call { arguments: &[] },
            caller: Caller::Child,
            counters: &[],
            link: Link {
                position: 0,
                depth: u8::MAX,
            },
            next: None,
            loops: true,
            user: None,
            flow: FlowFacts {
                labels: None,
                data: None,
                sink: None,
                trusted: false,
            },
            workflow: WorkflowFacts {
                last: None,
                done: &[],
                steps: None,
            },
            approvals: &[],
            task_scope: None,
            reviewed_at: UnixTime::from_millis(0),
            statement: None,
        }
    }

    /// The count of `counter`; `None` when nobody gathered it.
    pub fn counter(&self, counter: &CounterId) -> Option<i64> {
        self.counters
            .iter()
            .find(|(id, _)| id == counter)
            .map(|(_, count)| *count)
    }

    /// The argument `name`; `None` when it is missing or there twice, which leaves open what would be done.
    pub fn argument(&self, name: &str) -> Option<ArgValue<'a>> {
        let Stage::Call { arguments } = self.stage else {
            return None;
        };
        let mut found = arguments.iter().filter(|(known, _)| *known == name);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Some(*value),
            _ => None,
        }
    }
}

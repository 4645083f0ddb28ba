//! The facts of one decision: everything it may look at, and nothing else.
//!
//! Plain borrowed data, real or invented: simulation, lists and replay fill it too. Provenance is a property of the
//! kind of fact (see [`crate::fact`]); whoever gathers real facts answers for gathering them from there.

use crate::contract::{Opener, RateScope};
use crate::fact::Fact;
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
    /// Calls already made in each of the contract's rate windows, without this one.
    pub counters: &'a [(WindowId, i64)],
    /// The agent's place in the chain.
    pub link: Link,
    /// Whether a human stands at the beginning of the chain.
    pub user_present: bool,
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

/// One of a contract's rate windows. The same in every version of the contract that has it, so a counter survives a
/// new version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WindowId {
    /// What is counted together.
    pub scope: RateScope,
    /// Its length.
    pub per_secs: u64,
}

impl fmt::Display for WindowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}s", self.scope, self.per_secs)
    }
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
            user_present: false,
            task_scope: None,
            reviewed_at: UnixTime::from_millis(0),
            statement: None,
        }
    }

    /// The counter of `window`; `None` when nobody gathered it.
    pub fn counter(&self, window: WindowId) -> Option<i64> {
        self.counters
            .iter()
            .find(|(id, _)| *id == window)
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

    /// Every fact as name, value and kind, in a fixed order: what explanations show and records keep.
    pub fn rows(&self, now: UnixTime) -> Vec<FactRow> {
        let mut rows = Vec::with_capacity(Fact::ALL.len() + self.counters.len());
        for fact in Fact::ALL {
            self.rows_of(*fact, now, &mut rows);
        }
        rows
    }

    fn rows_of(&self, fact: Fact, now: UnixTime, rows: &mut Vec<FactRow>) {
        let absent = || "(none)".to_owned();
        let name = |name: Option<&Name>| name.map_or_else(absent, ToString::to_string);
        let value = match fact {
            Fact::Org => self.org.to_string(),
            Fact::Agent => self.agent.to_string(),
            Fact::Assurance => {
                let level = self.assurance.level();
                format!("{level} ({})", level.meaning())
            }
            Fact::EvidenceAge => format!("{}s", self.evidence_age_secs),
            Fact::Link => format!("{} of {}", self.link.position, self.link.depth),
            Fact::UserPresent => self.user_present.to_string(),
            Fact::Caller => self.caller.as_str().to_owned(),
            Fact::Task => self.task.id.to_string(),
            Fact::TaskType => self.task.kind.to_string(),
            Fact::TaskOpener => self.task.opener.to_string(),
            Fact::TaskTenant => name(self.task.tenant),
            Fact::TaskPurpose => name(self.task.purpose),
            Fact::TaskOpened => self.task.opened_at.rfc3339(),
            Fact::TaskExpires => self.task.expires_at.rfc3339(),
            Fact::TaskScope => self.task_scope.map_or_else(absent, |scope| {
                scope.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")
            }),
            Fact::Stage => self.stage.as_str().to_owned(),
            Fact::Action => self.action.to_string(),
            Fact::Audience => self.audience.to_string(),
            Fact::ResourceType => self.resource.kind.map_or_else(absent, str::to_owned),
            Fact::ResourceId => self.resource.id.map_or_else(absent, str::to_owned),
            Fact::ResourceTenant => name(self.resource.tenant),
            Fact::Argument => {
                if let Stage::Call { arguments } = self.stage {
                    rows.extend(arguments.iter().map(|(name, value)| FactRow {
                        fact,
                        name: format!("{}.{name}", fact.as_str()),
                        value: value.to_string(),
                    }));
                }
                return;
            }
            Fact::Counter => {
                rows.extend(self.counters.iter().map(|(window, count)| FactRow {
                    fact,
                    name: format!("{}.{window}", fact.as_str()),
                    value: count.to_string(),
                }));
                return;
            }
            Fact::Reviewed => self.reviewed_at.rfc3339(),
            Fact::Now => now.rfc3339(),
            Fact::Statement => self.statement.map_or_else(absent, |text| format!("{text:?}")),
        };
        rows.push(FactRow {
            fact,
            name: fact.as_str().to_owned(),
            value,
        });
    }
}

/// One fact as text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FactRow {
    /// Its kind, which says where it comes from.
    pub fact: Fact,
    /// Its name; arguments and counters carry their own.
    pub name: String,
    /// Its value.
    pub value: String,
}

//! Facts as rows: what explanations show and entries keep, and the way back.
//!
//! A row holds a typed value under a name, with its kind. What is absent has no row. [`Recorded::read`] takes rows
//! back into facts, so that any decision can be made again, with its own contract or another.

use crate::contract::{Opener, Parameter};
use crate::counter::CounterId;
use crate::fact::Fact;
use crate::facts::{
    ArgValue, Caller, Facts, Link, Outside, ResourceFacts, Stage, TaskFacts, UserFacts, WorkflowFacts,
};
use crate::flow::{DataLabels, FlowFacts, Labels, Sink};
use identity::{Assurance, Audience, Name, UnixTime};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// One fact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FactRow {
    /// Its kind, which says where it comes from.
    pub fact: Fact,
    /// Its name; arguments and counters carry their own.
    pub name: Cow<'static, str>,
    /// Its value.
    pub value: Value,
}

impl FactRow {
    /// The value as people read it.
    pub fn text(&self) -> String {
        match &self.value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

impl Facts<'_> {
    /// Every fact as name, value and kind, in a fixed order: what explanations show and entries keep.
    pub fn rows(&self, now: UnixTime) -> Vec<FactRow> {
        let mut rows = Vec::with_capacity(Fact::ALL.len() + self.counters.len());
        for fact in Fact::ALL {
            self.rows_of(*fact, now, &mut rows);
        }
        rows
    }

    fn rows_of(&self, fact: Fact, now: UnixTime, rows: &mut Vec<FactRow>) {
        let text = |text: &str| Some(Value::from(text));
        let name = |name: Option<&Name>| name.map(|name| Value::from(name.as_str()));
        let (flow, workflow) = (&self.flow, &self.workflow);
        let value = match fact {
            Fact::Org => Some(self.org.to_string().into()),
            Fact::Agent => Some(self.agent.to_string().into()),
            Fact::Assurance => {
                let Assurance {
                    node,
                    launch,
                    code,
                    signer,
                } = self.assurance;
                let level = self.assurance.level();
                let vector = format!("{level} ({}) {node}.{launch}.{code}.{signer}", level.meaning());
                Some(vector.into())
            }
            Fact::EvidenceAge => Some(self.evidence_age_secs.into()),
            Fact::Link => Some(format!("{} of {}", self.link.position, self.link.depth).into()),
            Fact::Next => name(self.next),
            Fact::Loop => self.loops.then_some(Value::Bool(true)),
            Fact::User => self.user.map(|user| user.id.into()),
            Fact::UserGroups => self
                .user
                .map(|user| user.groups.iter().map(Name::as_str).collect::<Vec<_>>().into()),
            Fact::UserEntitled => self.user.map(|user| user.entitled.into()),
            Fact::UserOutside => self
                .user
                .and_then(|user| user.outside)
                .map(|outside| match outside {
                    Outside::Said { yes, age_secs } => json!({"decision": yes, "age_secs": age_secs}),
                    Outside::Silent => Value::from("silent"),
                }),
            Fact::Caller => text(self.caller.as_str()),
            Fact::Task => Some(self.task.id.to_string().into()),
            Fact::TaskType => name(Some(self.task.kind)),
            Fact::TaskOpener => text(self.task.opener.as_str()),
            Fact::TaskTenant => name(self.task.tenant),
            Fact::TaskPurpose => name(self.task.purpose),
            Fact::TaskOpened => Some(self.task.opened_at.rfc3339().into()),
            Fact::TaskExpires => Some(self.task.expires_at.rfc3339().into()),
            Fact::TaskScope => self
                .task_scope
                .map(|scope| scope.iter().map(Name::as_str).collect::<Vec<_>>().into()),
            Fact::Stage => text(self.stage.as_str()),
            Fact::Action => name(Some(self.action)),
            Fact::Audience => text(self.audience.as_str()),
            Fact::ResourceType => self.resource.kind.map(Value::from),
            Fact::ResourceId => self.resource.id.map(Value::from),
            Fact::ResourceTenant => name(self.resource.tenant),
            Fact::Argument => {
                if let Stage::Call { arguments } = self.stage {
                    rows.extend(arguments.iter().map(|(name, value)| FactRow {
                        fact,
                        name: format!("{}.{name}", fact.as_str()).into(),
                        value: json_of(*value),
                    }));
                }
                return;
            }
            Fact::Counter => {
                rows.extend(self.counters.iter().map(|(counter, count)| FactRow {
                    fact,
                    name: format!("{}.{counter}", fact.as_str()).into(),
                    value: (*count).into(),
                }));
                return;
            }
            Fact::Labels => flow.labels.and_then(|labels| serde_json::to_value(labels).ok()),
            Fact::ServiceData => flow.data.and_then(|data| serde_json::to_value(data).ok()),
            Fact::ServiceSink => flow.sink.and_then(|sink| serde_json::to_value(sink).ok()),
            Fact::Trusted => flow.trusted.then_some(Value::Bool(true)),
            Fact::Workflow => (workflow.steps.is_some() || workflow.last.is_some()).then(|| {
                let done: Map<String, Value> = workflow
                    .done
                    .iter()
                    .map(|(step, times)| (step.to_string(), (*times).into()))
                    .collect();
                json!({"done": done, "last": workflow.last.map(Name::as_str), "steps": workflow.steps})
            }),
            Fact::Approvals => (!self.approvals.is_empty())
                .then(|| self.approvals.iter().map(Name::as_str).collect::<Vec<_>>().into()),
            Fact::Reviewed => Some(self.reviewed_at.rfc3339().into()),
            Fact::Now => Some(now.rfc3339().into()),
            Fact::Statement => self.statement.map(Value::from),
        };
        if let Some(value) = value {
            rows.push(FactRow {
                fact,
                name: fact.as_str().into(),
                value,
            });
        }
    }
}

/// Begins the names of what another party of the chain was judged on.
const LINK: &str = "link.";

/// What `link` was judged on, so far as it is not what the actor was judged on, whose rows are `actor`: named by its
/// place in the chain, and null where the actor has a row and it has none.
pub fn link_rows(actor: &[FactRow], link: &Facts<'_>, now: UnixTime) -> Vec<FactRow> {
    let position = link.link.position;
    let own = link.rows(now);
    let named = |row: &FactRow, value: Value| FactRow {
        fact: row.fact,
        name: format!("{LINK}{position}.{}", row.name).into(),
        value,
    };
    let missing = actor
        .iter()
        .filter(|row| !own.iter().any(|known| known.name == row.name))
        .map(|row| named(row, Value::Null));
    own.iter()
        .filter(|row| !actor.contains(row))
        .map(|row| named(row, row.value.clone()))
        .chain(missing)
        .collect()
}

fn json_of(value: ArgValue<'_>) -> Value {
    match value {
        ArgValue::Int(number) => number.into(),
        ArgValue::Str(text) => text.into(),
        ArgValue::Bool(value) => value.into(),
        ArgValue::List(items) => items.iter().map(|item| json_of(*item)).collect(),
    }
}

/// The facts of a decision that was made, read from the rows that its entry keeps.
#[derive(Clone, Debug)]
pub struct Recorded {
    org: identity::OrgId,
    agent: identity::AgentId,
    assurance: Assurance,
    evidence_age_secs: u64,
    link: Link,
    next: Option<Name>,
    loops: bool,
    user: Option<(String, Vec<Name>, bool, Option<Outside>)>,
    caller: Caller,
    task: identity::TaskId,
    task_type: Name,
    opener: Opener,
    task_tenant: Option<Name>,
    task_purpose: Option<Name>,
    opened_at: UnixTime,
    expires_at: UnixTime,
    scope: Option<Vec<Name>>,
    stage: Box<str>,
    action: Name,
    audience: Audience,
    resource: (Option<String>, Option<String>, Option<Name>),
    arguments: Vec<(Parameter, Value)>,
    counters: Vec<(CounterId, i64)>,
    labels: Option<Labels>,
    data: Option<DataLabels>,
    sink: Option<Sink>,
    trusted: bool,
    last: Option<Name>,
    done: Vec<(Name, i64)>,
    steps: Option<i64>,
    approvals: Vec<Name>,
    reviewed_at: UnixTime,
    now: UnixTime,
    statement: Option<String>,
}

/// Rows that are not those of one decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the fact {0} is missing, or not as this version writes it")]
pub struct NotFacts(String);

/// Rows by name, while they are read.
struct Rows<'r, F>(&'r F);

impl<'v, F: Fn(&str) -> Option<&'v Value>> Rows<'_, F> {
    fn value(&self, fact: Fact) -> Option<&'v Value> {
        (self.0)(fact.as_str())
    }
    fn optional<T: std::str::FromStr>(&self, fact: Fact) -> Result<Option<T>, NotFacts> {
        self.value(fact)
            .map(|value| {
                value
                    .as_str()
                    .and_then(|text| text.parse().ok())
                    .ok_or_else(|| not(fact))
            })
            .transpose()
    }
    fn required<T: std::str::FromStr>(&self, fact: Fact) -> Result<T, NotFacts> {
        self.optional(fact)?.ok_or_else(|| not(fact))
    }
    fn names(&self, fact: Fact) -> Result<Option<Vec<Name>>, NotFacts> {
        self.value(fact)
            .map(|value| {
                let names = value.as_array().ok_or_else(|| not(fact))?;
                let name = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
                names
                    .iter()
                    .map(|value| name(value).ok_or_else(|| not(fact)))
                    .collect()
            })
            .transpose()
    }
    fn object<T: serde::de::DeserializeOwned>(&self, fact: Fact) -> Result<Option<T>, NotFacts> {
        self.value(fact)
            .map(|value| T::deserialize(value).map_err(|_| not(fact)))
            .transpose()
    }
    fn flag(&self, fact: Fact) -> Result<bool, NotFacts> {
        self.value(fact)
            .map_or(Some(false), Value::as_bool)
            .ok_or_else(|| not(fact))
    }
    fn time(&self, fact: Fact) -> Result<UnixTime, NotFacts> {
        self.value(fact)
            .and_then(Value::as_str)
            .and_then(UnixTime::from_rfc3339)
            .ok_or_else(|| not(fact))
    }
}

fn not(fact: Fact) -> NotFacts {
    NotFacts(fact.as_str().to_owned())
}

impl Recorded {
    /// Reads rows, given as name and value in any order; names that are no facts are passed over.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "an iterator is made for the call, and walked several times"
    )]
    pub fn read<'v>(rows: impl Iterator<Item = (&'v str, &'v Value)> + Clone) -> Result<Self, NotFacts> {
        let find = |name: &str| {
            rows.clone()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value)
        };
        let by = Rows(&find);
        let mut arguments = Vec::new();
        let mut counters = Vec::new();
        for (name, value) in rows.clone() {
            if let Some(argument) = name.strip_prefix("argument.") {
                let argument = argument.parse().map_err(|_| not(Fact::Argument))?;
                arguments.push((argument, value.clone()));
            } else if let Some(counter) = name.strip_prefix("counter.") {
                let counter = counter.parse().map_err(|_| not(Fact::Counter))?;
                counters.push((counter, value.as_i64().ok_or_else(|| not(Fact::Counter))?));
            }
        }
        let user: Option<String> = by.optional(Fact::User)?;
        let groups = by.names(Fact::UserGroups)?.unwrap_or_default();
        let entitled = by.flag(Fact::UserEntitled)?;
        let outside = by.value(Fact::UserOutside).map(outside).transpose()?;
        let opener: String = by.required(Fact::TaskOpener)?;
        let caller: String = by.required(Fact::Caller)?;
        let (last, done, steps) = by
            .value(Fact::Workflow)
            .map_or(Ok((None, Vec::new(), None)), workflow)?;
        Ok(Self {
            org: by.required(Fact::Org)?,
            agent: by.required(Fact::Agent)?,
            assurance: assurance(&by.required::<String>(Fact::Assurance)?)?,
            evidence_age_secs: by
                .value(Fact::EvidenceAge)
                .and_then(Value::as_u64)
                .ok_or_else(|| not(Fact::EvidenceAge))?,
            link: link(&by.required::<String>(Fact::Link)?)?,
            next: by.optional(Fact::Next)?,
            loops: by.flag(Fact::Loop)?,
            user: user.map(|id| (id, groups, entitled, outside)),
            caller: match caller.as_str() {
                "agent" => Caller::Agent,
                "child" => Caller::Child,
                _ => return Err(not(Fact::Caller)),
            },
            task: by.required(Fact::Task)?,
            task_type: by.required(Fact::TaskType)?,
            opener: Opener::ALL
                .iter()
                .copied()
                .find(|known| known.as_str() == opener)
                .ok_or_else(|| not(Fact::TaskOpener))?,
            task_tenant: by.optional(Fact::TaskTenant)?,
            task_purpose: by.optional(Fact::TaskPurpose)?,
            opened_at: by.time(Fact::TaskOpened)?,
            expires_at: by.time(Fact::TaskExpires)?,
            scope: by.names(Fact::TaskScope)?,
            stage: by.required::<String>(Fact::Stage)?.into(),
            action: by.required(Fact::Action)?,
            audience: by.required(Fact::Audience)?,
            resource: (
                by.optional(Fact::ResourceType)?,
                by.optional(Fact::ResourceId)?,
                by.optional(Fact::ResourceTenant)?,
            ),
            arguments,
            counters,
            labels: by.object(Fact::Labels)?,
            data: by.object(Fact::ServiceData)?,
            sink: by.object(Fact::ServiceSink)?,
            trusted: by.flag(Fact::Trusted)?,
            last,
            done,
            steps,
            approvals: by.names(Fact::Approvals)?.unwrap_or_default(),
            reviewed_at: by.time(Fact::Reviewed)?,
            now: by.time(Fact::Now)?,
            statement: by.optional(Fact::Statement)?,
        })
    }

    /// Reads what another party of the same chain was judged on: see [`link_rows`].
    pub fn read_link<'v>(
        position: u8,
        rows: impl Iterator<Item = (&'v str, &'v Value)> + Clone,
    ) -> Result<Self, NotFacts> {
        let prefix = format!("{LINK}{position}.");
        let own: Vec<(&str, &Value)> = rows
            .clone()
            .filter_map(|(name, value)| Some((name.strip_prefix(&prefix)?, value)))
            .collect();
        if own.is_empty() {
            return Err(not(Fact::Link));
        }
        let same =
            rows.filter(|(name, _)| !name.starts_with(LINK) && !own.iter().any(|(own, _)| own == name));
        let all: Vec<(&str, &Value)> = own
            .iter()
            .copied()
            .filter(|(_, value)| !value.is_null())
            .chain(same)
            .collect();
        Self::read(all.iter().copied())
    }

    /// Whom it was decided of.
    pub const fn agent(&self) -> identity::AgentId {
        self.agent
    }
    /// Its place in the chain.
    pub const fn link(&self) -> Link {
        self.link
    }
    /// At which service.
    pub const fn audience(&self) -> &Audience {
        &self.audience
    }
    /// The type of the task.
    pub const fn task_type(&self) -> &Name {
        &self.task_type
    }
    /// Whose data it was about.
    pub const fn tenant(&self) -> Option<&Name> {
        self.resource.2.as_ref()
    }
    /// Whether it was a call, and no exchange.
    pub fn is_call(&self) -> bool {
        &*self.stage == "call"
    }
    /// When it was decided.
    pub const fn now(&self) -> UnixTime {
        self.now
    }
    /// What was asked for.
    pub const fn action(&self) -> &Name {
        &self.action
    }
    /// The arguments, for whoever looks for bounds.
    pub fn arguments(&self) -> &[(Parameter, Value)] {
        &self.arguments
    }

    /// Calls `judge` with the facts.
    pub fn with<T>(&self, judge: impl FnOnce(&Facts<'_>) -> T) -> T {
        let lists: Vec<Vec<ArgValue<'_>>> = self.arguments.iter().map(|(_, value)| elements(value)).collect();
        let arguments: Vec<(&str, ArgValue<'_>)> = self
            .arguments
            .iter()
            .zip(&lists)
            .filter_map(|((name, value), list)| {
                Some((
                    name.as_str(),
                    scalar(value).or_else(|| value.is_array().then_some(ArgValue::List(list)))?,
                ))
            })
            .collect();
        let stage = match &*self.stage {
            "call" => Stage::Call {
                arguments: &arguments,
            },
            "list" => Stage::List,
            _ => Stage::Exchange,
        };
        let (kind, id, tenant) = &self.resource;
        judge(&Facts {
            org: self.org,
            agent: self.agent,
            assurance: self.assurance,
            evidence_age_secs: self.evidence_age_secs,
            task: TaskFacts {
                id: self.task,
                kind: &self.task_type,
                opener: self.opener,
                tenant: self.task_tenant.as_ref(),
                purpose: self.task_purpose.as_ref(),
                opened_at: self.opened_at,
                expires_at: self.expires_at,
            },
            action: &self.action,
            audience: &self.audience,
            resource: ResourceFacts {
                kind: kind.as_deref(),
                id: id.as_deref(),
                tenant: tenant.as_ref(),
            },
            stage,
            caller: self.caller,
            counters: &self.counters,
            link: self.link,
            next: self.next.as_ref(),
            loops: self.loops,
            user: self
                .user
                .as_ref()
                .map(|(id, groups, entitled, outside)| UserFacts {
                    id,
                    groups,
                    entitled: *entitled,
                    outside: *outside,
                }),
            flow: FlowFacts {
                labels: self.labels.as_ref(),
                data: self.data.as_ref(),
                sink: self.sink.as_ref(),
                trusted: self.trusted,
            },
            workflow: WorkflowFacts {
                last: self.last.as_ref(),
                done: &self.done,
                steps: self.steps,
            },
            approvals: &self.approvals,
            task_scope: self.scope.as_deref(),
            reviewed_at: self.reviewed_at,
            statement: self.statement.as_deref(),
        })
    }
}

fn scalar(value: &Value) -> Option<ArgValue<'_>> {
    match value {
        Value::String(text) => Some(ArgValue::Str(text)),
        Value::Bool(value) => Some(ArgValue::Bool(*value)),
        other => other.as_i64().map(ArgValue::Int),
    }
}

fn elements(value: &Value) -> Vec<ArgValue<'_>> {
    value
        .as_array()
        .map(|items| items.iter().filter_map(scalar).collect())
        .unwrap_or_default()
}

/// `2 (isolated) 1.3.2.1`: the vector is the last word.
fn assurance(text: &str) -> Result<Assurance, NotFacts> {
    let vector = text.rsplit(' ').next().unwrap_or_default();
    let parts: Vec<u8> = vector
        .split('.')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .map_err(|_| not(Fact::Assurance))?;
    let [node, launch, code, signer] = parts.as_slice() else {
        return Err(not(Fact::Assurance));
    };
    Ok(Assurance {
        node: *node,
        launch: *launch,
        code: *code,
        signer: *signer,
    })
}

fn link(text: &str) -> Result<Link, NotFacts> {
    let (position, depth) = text.split_once(" of ").ok_or_else(|| not(Fact::Link))?;
    Ok(Link {
        position: position.parse().map_err(|_| not(Fact::Link))?,
        depth: depth.parse().map_err(|_| not(Fact::Link))?,
    })
}

/// `"silent"`, or the word with its age.
fn outside(value: &Value) -> Result<Outside, NotFacts> {
    if value == "silent" {
        return Ok(Outside::Silent);
    }
    let yes = value.get("decision").and_then(Value::as_bool);
    let age_secs = value.get("age_secs").and_then(Value::as_u64);
    yes.zip(age_secs)
        .map(|(yes, age_secs)| Outside::Said { yes, age_secs })
        .ok_or_else(|| not(Fact::UserOutside))
}

type Position = (Option<Name>, Vec<(Name, i64)>, Option<i64>);

fn workflow(value: &Value) -> Result<Position, NotFacts> {
    let wrong = || not(Fact::Workflow);
    let last = match value.get("last") {
        None | Some(Value::Null) => None,
        Some(last) => Some(
            last.as_str()
                .and_then(|last| last.parse().ok())
                .ok_or_else(wrong)?,
        ),
    };
    let done = value.get("done").and_then(Value::as_object).ok_or_else(wrong)?;
    let done = done
        .iter()
        .map(|(step, times)| Some((step.parse().ok()?, times.as_i64()?)))
        .collect::<Option<_>>()
        .ok_or_else(wrong)?;
    let steps = match value.get("steps") {
        None | Some(Value::Null) => None,
        Some(steps) => Some(steps.as_i64().ok_or_else(wrong)?),
    };
    Ok((last, done, steps))
}

//! The contract model, version 1: an agent's job description as checked values.
//!
//! Written out in snake case by serde it is the canonical form; the JSON Schema is derived from the same types.
//! Lists whose order means nothing are sets here, so order never changes a contract's hash. The larger parts have files
//! of their own: budgets, delegation, flow, workflow, escalation, custom rules.

use super::budget::Budget;
use super::constraint::Constraint;
use super::custom::Rule;
use super::date::Date;
use super::delegation::Delegation;
use super::escalation::Escalation;
use super::flow_terms::Flow;
use super::parameter::Parameter;
use super::seconds::Seconds;
use super::sentence::Sentence;
use super::week::{Day, Offset, TimeOfDay};
use super::workflow::Workflow;
use identity::{Assurance, Audience, Level, Name};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// An agent's job description: who answers for it, what it is for, what it may do, within which limits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields, title = "AgentContract")]
pub struct Terms {
    /// The version of this format.
    #[serde(rename = "apiVersion")]
    pub api_version: ApiVersion,
    /// What kind of document this is.
    pub kind: Kind,
    /// The contract's own name and version.
    pub metadata: Metadata,
    /// Who answers for the agent.
    pub owner: Owner,
    /// What the agent is for.
    pub purpose: Purpose,
    /// How well its identity has to be proven.
    pub identity: IdentityTerms,
    /// Whose data it may touch. Without this key it may touch no tenant's data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenants: Option<Tenants>,
    /// In which tasks it may act.
    pub tasks: Tasks,
    /// What it may do. Everything else is refused.
    #[schemars(length(min = 1, max = 200))]
    pub grants: Vec<Grant>,
    /// When it may act. Without this key at any time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default, length(max = 20))]
    pub windows: Vec<TimeWindow>,
    /// How often it may act.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default, length(max = 8))]
    pub rate: Vec<Rate>,
    /// How much it may do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default, length(max = 16))]
    pub budgets: Vec<Budget>,
    /// On whose behalf it acts, and to whom it may pass work on. Without this key it acts for anyone and delegates to
    /// nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delegation: Option<Delegation>,
    /// What it may do with what it has read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<Flow>,
    /// The steps of its work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<Workflow>,
    /// Which humans can let something pass.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default, with = "BTreeMap<NameText, Escalation>", length(max = 100))]
    pub escalation: BTreeMap<Name, Escalation>,
    /// Limits written in Cedar.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default, length(max = 20))]
    pub rules: Vec<Rule>,
    /// Programs that a process of its run may launch as a child task. Without this key none.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(default, with = "BTreeSet<NameText>")]
    pub may_launch: BTreeSet<Name>,
    /// Whether its limits hold or are only reported.
    #[schemars(default)]
    pub mode: Mode,
    /// When it ends and has to be looked at again.
    pub lifecycle: Lifecycle,
}

/// The version of the contract format.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub enum ApiVersion {
    /// Version 1.
    #[serde(rename = "tabard/v1")]
    V1,
}

/// The kind of document.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub enum Kind {
    /// A contract of one agent, or of several that do the same job.
    AgentContract,
}

/// The contract's own name and version.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Metadata {
    /// A short name, usually the agent's.
    #[schemars(with = "NameText")]
    pub name: Name,
    /// Counts up with each change. For people: decisions name the hash.
    #[schemars(range(min = 1))]
    pub version: u32,
}

/// Who answers for the agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Owner {
    /// The team.
    #[schemars(with = "NameText")]
    pub team: Name,
    /// A person in it, as they are known at work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<Sentence>,
    /// Whom to call when something is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escalation: Option<Sentence>,
}

/// What the agent is for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Purpose {
    /// The name that tasks and records carry.
    #[schemars(with = "NameText")]
    pub id: Name,
    /// One sentence for people.
    pub statement: Sentence,
}

/// How well the agent's identity has to be proven.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct IdentityTerms {
    /// The lowest assurance level, 0 to 5.
    #[schemars(with = "LevelNumber")]
    pub min_assurance: Level,
    /// The greatest age of the attestation evidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_evidence_age: Option<Seconds>,
    /// What else has to be proven, each by itself: a level is what all kinds of evidence support together.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(default, length(min = 1, max = 4))]
    pub attestation: BTreeSet<Proven>,
}

/// One thing that evidence proves of a process. Only what something can prove today has a word: any other would be a
/// contract that permits nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Proven {
    /// Every file that the launch spec names is the one that was registered.
    Measured,
    /// They lie on storage that cannot change.
    Immutable,
    /// It was started with the registered command line, and reaches nobody else.
    Confined,
    /// And nobody of its own user reaches it.
    Sealed,
}

impl Proven {
    /// Whether `assurance` says so.
    pub const fn by(self, assurance: Assurance) -> bool {
        match self {
            Self::Measured => assurance.code >= 2,
            Self::Immutable => assurance.code >= 3,
            Self::Confined => assurance.launch >= 3,
            Self::Sealed => assurance.launch >= 4,
        }
    }
}

/// Whose data the agent may touch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Tenants {
    /// How the tenant of a call is judged.
    pub mode: TenantMode,
    /// The tenants it may ever touch.
    #[schemars(with = "BTreeSet<NameText>", length(min = 1, max = 1000))]
    pub allowed: BTreeSet<Name>,
}

/// How the tenant of a call is judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TenantMode {
    /// Exactly the tenant that the task was opened for.
    Task,
    /// Any of the allowed tenants, whichever task it is.
    Fixed,
}

/// In which tasks the agent may act.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Tasks {
    /// The types of task.
    #[schemars(with = "BTreeSet<NameText>", length(min = 1, max = 100))]
    pub types: BTreeSet<Name>,
    /// How long a task may last.
    #[schemars(default = "Tasks::max_ttl_default")]
    pub max_ttl: Seconds,
    /// Who may open one.
    #[schemars(length(min = 1))]
    pub openers: BTreeSet<Opener>,
    /// What tasks of a type may use. Tasks of a type that is not listed may use every grant.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default, with = "BTreeMap<NameText, Template>", length(max = 100))]
    pub templates: BTreeMap<Name, Template>,
    /// How many tasks the agent may have open at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_open: Option<u32>,
}

/// What tasks of one type may use.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Template {
    /// The actions; grants say on what terms.
    #[schemars(with = "BTreeSet<NameText>", length(min = 1, max = 100))]
    pub actions: BTreeSet<Name>,
}

impl Tasks {
    /// How long a task may last when the contract does not say: long enough for most work, short enough to notice.
    pub const fn max_ttl_default() -> Seconds {
        Seconds::HALF_HOUR
    }
}

/// Who opened a task.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Opener {
    /// An authenticated user.
    User,
    /// An operator of the installation.
    Operator,
    /// A registered trigger: schedule, queue, webhook or CI.
    Trigger,
    /// The agent alone.
    #[serde(rename = "self")]
    Itself,
}

/// One thing the agent may do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Grant {
    /// The name by which decisions cite it.
    #[schemars(with = "NameText")]
    pub id: Name,
    /// The services it may be used at: audiences of tokens.
    #[schemars(with = "BTreeSet<AudienceText>", length(min = 1, max = 50))]
    pub services: BTreeSet<Audience>,
    /// The actions it permits there.
    #[schemars(with = "BTreeSet<NameText>", length(min = 1, max = 100))]
    pub actions: BTreeSet<Name>,
    /// What call arguments have to be. An argument named here has to be present.
    #[serde(rename = "where", skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default, length(max = 50))]
    pub conditions: BTreeMap<Parameter, Constraint>,
    /// Why the agent needs this, in one sentence.
    pub reason: Sentence,
    /// What each action means to the business, in words for people.
    #[schemars(with = "BTreeMap<NameText, Sentence>")]
    pub business_action: BTreeMap<Name, Sentence>,
    /// Whether child processes of the run may use it too.
    #[schemars(default)]
    pub children: Children,
    /// What data comes with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<DataTerms>,
    /// The escalation whose approval each call needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<NameText>")]
    pub approval: Option<Name>,
}

/// Whether child processes of the run may use a grant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Children {
    /// They may.
    #[default]
    Allow,
    /// Only the attested agent process may.
    Deny,
}

/// What data may come with a grant, and which labels its use puts on the task where the service declares none.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DataTerms {
    /// The domains, such as `finance`. Data that its service declares to be of another domain is refused.
    #[schemars(with = "BTreeSet<NameText>", length(min = 1, max = 20))]
    pub domains: BTreeSet<Name>,
    /// How sensitive at most.
    pub sensitivity: Sensitivity,
    /// Fields that may not come with it.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(default, with = "BTreeSet<NameText>", length(max = 100))]
    pub fields_deny: BTreeSet<Name>,
}

/// How sensitive data is, from the least.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Sensitivity {
    /// For anyone.
    #[default]
    Public,
    /// For anyone inside.
    Internal,
    /// For those who need it.
    Confidential,
    /// For named people.
    Secret,
}

/// A part of the week in which the agent may act.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TimeWindow {
    /// The days on which it begins: `mon-fri`, `sat`, or a list of these.
    #[schemars(schema_with = "days_schema")]
    pub days: BTreeSet<Day>,
    /// The first minute.
    pub from: TimeOfDay,
    /// The minute after the last; earlier than `from` means the next day.
    pub to: TimeOfDay,
    /// The offset in which days and times are meant.
    #[schemars(default)]
    pub tz: Offset,
}

/// How often the agent may act within a sliding length of time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Rate {
    /// What is counted together.
    #[schemars(default)]
    pub scope: RateScope,
    /// The length of time.
    pub per: Seconds,
    /// The most calls within it.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub max: u32,
}

/// What a rate counts together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RateScope {
    /// All calls of the agent.
    #[default]
    Agent,
    /// The calls of one task and its child tasks.
    Task,
    /// The calls of one attested process.
    Instance,
}

/// Whether a contract's limits hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// They hold.
    #[default]
    Enforce,
    /// What would be refused is allowed and reported, except what is never waived (see `Reason::is_waivable`).
    Shadow,
}

/// When the contract ends and has to be looked at again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Lifecycle {
    /// The first day on which it no longer holds.
    pub expires: Date,
    /// How long a review keeps it valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review_every: Option<Seconds>,
}

/// Spellings in contracts and messages.
macro_rules! spelled {
    ($($type:ident { $($variant:ident = $text:literal),* $(,)? })*) => {$(
        impl $type {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// The spelling in contracts.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}
spelled! {
    ApiVersion { V1 = "tabard/v1" }
    Kind { AgentContract = "AgentContract" }
    TenantMode { Task = "task", Fixed = "fixed" }
    Proven { Measured = "measured", Immutable = "immutable", Confined = "confined", Sealed = "sealed" }
    Opener { User = "user", Operator = "operator", Trigger = "trigger", Itself = "self" }
    Children { Allow = "allow", Deny = "deny" }
    Sensitivity { Public = "public", Internal = "internal", Confidential = "confidential", Secret = "secret" }
    RateScope { Agent = "agent", Task = "task", Instance = "instance" }
    Mode { Enforce = "enforce", Shadow = "shadow" }
}

/// How `identity::Name` looks in the JSON Schema.
pub(super) struct NameText;
impl JsonSchema for NameText {
    fn schema_name() -> Cow<'static, str> {
        "Name".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "1 to 63 of a-z, 0-9, '.', '_' and '-', beginning and ending with a letter or digit.",
            "type": "string",
            "pattern": "^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$",
        })
    }
}

/// How `identity::Audience` looks in the JSON Schema.
struct AudienceText;
impl JsonSchema for AudienceText {
    fn schema_name() -> Cow<'static, str> {
        "Audience".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The audience of a service: 1 to 255 visible ASCII characters.",
            "type": "string",
            "pattern": "^[!-~]{1,255}$",
        })
    }
}

/// How `identity::Level` looks in the JSON Schema.
struct LevelNumber;
impl JsonSchema for LevelNumber {
    fn schema_name() -> Cow<'static, str> {
        "Level".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An assurance level: 0 asserted, 1 uid, 2 isolated, 3 measured, 4 signed, 5 hardware.",
            "type": "integer",
            "minimum": 0,
            "maximum": 5,
        })
    }
}

fn days_schema(_: &mut SchemaGenerator) -> Schema {
    let day = "(mon|tue|wed|thu|fri|sat|sun)";
    let span = serde_json::json!({"type": "string", "pattern": format!("^{day}(-{day})?$")});
    json_schema!({
        "description": "A day, a span such as mon-fri, or a list of these.",
        "oneOf": [span, {"type": "array", "items": span, "minItems": 1}],
    })
}

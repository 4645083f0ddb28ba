//! What `bench/agentdojo/export.py` writes: the public part, and apart from it the ground truth.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The public part, by suite.
pub(super) type Public = BTreeMap<String, PublicSuite>;
/// The ground truth, by suite.
pub(super) type Traces = BTreeMap<String, SuiteTraces>;

/// What somebody sees who opens tasks.
#[derive(Debug, Deserialize)]
pub(super) struct PublicSuite {
    /// The user tasks.
    pub(super) tasks: BTreeMap<String, UserTask>,
    /// What is the tenant's own.
    pub(super) directory: BTreeSet<String>,
}

/// One user task before anything runs.
#[derive(Debug, Deserialize)]
pub(super) struct UserTask {
    /// What the person asks.
    pub(super) prompt: String,
    /// The destinations that it names.
    pub(super) trusted: BTreeSet<String>,
    /// Whether it names any at all. Who does gets a task in which nobody is asked for others.
    pub(super) names_destinations: bool,
}

/// The calls that solve the user tasks, and those that carry out the injections.
#[derive(Debug, Deserialize)]
pub(super) struct SuiteTraces {
    pub(super) user: BTreeMap<String, Vec<ToolCall>>,
    pub(super) injection: BTreeMap<String, Vec<ToolCall>>,
}

/// One tool call.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ToolCall {
    pub(super) tool: String,
    pub(super) arguments: Map<String, Value>,
}

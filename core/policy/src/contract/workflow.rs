//! The `workflow` key: the declared steps of the agent's work, and which follow which.
//!
//! A step is an action that the graph names, or else the domain of the data that an action touches: that way every
//! change is a step of its own and reading is not spelled out call by call. What the graph does not name at all is
//! off it. Only a declared graph may refuse; hours and speed inside it never do.

use super::node::Node;
use super::read::{NAMES_MAX, by_name, whole};
use super::section::{Notes, Section, bad_value, integer, parsed, set, word};
use super::terms::NameText;
use identity::Name;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Most steps that a task can have.
const STEPS_MAX: i64 = 1_000_000;

/// The declared steps of the agent's work.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Workflow {
    /// The steps with which a task may begin.
    #[schemars(with = "BTreeSet<NameText>", length(min = 1, max = 100))]
    pub start: BTreeSet<Name>,
    /// Which steps may follow which. A step may always be repeated after itself.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default, with = "BTreeMap<NameText, BTreeSet<NameText>>", length(max = 100))]
    pub edges: BTreeMap<Name, BTreeSet<Name>>,
    /// How often a step may be taken in one task.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default, with = "BTreeMap<NameText, u32>", length(max = 100))]
    pub at_most: BTreeMap<Name, u32>,
    /// Steps that have to have been taken before, in whatever order.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default, with = "BTreeMap<NameText, BTreeSet<NameText>>", length(max = 100))]
    pub after: BTreeMap<Name, BTreeSet<Name>>,
    /// Most calls of one task.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_steps: Option<u32>,
    /// What happens to a call off the graph.
    pub off_graph: OffGraph,
    /// The escalation that can let it pass; for `approve`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<NameText>")]
    pub approval: Option<Name>,
}

/// What happens to a call off the graph.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OffGraph {
    /// It passes and is reported.
    Alert,
    /// It waits for a human.
    Approve,
    /// It is refused.
    Deny,
}

impl OffGraph {
    /// Every value, in order.
    pub const ALL: &'static [Self] = &[Self::Alert, Self::Approve, Self::Deny];
}

impl fmt::Display for OffGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alert => "alert",
            Self::Approve => "approve",
            Self::Deny => "deny",
        })
    }
}

impl Workflow {
    /// Whether the graph names `step`.
    pub fn names(&self, step: &Name) -> bool {
        self.start.contains(step)
            || self.edges.contains_key(step)
            || self.edges.values().any(|next| next.contains(step))
            || self.at_most.contains_key(step)
            || self.after.contains_key(step)
    }

    /// The steps that a call is: its action where the graph names that, else those domains of its data that the graph
    /// names. None: it is off the graph.
    pub fn steps_of<'a>(&self, action: &'a Name, domains: &'a BTreeSet<Name>) -> Vec<&'a Name> {
        if self.names(action) {
            return vec![action];
        }
        domains.iter().filter(|domain| self.names(domain)).collect()
    }

    /// Whether `step` may be taken after `last`, having taken each step as often as `done` says.
    pub fn allows(&self, step: &Name, last: Option<&Name>, done: impl Fn(&Name) -> i64) -> bool {
        let follows = last.map_or_else(
            || self.start.contains(step),
            |last| last == step || self.edges.get(last).is_some_and(|next| next.contains(step)),
        );
        let within = self
            .at_most
            .get(step)
            .is_none_or(|most| done(step) < i64::from(*most));
        let prepared = self
            .after
            .get(step)
            .is_none_or(|before| before.iter().all(|before| done(before) > 0));
        follows && within && prepared
    }
}

pub(super) fn workflow_terms(notes: &mut Notes<'_>, node: &Node) -> Option<Workflow> {
    let known = [
        "start",
        "edges",
        "at_most",
        "after",
        "max_steps",
        "off_graph",
        "approval",
    ];
    let section = Section::open(notes, "workflow", node, &known)?;
    let start = section.required(notes, "start", "a graph has a beginning");
    let start = start.and_then(|node| set(notes, "workflow.start", node, NAMES_MAX, parsed));
    let mut steps = |key: &str| {
        section
            .optional(notes, key)
            .map_or(Some(BTreeMap::new()), |node| {
                by_name(notes, &section.child(key), node, |notes, path, node| {
                    set(notes, path, node, NAMES_MAX, parsed)
                })
            })
    };
    let (edges, after) = (steps("edges"), steps("after"));
    let at_most = section
        .optional(notes, "at_most")
        .map_or(Some(BTreeMap::new()), |node| {
            by_name(notes, "workflow.at_most", node, |notes, path, node| {
                integer(notes, path, node, 0..=STEPS_MAX).and_then(|most| u32::try_from(most).ok())
            })
        });
    let max_steps = section
        .optional(notes, "max_steps")
        .map(|node| integer(notes, "workflow.max_steps", node, 1..=STEPS_MAX));
    let off_graph = section.required(notes, "off_graph", "it says what happens to a call off the graph");
    let off_graph = off_graph.and_then(|node| word(notes, "workflow.off_graph", node, OffGraph::ALL));
    let approval = section
        .optional(notes, "approval")
        .map(|node| parsed::<Name>(notes, "workflow.approval", node));
    let (off_graph, approval) = (off_graph?, whole(approval)?);
    if (off_graph == OffGraph::Approve) != approval.is_some() {
        let why = "a call that waits for a human says for whom, and only such a call";
        let fix = "write both off_graph: approve and approval: NAME, or neither";
        bad_value(notes, "workflow.approval", node, &off_graph.to_string(), why, fix);
        return None;
    }
    Some(Workflow {
        start: start?,
        edges: edges?,
        at_most: at_most?,
        after: after?,
        max_steps: whole(max_steps)?.and_then(|steps| u32::try_from(steps).ok()),
        off_graph,
        approval,
    })
}

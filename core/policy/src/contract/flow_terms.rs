//! The `flow` key: what a contract asks of data on its way out, beyond what always holds.
//!
//! Always held: data of two tenants never meets in one task, and untrusted content, sensitive data and a way out never
//! come together without a human. With this key also: receivers may see what was read, sinks are cleared for it, and
//! what is consequential waits for a human once untrusted content was read.

use super::node::Node;
use super::read::{NAMES_MAX, whole};
use super::section::{Notes, Section, bad_value, items, parsed, set, word};
use super::terms::NameText;
use identity::Name;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

/// Most pairs of actions that exclude each other.
const TOXIC_MAX: usize = 50;

/// What a contract asks of data on its way out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Flow {
    /// Actions whose answers are untrusted, besides those that their services call so.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(default, with = "BTreeSet<NameText>", length(max = 100))]
    pub reads_untrusted: BTreeSet<Name>,
    /// Actions that leave the org, besides those that their services call so.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(default, with = "BTreeSet<NameText>", length(max = 100))]
    pub egress: BTreeSet<Name>,
    /// Where a destination has to be named to be trusted.
    #[schemars(default = "Flow::everywhere")]
    pub trusted_destinations: BTreeSet<TrustedFrom>,
    /// The escalation that can let a consequential action pass. Without it such an action is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<NameText>")]
    pub approval: Option<Name>,
    /// Pairs of actions of which one task does at most one.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(default, with = "Vec<(NameText, NameText)>", length(max = 50))]
    pub toxic: BTreeSet<(Name, Name)>,
}

impl Flow {
    fn everywhere() -> BTreeSet<TrustedFrom> {
        TrustedFrom::ALL.iter().copied().collect()
    }
}

/// Where a destination was named.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TrustedFrom {
    /// In the request of whoever opened the task.
    Task,
    /// In the tenant's directory.
    Directory,
}

impl TrustedFrom {
    /// Every value, in order.
    pub const ALL: &'static [Self] = &[Self::Task, Self::Directory];
}

impl fmt::Display for TrustedFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Task => "task",
            Self::Directory => "directory",
        })
    }
}

pub(super) fn flow_terms(notes: &mut Notes<'_>, node: &Node) -> Option<Flow> {
    let known = [
        "reads_untrusted",
        "egress",
        "trusted_destinations",
        "approval",
        "toxic",
    ];
    let section = Section::open(notes, "flow", node, &known)?;
    let mut actions = |key: &str| {
        section
            .optional(notes, key)
            .map_or(Some(BTreeSet::new()), |node| {
                set(notes, &section.child(key), node, NAMES_MAX, parsed)
            })
    };
    let (reads_untrusted, egress) = (actions("reads_untrusted"), actions("egress"));
    let trusted_destinations = section.optional(notes, "trusted_destinations").map_or_else(
        || Some(Flow::everywhere()),
        |node| {
            let read =
                |notes: &mut Notes<'_>, path: &str, node: &Node| word(notes, path, node, TrustedFrom::ALL);
            set(
                notes,
                "flow.trusted_destinations",
                node,
                TrustedFrom::ALL.len(),
                read,
            )
        },
    );
    let approval = section
        .optional(notes, "approval")
        .map(|node| parsed(notes, "flow.approval", node));
    let toxic = section
        .optional(notes, "toxic")
        .map_or(Some(BTreeSet::new()), |node| toxic_terms(notes, node));
    Some(Flow {
        reads_untrusted: reads_untrusted?,
        egress: egress?,
        trusted_destinations: trusted_destinations?,
        approval: whole(approval)?,
        toxic: toxic?,
    })
}

fn toxic_terms(notes: &mut Notes<'_>, node: &Node) -> Option<BTreeSet<(Name, Name)>> {
    set(notes, "flow.toxic", node, TOXIC_MAX, |notes, path, node| {
        let mut pair: Vec<Name> = items(notes, path, node, 2)?
            .map(|(path, item)| parsed(notes, &path, item))
            .collect::<Option<_>>()?;
        pair.sort();
        let mut pair = pair.into_iter();
        if let (Some(one), Some(other)) = (pair.next(), pair.next())
            && one != other
        {
            return Some((one, other));
        }
        let why = "two different actions exclude each other";
        bad_value(
            notes,
            path,
            node,
            "not a pair",
            why,
            "write [payroll.read, mail.send]",
        );
        None
    })
}

//! The `escalation` key: which humans can let something pass that the contract by itself does not, and how.

use super::node::Node;
use super::read::by_name;
use super::seconds::Seconds;
use super::section::{Notes, Section, integer, parsed, set, word};
use super::terms::{NameText, Terms};
use identity::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Most votes that one request can need.
const QUORUM_MAX: i64 = 5;

/// One way to ask humans.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Escalation {
    /// The group whose members may approve.
    #[schemars(with = "NameText")]
    pub approvers: Name,
    /// How many of them have to.
    #[schemars(default = "Escalation::one", range(min = 1, max = 5))]
    pub quorum: u8,
    /// Who may not, although a member; all of these where it is left out. The requester, anybody in the chain and the
    /// contract's author never may, named or not.
    #[serde(skip_serializing_if = "Excluded::is_everybody")]
    #[schemars(default = "Excluded::everybody")]
    pub not: BTreeSet<Excluded>,
    /// How long the request waits, and how long an approval is good; then it is refused.
    #[schemars(default = "Escalation::ttl_default")]
    pub ttl: Seconds,
}

impl Escalation {
    const fn one() -> u8 {
        1
    }
    const fn ttl_default() -> Seconds {
        Seconds::TEN_MINUTES
    }
}

impl Terms {
    /// The escalations that may have a say in `action`: of the grants that name it, of the flow rules, of the graph.
    pub fn escalations_for(&self, action: &Name) -> BTreeSet<&Name> {
        let grants = self.grants.iter().filter(|grant| grant.actions.contains(action));
        let flow = self.flow.iter().filter_map(|flow| flow.approval.as_ref());
        let graph = self
            .workflow
            .iter()
            .filter_map(|workflow| workflow.approval.as_ref());
        grants
            .filter_map(|grant| grant.approval.as_ref())
            .chain(flow)
            .chain(graph)
            .collect()
    }
}

/// Somebody whose vote does not count.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Excluded {
    /// Who asked for the action; always out.
    Requester,
    /// Who opened the task.
    TaskOpener,
    /// Who wrote the contract; always out.
    ContractAuthor,
}

impl Excluded {
    /// Every value, in order.
    pub const ALL: &'static [Self] = &[Self::Requester, Self::TaskOpener, Self::ContractAuthor];

    fn everybody() -> BTreeSet<Self> {
        Self::ALL.iter().copied().collect()
    }
    fn is_everybody(not: &BTreeSet<Self>) -> bool {
        *not == Self::everybody()
    }
}

impl fmt::Display for Excluded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requester => "requester",
            Self::TaskOpener => "task-opener",
            Self::ContractAuthor => "contract-author",
        })
    }
}

pub(super) fn escalation_terms(notes: &mut Notes<'_>, node: &Node) -> Option<BTreeMap<Name, Escalation>> {
    by_name(notes, "escalation", node, one)
}

fn one(notes: &mut Notes<'_>, path: &str, node: &Node) -> Option<Escalation> {
    let section = Section::open(notes, path, node, &["approvers", "quorum", "not", "ttl"])?;
    let at = |key: &str| section.child(key);
    let approvers = section.required(notes, "approvers", "who may approve is never assumed");
    let approvers = approvers.and_then(|node| parsed(notes, &at("approvers"), node));
    let quorum = section.optional(notes, "quorum").map_or(Some(1), |node| {
        integer(notes, &at("quorum"), node, 1..=QUORUM_MAX)
    });
    let not = section
        .optional(notes, "not")
        .map_or(Some(Excluded::everybody()), |node| {
            let read =
                |notes: &mut Notes<'_>, path: &str, node: &Node| word(notes, path, node, Excluded::ALL);
            set(notes, &at("not"), node, Excluded::ALL.len(), read)
        });
    let ttl = section
        .optional(notes, "ttl")
        .map_or(Some(Escalation::ttl_default()), |node| {
            parsed(notes, &at("ttl"), node)
        });
    Some(Escalation {
        approvers: approvers?,
        quorum: u8::try_from(quorum?).ok()?,
        not: not?,
        ttl: ttl?,
    })
}

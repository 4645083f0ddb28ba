//! The `rules` key: limits that the contract's own vocabulary cannot say, written in Cedar.
//!
//! A rule only ever takes away: it is a `forbid`, held to the same schema as everything that a contract compiles to,
//! so that it reads known facts of known provenance and cannot err for another reason than a fault of ours.

use super::node::Node;
use super::section::{Notes, Section, bad_value, duplicate, items, parsed, text};
use super::sentence::Sentence;
use super::terms::NameText;
use identity::Name;
use schemars::JsonSchema;
use serde::Serialize;

/// Most rules of one contract: each is evaluated on every decision.
const RULES_MAX: usize = 20;
/// Longest text of one rule, in bytes.
const RULE_BYTES_MAX: usize = 4096;

/// One limit written in Cedar.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Rule {
    /// The name by which decisions cite it.
    #[schemars(with = "NameText")]
    pub id: Name,
    /// What it is for, in one sentence; operators read it when the rule refuses.
    pub reason: Sentence,
    /// One `forbid` policy.
    #[schemars(length(min = 1, max = 4096))]
    pub cedar: String,
}

pub(super) fn rules_terms(notes: &mut Notes<'_>, node: &Node) -> Option<Vec<Rule>> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut complete = true;
    for (path, item) in items(notes, "rules", node, RULES_MAX)? {
        let Some(rule) = rule(notes, &path, item) else {
            complete = false;
            continue;
        };
        notes.lines.insert(format!("rules.{}", rule.id), item.at.line);
        if rules.iter().any(|before| before.id == rule.id) {
            duplicate(notes, &path, item.at, &format!("the rule \"{}\"", rule.id));
        }
        rules.push(rule);
    }
    rules.sort();
    complete.then_some(rules)
}

fn rule(notes: &mut Notes<'_>, path: &str, node: &Node) -> Option<Rule> {
    let section = Section::open(notes, path, node, &["id", "reason", "cedar"])?;
    let id = section.required(notes, "id", "decisions cite rules by id");
    let id = id.and_then(|node| parsed(notes, &section.child("id"), node));
    let reason = section.required(notes, "reason", "a limit nobody can explain is one nobody keeps");
    let reason = reason.and_then(|node| parsed(notes, &section.child("reason"), node));
    let cedar = section.required(notes, "cedar", "a rule is a Cedar policy");
    let path = section.child("cedar");
    let cedar = cedar.and_then(|node| {
        let policy = text(notes, &path, node)?;
        if policy.len() <= RULE_BYTES_MAX && !policy.trim().is_empty() {
            return Some(policy.to_owned());
        }
        let why = format!("a rule has 1 to {RULE_BYTES_MAX} bytes");
        bad_value(notes, &path, node, policy, &why, "shorten it, or split it");
        None
    });
    Some(Rule {
        id: id?,
        reason: reason?,
        cedar: cedar?,
    })
}

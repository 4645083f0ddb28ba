//! Rules in Cedar. A rule only takes away, so one more narrows; one that is written differently cannot be compared.

use super::lines::{Direction, Lines};
use crate::contract::Rule;
use cedar_policy::Policy;
use serde_json::Value;

pub(super) fn rules(lines: &mut Lines, old: &[Rule], new: &[Rule]) {
    let mut left: Vec<&Rule> = old.iter().collect();
    for rule in new {
        let Rule { id, reason, cedar } = rule;
        let path = format!("rules.{id}");
        let meaning = meaning(cedar);
        let same = left.iter().position(|before| {
            before.cedar == *cedar || (meaning.is_some() && self::meaning(&before.cedar) == meaning)
        });
        if let Some(place) = same {
            let before = left.remove(place);
            if before.id != *id {
                let sentence = format!("the rule {} is called {id}", before.id);
                lines.add(&path, Direction::Neutral, sentence);
            }
            lines.words(
                &path,
                (&before.reason, reason),
                "the reason of a rule is said differently",
            );
            lines.words(
                &path,
                (&before.cedar, cedar),
                "the same rule, laid out differently",
            );
            continue;
        }
        let sentence = format!("a rule forbids more: {}", reason.as_str());
        lines.add(&path, Direction::Narrowing, sentence);
    }
    for gone in left {
        let path = format!("rules.{}", gone.id);
        let sentence = if new.iter().any(|rule| rule.id == gone.id) {
            format!(
                "the rule {} says something else, and what it forbade may pass: {}",
                gone.id,
                gone.reason.as_str()
            )
        } else {
            format!("no rule forbids any more: {}", gone.reason.as_str())
        };
        lines.add(&path, Direction::Widening, sentence);
    }
}

/// A policy without its layout, comments and name. Two with the same are the same.
fn meaning(cedar: &str) -> Option<Value> {
    Policy::parse(None, cedar).ok()?.to_json().ok()
}

//! Budgets: how much an agent may do within a length of time, or within one task.
//!
//! A rate says how fast, a budget how much. Each counts one thing; the number stands in the contract, the count comes
//! from the Ledger. What is counted by an argument names the actions that carry it, and those cannot leave it out.

use super::parameter::Parameter;
use super::read::{NAMES_MAX, whole};
use super::section::{Notes, Section, bad_value, duplicate, integer, items, parsed, set, word};
use super::terms::{NameText, RateScope};
use super::{INTEGER_MAX, Seconds, node::Node};
use crate::counter::{Counted, CounterId};
use identity::Name;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

/// Most budgets; each is a counter on every call.
const BUDGETS_MAX: usize = 16;

/// One budget.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Budget {
    /// What is counted.
    pub counts: Counts,
    /// The argument that says how much one call takes; for `records` and `value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argument: Option<Parameter>,
    /// The actions that carry the argument; for `records` and `value`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(default, with = "BTreeSet<NameText>", length(max = 100))]
    pub actions: BTreeSet<Name>,
    /// What is counted together.
    #[schemars(default)]
    pub scope: RateScope,
    /// The length of time; without it, as long as the task or instance lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per: Option<Seconds>,
    /// The most.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub max: i64,
    /// What happens once it is used up.
    #[serde(skip_serializing_if = "Then::is_refuse")]
    #[schemars(default)]
    pub then: Then,
}

impl Budget {
    /// The counter it looks at: the same in every version of the contract that has it.
    pub fn counter(&self) -> CounterId {
        let argument = || self.argument.clone().unwrap_or_else(Parameter::none);
        CounterId {
            counted: match self.counts {
                Counts::Calls => Counted::Calls,
                Counts::Records => Counted::Records(argument()),
                Counts::Value => Counted::Value(argument()),
                Counts::Denials => Counted::Denials,
                Counts::Audiences => Counted::Audiences,
                Counts::Actions => Counted::Actions,
                Counts::Domains => Counted::Domains,
            },
            scope: self.scope,
            per_secs: self.per.map_or(0, Seconds::get),
        }
    }
}

/// What a budget counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Counts {
    /// Calls.
    Calls,
    /// Records asked for, by an argument.
    Records,
    /// A value moved, by an argument.
    Value,
    /// Refused calls.
    Denials,
    /// Different audiences that credentials were issued for.
    Audiences,
    /// Different actions that credentials were issued for.
    Actions,
    /// Different domains of data that were touched.
    Domains,
}

/// What happens once a budget is used up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// What goes beyond it is refused until time has passed.
    #[default]
    Refuse,
    /// The task, or the instance, is over: of it everything is refused from then on.
    Suspend,
}

impl Then {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    const fn is_refuse(&self) -> bool {
        matches!(self, Self::Refuse)
    }
}

impl Counts {
    /// Every value, in order.
    pub const ALL: &'static [Self] = &[
        Self::Calls,
        Self::Records,
        Self::Value,
        Self::Denials,
        Self::Audiences,
        Self::Actions,
        Self::Domains,
    ];
    /// The spelling in contracts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Records => "records",
            Self::Value => "value",
            Self::Denials => "denials",
            Self::Audiences => "audiences",
            Self::Actions => "actions",
            Self::Domains => "domains",
        }
    }
    const fn by_argument(self) -> bool {
        matches!(self, Self::Records | Self::Value)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Then {
    const ALL: &'static [Self] = &[Self::Refuse, Self::Suspend];
}

impl fmt::Display for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refuse => "refuse",
            Self::Suspend => "suspend",
        })
    }
}

/// The budgets of a contract, in a fixed order.
pub(super) fn budgets_terms(notes: &mut Notes<'_>, node: &Node) -> Option<Vec<Budget>> {
    let mut budgets: Vec<Budget> = Vec::new();
    let mut complete = true;
    for (path, item) in items(notes, "budgets", node, BUDGETS_MAX)? {
        let Some(budget) = budget_terms(notes, &path, item) else {
            complete = false;
            continue;
        };
        let counter = budget.counter();
        notes.lines.insert(format!("budgets.{counter}"), item.at.line);
        if budgets.iter().any(|before| before.counter() == counter) {
            duplicate(notes, &path, item.at, &format!("the budget of {counter}"));
        }
        budgets.push(budget);
    }
    budgets.sort();
    complete.then_some(budgets)
}

fn budget_terms(notes: &mut Notes<'_>, path: &str, node: &Node) -> Option<Budget> {
    let known = ["counts", "argument", "actions", "scope", "per", "max", "then"];
    let section = Section::open(notes, path, node, &known)?;
    let at = |key: &str| section.child(key);
    let counts = section.required(notes, "counts", "a budget says what it counts");
    let counts = counts.and_then(|node| word(notes, &at("counts"), node, Counts::ALL));
    let argument = section
        .optional(notes, "argument")
        .map(|node| parsed::<Parameter>(notes, &at("argument"), node));
    let actions = section
        .optional(notes, "actions")
        .map_or(Some(BTreeSet::new()), |node| {
            set(notes, &at("actions"), node, NAMES_MAX, parsed)
        });
    let scope = section
        .optional(notes, "scope")
        .map_or(Some(RateScope::default()), |node| {
            word(notes, &at("scope"), node, RateScope::ALL)
        });
    let per = section
        .optional(notes, "per")
        .map(|node| parsed(notes, &at("per"), node));
    let max = section.required(notes, "max", "a budget has an end");
    let max = max.and_then(|node| integer(notes, &at("max"), node, 0..=INTEGER_MAX));
    let then = section
        .optional(notes, "then")
        .map_or(Some(Then::default()), |node| {
            word(notes, &at("then"), node, Then::ALL)
        });
    let budget = Budget {
        counts: counts?,
        argument: whole(argument)?,
        actions: actions?,
        scope: scope?,
        per: whole(per)?,
        max: max?,
        then: then?,
    };
    match fault(&budget) {
        None => Some(budget),
        Some((key, why, fix)) => {
            let node = section.optional(notes, key).unwrap_or(node);
            bad_value(notes, &at(key), node, &budget.counts.to_string(), why, fix);
            None
        }
    }
}

/// What does not go together: the key, why, and what to write.
fn fault(budget: &Budget) -> Option<(&'static str, &'static str, &'static str)> {
    let by_argument = budget.counts.by_argument();
    if by_argument && (budget.argument.is_none() || budget.actions.is_empty()) {
        let why = "how much a call takes is read from an argument that listed actions have to carry";
        return Some(("counts", why, "add \"argument\" and \"actions\""));
    }
    if !by_argument && (budget.argument.is_some() || !budget.actions.is_empty()) {
        let why = "only records and value are counted by an argument";
        return Some(("counts", why, "remove \"argument\" and \"actions\""));
    }
    if budget.argument.as_ref().is_some_and(Parameter::is_said) {
        let why = "what an agent says about itself is no measure";
        return Some(("argument", why, "name an argument of the call instead"));
    }
    if budget.per.is_none() && budget.scope == RateScope::Agent {
        let why = "an agent has no end at which its count would begin anew";
        return Some(("scope", why, "add \"per\", or count per task"));
    }
    if budget.counts == Counts::Denials && budget.scope == RateScope::Agent {
        let why = "refused calls of one task must not stop the agent's other tasks";
        return Some(("scope", why, "write scope: task, or scope: instance"));
    }
    if budget.then == Then::Suspend && budget.counts != Counts::Denials {
        let why = "only refused calls end a task";
        return Some(("then", why, "remove \"then\""));
    }
    None
}

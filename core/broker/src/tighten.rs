//! Tighten: a contract without what was not used, with bounds no wider than what was seen.
//!
//! A draft, for a person to read and publish. It only ever takes away: a bound is never moved outwards, and what was
//! not constrained is remarked upon rather than constrained, because an argument that a grant names has to be there.

use crate::simulate::Decided;
use identity::{Audience, Name};
use policy::contract::{Constraint, Contract, Grant, Parameter, Remarks, Terms, written};
use policy::{Compiled, Verdict, decide};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Most different texts of one argument that are remembered; more are no list that a person would write.
const TEXTS_MAX: usize = 50;

/// What was seen of one argument.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    least: Option<i64>,
    most: Option<i64>,
    texts: BTreeSet<String>,
    bools: BTreeSet<bool>,
    many: bool,
}

impl Seen {
    fn take(&mut self, value: &Value) {
        match value {
            Value::Number(number) => {
                let Some(number) = number.as_i64() else { return };
                self.least = Some(self.least.map_or(number, |least| least.min(number)));
                self.most = Some(self.most.map_or(number, |most| most.max(number)));
            }
            Value::String(text) if self.texts.len() < TEXTS_MAX || self.texts.contains(text) => {
                self.texts.insert(text.clone());
            }
            Value::String(_) => self.many = true,
            Value::Bool(value) => {
                self.bools.insert(*value);
            }
            Value::Array(items) => items.iter().for_each(|item| self.take(item)),
            Value::Null | Value::Object(_) => {}
        }
    }

    /// Whether it holds what a remark can tell.
    fn told(&self) -> Option<String> {
        match (self.least, self.most) {
            (Some(least), Some(most)) if least == most => return Some(format!("always {most}")),
            (Some(least), Some(most)) => return Some(format!("{least} to {most}")),
            _ => {}
        }
        let texts: Vec<&str> = self.texts.iter().map(String::as_str).collect();
        match (self.many, texts.len()) {
            (true, _) => Some(format!("more than {TEXTS_MAX} different values")),
            (false, 0) => None,
            (false, 1..=8) => Some(texts.join(", ")),
            (false, count) => Some(format!("{count} different values")),
        }
    }
}

/// What an agent did under its contract.
#[derive(Clone, Debug, Default)]
pub struct Use {
    calls: u64,
    called: BTreeMap<(Name, Audience, Name), u64>,
    exchanged: BTreeSet<(Name, Audience, Name)>,
    seen: BTreeMap<(Name, String), Seen>,
    tenants: BTreeSet<Name>,
    types: BTreeSet<Name>,
}

impl Use {
    /// Takes in one decision of the agent. What its contract would refuse today is no use of it.
    pub fn take(&mut self, contract: &Compiled, one: &Decided) {
        let facts = &one.facts;
        if !one.allowed {
            return;
        }
        let Verdict::Allow(allowed) = facts.with(|it| decide(contract, it, facts.now())) else {
            return;
        };
        let Some(grant) = allowed.grant() else { return };
        let key = (grant.id.clone(), facts.audience().clone(), facts.action().clone());
        self.types.insert(facts.task_type().clone());
        if facts.is_call() {
            self.calls += 1;
            *self.called.entry(key).or_default() += 1;
            self.tenants.extend(facts.tenant().cloned());
            for (name, value) in facts.arguments() {
                let seen = self.seen.entry((grant.id.clone(), name.as_str().to_owned()));
                seen.or_default().take(value);
            }
        } else {
            self.exchanged.insert(key);
        }
    }

    /// How many calls were looked at.
    pub const fn calls(&self) -> u64 {
        self.calls
    }

    /// Whether the grant was used so. A service whose calls we do not see is judged by the credentials that were issued.
    fn was_used(&self, grant: &Name, service: &Audience, action: &Name) -> bool {
        let key = (grant.clone(), service.clone(), action.clone());
        let seen_here = self.called.keys().any(|(_, known, _)| known == service);
        self.called.contains_key(&key) || (!seen_here && self.exchanged.contains(&key))
    }
}

/// A draft, and what it changes.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The contract's text; a version up.
    pub text: String,
    /// What it takes away, a sentence each.
    pub changes: Vec<String>,
    /// What the loader says of it; a draft that takes away too much may need a hand.
    pub mistakes: Vec<String>,
}

/// Why there is no draft.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoDraft {
    /// Nothing was used.
    #[error("nothing was used in that time, so nothing would be left")]
    Unused,
    /// The draft cannot be written.
    #[error("the draft cannot be written: {0}")]
    Unwritable(String),
}

/// The contract without what was not used. `over` says in words which time was looked at.
pub fn tightened(contract: &Contract, used: &Use, over: &str) -> Result<Draft, NoDraft> {
    let mut terms = contract.terms().clone();
    let (mut changes, mut remarks) = (Vec::new(), Remarks::new());
    let mut grants = Vec::with_capacity(terms.grants.len());
    for grant in std::mem::take(&mut terms.grants) {
        let id = grant.id.clone();
        match narrowed(grant, used, &mut changes, &mut remarks) {
            Some(grant) => grants.push(grant),
            None => changes.push(format!("the grant {id} was not used and is left out")),
        }
    }
    if grants.is_empty() {
        return Err(NoDraft::Unused);
    }
    terms.grants = grants;
    bounds_around(&mut terms, used, &mut changes);
    terms.metadata.version = terms.metadata.version.saturating_add(1);
    let head = vec![
        format!(
            "A draft: {} version {} narrowed to what was used {over}, {} calls.",
            terms.metadata.name,
            contract.terms().metadata.version,
            used.calls
        ),
        "Not used is not the same as not needed: read it before you publish it.".to_owned(),
    ];
    remarks.insert("apiVersion".to_owned(), head);
    if !changes.is_empty() {
        let changes = changes.iter().map(|change| format!("taken away: {change}"));
        remarks.entry("grants".to_owned()).or_default().extend(changes);
    }
    let text = written(&terms, &remarks).map_err(|error| NoDraft::Unwritable(error.to_string()))?;
    let mistakes = match Contract::parse("draft.yaml", text.as_bytes()).and_then(Compiled::new) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    };
    Ok(Draft {
        text,
        changes,
        mistakes,
    })
}

fn narrowed(mut grant: Grant, used: &Use, changes: &mut Vec<String>, remarks: &mut Remarks) -> Option<Grant> {
    let id = grant.id.clone();
    let service_used = |service: &Audience| {
        let mut actions = grant.actions.iter();
        actions.any(|action| used.was_used(&id, service, action))
    };
    let services: BTreeSet<Audience> = grant
        .services
        .iter()
        .filter(|it| service_used(it))
        .cloned()
        .collect();
    let action_used = |action: &Name| services.iter().any(|service| used.was_used(&id, service, action));
    let actions: BTreeSet<Name> = grant
        .actions
        .iter()
        .filter(|it| action_used(it))
        .cloned()
        .collect();
    if actions.is_empty() {
        return None;
    }
    let gone = |what: &str, before: Vec<String>, changes: &mut Vec<String>| {
        if !before.is_empty() {
            changes.push(format!(
                "{what} of the grant {id} that were not used: {}",
                before.join(", ")
            ));
        }
    };
    let unused = grant.services.difference(&services).map(ToString::to_string);
    gone("services", unused.collect(), changes);
    let unused = grant.actions.difference(&actions).map(ToString::to_string);
    gone("actions", unused.collect(), changes);
    grant.business_action.retain(|action, _| actions.contains(action));
    grant.services = services;
    grant.actions = actions;
    let conditions: Vec<(Parameter, Constraint)> = grant.conditions.clone().into_iter().collect();
    for (name, constraint) in conditions {
        let Some(seen) = used.seen.get(&(id.clone(), name.as_str().to_owned())) else {
            continue;
        };
        let tighter = within(&constraint, seen);
        if tighter != constraint {
            changes.push(format!(
                "{name} of the grant {id}: {constraint} becomes {tighter}"
            ));
        }
        if let Some(told) = seen.told() {
            let path = format!("grants.{id}.where.{name}");
            remarks.entry(path).or_default().push(format!("seen: {told}"));
        }
        grant.conditions.insert(name, tighter);
    }
    let free: Vec<String> = used
        .seen
        .iter()
        .filter(|((of, name), _)| *of == id && !grant.conditions.keys().any(|known| known.as_str() == name))
        .filter_map(|((_, name), seen)| Some(format!("not bounded: {name}, seen {}", seen.told()?)))
        .collect();
    if !free.is_empty() {
        remarks
            .entry(format!("grants.{id}.actions"))
            .or_default()
            .extend(free);
    }
    Some(grant)
}

/// The tightest round bound around what was seen, never wider than the contract's.
fn within(constraint: &Constraint, seen: &Seen) -> Constraint {
    match constraint {
        Constraint::Texts(allowed) if !seen.many => {
            let left: BTreeSet<String> = allowed.intersection(&seen.texts).cloned().collect();
            if left.is_empty() {
                constraint.clone()
            } else {
                Constraint::Texts(left)
            }
        }
        Constraint::Bools(allowed) => {
            let left: BTreeSet<bool> = allowed.intersection(&seen.bools).copied().collect();
            if left.is_empty() {
                constraint.clone()
            } else {
                Constraint::Bools(left)
            }
        }
        Constraint::Range { min, max } => {
            let proposed = seen.most.map(round_up);
            let max = match (*max, proposed) {
                (Some(max), Some(proposed)) => Some(max.min(proposed)),
                (max, proposed) => max.or(proposed),
            };
            let least = seen
                .least
                .map(|least| if least > 0 { round_down(least) } else { least });
            let min = match (*min, least) {
                (Some(min), Some(least)) => Some(min.max(least)),
                (min, least) => min.or(least),
            };
            Constraint::Range { min, max }
        }
        Constraint::Texts(_) | Constraint::Integers(_) => constraint.clone(),
    }
}

/// The next of 1, 2, 5, 10, 20, 50, … : 41,200 becomes 50,000. What is not above zero stays.
fn round_up(number: i64) -> i64 {
    steps()
        .find(|step| *step >= number && number > 0)
        .unwrap_or(number)
}

/// The greatest of 1, 2, 5, 10, … that is not above it.
fn round_down(number: i64) -> i64 {
    steps()
        .take_while(|step| *step <= number)
        .last()
        .unwrap_or(number)
}

fn steps() -> impl Iterator<Item = i64> {
    (0..16u32).flat_map(|power| [1, 2, 5].map(|digit| 10_i64.pow(power) * digit))
}

/// What stands around the grants, without what they no longer name.
fn bounds_around(terms: &mut Terms, used: &Use, changes: &mut Vec<String>) {
    let actions: BTreeSet<Name> = terms
        .grants
        .iter()
        .flat_map(|grant| grant.actions.iter().cloned())
        .collect();
    if let Some(tenants) = &mut terms.tenants {
        let left: BTreeSet<Name> = tenants.allowed.intersection(&used.tenants).cloned().collect();
        let gone: Vec<&str> = tenants.allowed.difference(&left).map(Name::as_str).collect();
        if !left.is_empty() && !gone.is_empty() {
            changes.push(format!("tenants whose data was not touched: {}", gone.join(", ")));
            tenants.allowed = left;
        }
    }
    let types: BTreeSet<Name> = terms.tasks.types.intersection(&used.types).cloned().collect();
    let gone: Vec<&str> = terms.tasks.types.difference(&types).map(Name::as_str).collect();
    if !types.is_empty() && !gone.is_empty() {
        changes.push(format!("types of task that were not opened: {}", gone.join(", ")));
        terms.tasks.types = types;
    }
    // A type without a template may use every grant, so a template is left out with its type and never alone.
    let types = &terms.tasks.types;
    terms.tasks.templates.retain(|kind, _| types.contains(kind));
    for template in terms.tasks.templates.values_mut() {
        template.actions.retain(|action| actions.contains(action));
    }
    // A budget of actions that nothing grants any more counts nothing.
    terms
        .budgets
        .retain(|budget| budget.actions.is_empty() || !budget.actions.is_disjoint(&actions));
    for budget in &mut terms.budgets {
        budget.actions.retain(|action| actions.contains(action));
    }
    if let Some(flow) = &mut terms.flow {
        flow.reads_untrusted.retain(|action| actions.contains(action));
        flow.egress.retain(|action| actions.contains(action));
        flow.toxic
            .retain(|(a, b)| actions.contains(a) && actions.contains(b));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_the_next_round_number() {
        for (seen, bound) in [
            (1, 1),
            (3, 5),
            (41_200, 50_000),
            (50_000, 50_000),
            (50_001, 100_000),
            (0, 0),
            (-3, -3),
        ] {
            assert_eq!(round_up(seen), bound);
        }
        assert_eq!((round_down(7), round_down(41_200), round_down(1)), (5, 20_000, 1));
    }

    #[test]
    fn a_bound_never_moves_outwards() {
        let seen = Seen {
            least: Some(3),
            most: Some(41_200),
            ..Seen::default()
        };
        let range = |min, max| Constraint::Range { min, max };
        assert_eq!(
            within(&range(Some(1), Some(45_000)), &seen),
            range(Some(2), Some(45_000))
        );
        assert_eq!(
            within(&range(None, Some(90_000)), &seen),
            range(Some(2), Some(50_000))
        );
        let texts = |texts: &[&str]| Constraint::Texts(texts.iter().map(|text| (*text).to_owned()).collect());
        let mut seen = Seen::default();
        seen.take(&"eu".into());
        seen.take(&"moon".into());
        assert_eq!(within(&texts(&["eu", "us"]), &seen), texts(&["eu"]));
    }
}

//! Grants: what may be done, where, with which arguments; and the labels that a read leaves behind.

use super::lines::{Direction, Lines, Wider, list};
use crate::contract::{Children, Constraint, DataTerms, Grant, Parameter, Terms};
use identity::{Audience, Name};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn grants(lines: &mut Lines, old: &Terms, new: &Terms, granted: &[Grant]) {
    let mut fresh: Vec<&Grant> = Vec::new();
    for grant in &new.grants {
        match granted.iter().find(|before| before.id == grant.id) {
            Some(before) => one(lines, before, grant),
            None => fresh.push(grant),
        }
    }
    for gone in granted {
        if new.grants.iter().any(|grant| grant.id == gone.id) {
            continue;
        }
        let path = format!("grants.{}", gone.id);
        let renamed = fresh.iter().position(|grant| rights(grant) == rights(gone));
        if let Some(place) = renamed {
            let grant = fresh.remove(place);
            let sentence = format!("the grant {} is called {}", gone.id, grant.id);
            lines.add(&path, Direction::Neutral, sentence);
        } else {
            lines.add(
                &path,
                Direction::Narrowing,
                format!("may no longer {}", right(gone)),
            );
        }
    }
    for grant in fresh {
        let path = format!("grants.{}", grant.id);
        lines.add(&path, Direction::Widening, format!("may now {}", right(grant)));
    }
    labels(lines, old, new);
    domains(lines, old, new);
}

/// Everything of a grant but what it is called and the words for people.
type Rights<'g> = (
    &'g BTreeSet<Audience>,
    &'g BTreeSet<Name>,
    &'g BTreeMap<Parameter, Constraint>,
    Children,
    Option<&'g DataTerms>,
    Option<&'g Name>,
);

fn rights(grant: &Grant) -> Rights<'_> {
    let Grant {
        id: _,
        services,
        actions,
        conditions,
        reason: _,
        business_action: _,
        children,
        data,
        approval,
    } = grant;
    (
        services,
        actions,
        conditions,
        *children,
        data.as_ref(),
        approval.as_ref(),
    )
}

/// What a grant permits, after "may now".
pub(super) fn right(grant: &Grant) -> String {
    let mut parts = vec![format!(
        "call {} on {}",
        list(&grant.actions),
        list(&grant.services)
    )];
    for (place, (name, constraint)) in grant.conditions.iter().enumerate() {
        let joint = if place == 0 { "where" } else { "and" };
        parts.push(format!(" {joint} {name} is {constraint}"));
    }
    if grant.children == Children::Deny {
        parts.push(", the agent process only".to_owned());
    }
    if let Some(data) = &grant.data {
        parts.push(format!(
            ", data of {} up to {}",
            list(&data.domains),
            data.sensitivity
        ));
    }
    parts.extend(grant.approval.iter().map(|by| format!(", with approval by {by}")));
    parts.concat()
}

fn one(lines: &mut Lines, old: &Grant, new: &Grant) {
    let Grant {
        id,
        services,
        actions,
        conditions,
        reason,
        business_action,
        children,
        data,
        approval,
    } = old;
    let path = format!("grants.{id}");
    lines.set(
        &path,
        (actions, &new.actions),
        Wider::More,
        (
            &format!("on {} may now call", list(&new.services)),
            &format!("on {} may no longer call", list(services)),
        ),
    );
    lines.set(
        &path,
        (services, &new.services),
        Wider::More,
        (
            &format!("may now call {} on", list(&new.actions)),
            &format!("may no longer call {} on", list(actions)),
        ),
    );
    arguments(lines, &path, (conditions, &new.conditions), &list(&new.actions));
    match (children, new.children) {
        (Children::Deny, Children::Allow) => {
            let sentence = format!("child processes may now call {}", list(&new.actions));
            lines.add(&path, Direction::Widening, sentence);
        }
        (Children::Allow, Children::Deny) => {
            let sentence = format!("child processes may no longer call {}", list(actions));
            lines.add(&path, Direction::Narrowing, sentence);
        }
        _ => {}
    }
    data_terms(lines, &path, data.as_ref(), new.data.as_ref());
    approval_terms(
        lines,
        &path,
        (approval.as_ref(), new.approval.as_ref()),
        &list(&new.actions),
    );
    lines.words(
        &path,
        (reason, &new.reason),
        "the reason of a grant is said differently",
    );
    let said = |words: &BTreeMap<Name, _>| {
        let kept = words
            .iter()
            .filter(|(action, _)| actions.contains(*action) && new.actions.contains(*action));
        kept.map(|(action, words)| (action.clone(), format!("{words:?}")))
            .collect::<BTreeMap<_, _>>()
    };
    lines.words(
        &path,
        (&said(business_action), &said(&new.business_action)),
        "an action is called something else for people",
    );
}

fn arguments(
    lines: &mut Lines,
    path: &str,
    (old, new): (&BTreeMap<Parameter, Constraint>, &BTreeMap<Parameter, Constraint>),
    actions: &str,
) {
    let names: BTreeSet<&Parameter> = old.keys().chain(new.keys()).collect();
    for name in names {
        match (old.get(name), new.get(name)) {
            (Some(before), None) => {
                let sentence = format!("may now call {actions} with any {name}, not only {before}");
                lines.add(path, Direction::Widening, sentence);
            }
            (None, Some(after)) => {
                let sentence = format!("may call {actions} only where {name} is {after}");
                lines.add(path, Direction::Narrowing, sentence);
            }
            (Some(before), Some(after)) if before != after => {
                let direction = if within(after, before) {
                    Direction::Narrowing
                } else {
                    Direction::Widening
                };
                let may = if direction == Direction::Widening {
                    "may now"
                } else {
                    "may"
                };
                let sentence = format!("{may} call {actions} where {name} is {after} instead of {before}");
                lines.add(path, direction, sentence);
            }
            _ => {}
        }
    }
}

/// Whether everything that satisfies `inner` satisfies `outer`. Two shapes of an argument cannot be compared: what is a
/// list for one is no number for the other.
fn within(inner: &Constraint, outer: &Constraint) -> bool {
    match (inner, outer) {
        (Constraint::Texts(inner), Constraint::Texts(outer)) => inner.is_subset(outer),
        (Constraint::Integers(inner), Constraint::Integers(outer)) => inner.is_subset(outer),
        (Constraint::Bools(inner), Constraint::Bools(outer)) => inner.is_subset(outer),
        (
            Constraint::Range { min, max },
            Constraint::Range {
                min: lowest,
                max: highest,
            },
        ) => {
            lowest.is_none_or(|lowest| min.is_some_and(|min| min >= lowest))
                && highest.is_none_or(|highest| max.is_some_and(|max| max <= highest))
        }
        (
            Constraint::Texts(_) | Constraint::Integers(_) | Constraint::Bools(_) | Constraint::Range { .. },
            _,
        ) => false,
    }
}

fn data_terms(lines: &mut Lines, path: &str, old: Option<&DataTerms>, new: Option<&DataTerms>) {
    let (before, after) = match (old, new) {
        (None, None) => return,
        (Some(before), None) => {
            let sentence = format!(
                "data of any kind may now come with it, not only {} up to {}",
                list(&before.domains),
                before.sensitivity
            );
            return lines.add(path, Direction::Widening, sentence);
        }
        (None, Some(after)) => {
            let sentence = format!(
                "only data of {} up to {} may come with it",
                list(&after.domains),
                after.sensitivity
            );
            return lines.add(path, Direction::Narrowing, sentence);
        }
        (Some(before), Some(after)) => (before, after),
    };
    let DataTerms {
        domains,
        sensitivity,
        fields_deny,
    } = before;
    lines.set(
        path,
        (domains, &after.domains),
        Wider::More,
        (
            "data may now come with it of",
            "data may no longer come with it of",
        ),
    );
    lines.ordered(
        path,
        (sensitivity, &after.sensitivity),
        Wider::More,
        "data may come with it up to",
    );
    lines.set(
        path,
        (fields_deny, &after.fields_deny),
        Wider::Less,
        ("may no longer come with it:", "may now come with it:"),
    );
}

fn approval_terms(lines: &mut Lines, path: &str, (old, new): (Option<&Name>, Option<&Name>), actions: &str) {
    match (old, new) {
        (Some(by), None) => {
            let sentence = format!("may now call {actions} without approval by {by}");
            lines.add(path, Direction::Widening, sentence);
        }
        (None, Some(by)) => {
            let sentence = format!("may call {actions} only with approval by {by}");
            lines.add(path, Direction::Narrowing, sentence);
        }
        (Some(by), Some(now)) if by != now => {
            let sentence = format!("may now call {actions} with approval by {now} instead of {by}");
            lines.add(path, Direction::Widening, sentence);
        }
        _ => {}
    }
}

/// Where its service does not say what an action returns, the grant's word is what a task has seen afterwards. A call
/// that another grant permits than before must not leave less behind: a later call would pass that was refused.
fn labels(lines: &mut Lines, old: &Terms, new: &Terms) {
    let kept = |terms: &Terms, grant: &Grant| {
        let same = terms.grants.iter().find(|other| other.id == grant.id);
        same.is_some_and(|other| rights(other) == rights(grant))
    };
    for after in &new.grants {
        let lower = old.grants.iter().find(|before| {
            let both = before.actions.intersection(&after.actions).next().is_some()
                && before.services.intersection(&after.services).next().is_some();
            let unaltered = kept(new, before) && kept(old, after);
            both && !unaltered && !covers(after.data.as_ref(), before.data.as_ref())
        });
        if let Some(before) = lower {
            let sentence = format!(
                "what {} reads where its service does not say what it is leaves lower labels than by {} before",
                after.id, before.id
            );
            lines.add(
                &format!("grants.{}.data", after.id),
                Direction::Widening,
                sentence,
            );
        }
    }
}

/// Whether a read by `after` leaves at least the labels of one by `before`.
fn covers(after: Option<&DataTerms>, before: Option<&DataTerms>) -> bool {
    before.is_none_or(|before| {
        after.is_some_and(|after| {
            after.sensitivity >= before.sensitivity && after.domains.is_superset(&before.domains)
        })
    })
}

/// A workflow, and a budget of domains, take the domains of a call from every grant that names it.
fn domains(lines: &mut Lines, old: &Terms, new: &Terms) {
    let looked_at = |terms: &Terms| {
        terms.workflow.is_some()
            || terms
                .budgets
                .iter()
                .any(|budget| budget.counts == crate::contract::Counts::Domains)
    };
    if !looked_at(old) && !looked_at(new) {
        return;
    }
    let differs = new.grants.iter().find_map(|grant| {
        grant.actions.iter().find_map(|action| {
            grant.services.iter().find_map(|service| {
                let of = |terms| crate::attribute::domains_of(terms, action, service, None);
                let known = old
                    .grants
                    .iter()
                    .any(|before| before.actions.contains(action) && before.services.contains(service));
                (known && of(old) != of(new)).then_some((grant, action))
            })
        })
    });
    if let Some((grant, action)) = differs {
        let sentence = format!("{action} counts as data of other domains, so as other steps");
        lines.add(
            &format!("grants.{}.data", grant.id),
            Direction::Widening,
            sentence,
        );
    }
}

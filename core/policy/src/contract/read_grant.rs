//! From the [`Node`] tree to grants: what may be done, where, with which arguments, and in which words.

use super::constraint::{Constraint, INTEGER_MAX};
use super::error::ErrorCode;
use super::node::{Node, Value};
use super::parameter::Parameter;
use super::read::{NAMES_MAX, whole};
use super::section::{Notes, Section, bad_value, duplicate, integer, items, parsed, set, text, word};
use super::sentence::Sentence;
use super::terms::{Children, DataTerms, Grant, Sensitivity};
use identity::Name;
use std::collections::{BTreeMap, BTreeSet};

/// Most grants: nearest-grant search is linear in them.
const GRANTS_MAX: usize = 200;
/// Most services of one grant.
const SERVICES_MAX: usize = 50;
/// Most argument conditions of one grant.
const CONDITIONS_MAX: usize = 50;
/// Most allowed values of one argument.
const VALUES_MAX: usize = 1000;

pub(super) fn grants_terms(notes: &mut Notes<'_>, node: &Node) -> Option<Vec<Grant>> {
    let mut grants: Vec<Grant> = Vec::new();
    let mut complete = true;
    for (path, item) in items(notes, "grants", node, GRANTS_MAX)? {
        let Some(grant) = grant_terms(notes, &path, item) else {
            complete = false;
            continue;
        };
        notes.lines.insert(format!("grants.{}", grant.id), item.at.line);
        if grants.iter().any(|before| before.id == grant.id) {
            duplicate(notes, &path, item.at, &format!("the grant \"{}\"", grant.id));
        }
        grants.push(grant);
    }
    grants.sort_by(|a, b| a.id.cmp(&b.id));
    complete.then_some(grants)
}

fn grant_terms(notes: &mut Notes<'_>, path: &str, node: &Node) -> Option<Grant> {
    let section = Section::open(
        notes,
        path,
        node,
        &[
            "id",
            "services",
            "actions",
            "where",
            "reason",
            "business_action",
            "children",
            "data",
            "approval",
        ],
    )?;
    let at = |key: &str| section.child(key);
    let id = section.required(notes, "id", "decisions cite grants by id");
    let id = id.and_then(|node| parsed::<Name>(notes, &at("id"), node));
    let services = section.required(notes, "services", "a grant holds at named services only");
    let services = services.and_then(|node| set(notes, &at("services"), node, SERVICES_MAX, parsed));
    let actions = section.required(notes, "actions", "a grant permits named actions only");
    let actions = actions.and_then(|node| set::<Name>(notes, &at("actions"), node, NAMES_MAX, parsed));
    let conditions = section
        .optional(notes, "where")
        .map_or(Some(BTreeMap::new()), |node| {
            conditions_terms(notes, &at("where"), node)
        });
    let reason = section.required(
        notes,
        "reason",
        "a right nobody can explain is a right nobody reviews",
    );
    let reason = reason.and_then(|node| parsed::<Sentence>(notes, &at("reason"), node));
    let business_action = section.required(
        notes,
        "business_action",
        "approvers and auditors read it instead of the action's name",
    );
    let business_action = business_action
        .and_then(|node| business_terms(notes, &at("business_action"), node, actions.as_ref()));
    let children = section
        .optional(notes, "children")
        .map_or(Some(Children::default()), |node| {
            word(notes, &at("children"), node, Children::ALL)
        });
    let data = section
        .optional(notes, "data")
        .map(|node| data_terms(notes, &at("data"), node));
    let approval = section
        .optional(notes, "approval")
        .map(|node| parsed(notes, &at("approval"), node));
    Some(Grant {
        id: id?,
        services: services?,
        actions: actions?,
        conditions: conditions?,
        reason: reason?,
        business_action: business_action?,
        children: children?,
        data: whole(data)?,
        approval: whole(approval)?,
    })
}

fn conditions_terms(
    notes: &mut Notes<'_>,
    path: &str,
    node: &Node,
) -> Option<BTreeMap<Parameter, Constraint>> {
    let Value::Map(entries) = &node.value else {
        bad_value(
            notes,
            path,
            node,
            node.kind(),
            "this key holds argument names with what they have to be",
            "write name: [value]",
        );
        return None;
    };
    if entries.is_empty() || entries.len() > CONDITIONS_MAX {
        let why = format!("a grant has 1 to {CONDITIONS_MAX} conditions, or no \"where\" at all");
        bad_value(
            notes,
            path,
            node,
            &entries.len().to_string(),
            &why,
            "remove the key or name arguments",
        );
        return None;
    }
    let mut conditions = BTreeMap::new();
    let mut complete = true;
    for (key, value) in entries {
        let path = format!("{path}.{}", key.name);
        let name: Option<Parameter> = match key.name.parse() {
            Ok(name) => Some(name),
            Err(error) => {
                notes.note(
                    ErrorCode::BadValue,
                    key.at,
                    &path,
                    format!(
                        "{:?} is not an argument name",
                        key.name.chars().take(80).collect::<String>()
                    ),
                    super::parameter::ParameterError::to_string(&error),
                    "write the name as the upstream's definition spells it",
                );
                None
            }
        };
        let constraint = constraint(notes, &path, value);
        match (name, constraint) {
            (Some(name), Some(constraint)) => {
                notes.lines.insert(path, key.at.line);
                conditions.insert(name, constraint);
            }
            _ => complete = false,
        }
    }
    complete.then_some(conditions)
}

fn constraint(notes: &mut Notes<'_>, path: &str, node: &Node) -> Option<Constraint> {
    if let Value::Map(_) = node.value {
        let section = Section::open(notes, path, node, &["min", "max"])?;
        let mut end = |key: &str| {
            section
                .optional(notes, key)
                .map(|node| integer(notes, &section.child(key), node, -INTEGER_MAX..=INTEGER_MAX))
        };
        let (min, max) = (end("min"), end("max"));
        let (min, max) = (whole(min)?, whole(max)?);
        let empty = min.zip(max).is_some_and(|(min, max)| min > max);
        if empty || (min.is_none() && max.is_none()) {
            let why = "a range has a \"min\", a \"max\" or both, and min is not above max";
            bad_value(
                notes,
                path,
                node,
                "a range that holds nothing",
                why,
                "write {min: 1, max: 12}",
            );
            return None;
        }
        return Some(Constraint::Range { min, max });
    }
    let Value::List(list) = &node.value else {
        let why = "an argument is held to a list of values or to a range";
        bad_value(
            notes,
            path,
            node,
            node.kind(),
            why,
            "write [value], even for one value, or {min: 1, max: 12}",
        );
        return None;
    };
    match list.first().map(|first| &first.value) {
        Some(Value::Integer(_)) => {
            let read = |notes: &mut Notes<'_>, path: &str, node: &Node| {
                integer(notes, path, node, -INTEGER_MAX..=INTEGER_MAX)
            };
            set(notes, path, node, VALUES_MAX, read).map(Constraint::Integers)
        }
        Some(Value::Bool(_)) => {
            let read = |notes: &mut Notes<'_>, path: &str, node: &Node| {
                if let Value::Bool(value) = node.value {
                    return Some(value);
                }
                let why = "a list holds values of one type";
                bad_value(notes, path, node, node.kind(), why, "write true or false");
                None
            };
            set(notes, path, node, VALUES_MAX, read).map(Constraint::Bools)
        }
        _ => set(notes, path, node, VALUES_MAX, allowed_text).map(Constraint::Texts),
    }
}

/// One allowed text of an argument.
fn allowed_text(notes: &mut Notes<'_>, path: &str, node: &Node) -> Option<String> {
    let text = text(notes, path, node)?;
    if text.is_empty() || text.len() > 255 || text.chars().any(char::is_control) {
        let why = "an allowed text has 1 to 255 bytes and no control character";
        bad_value(
            notes,
            path,
            node,
            text,
            why,
            "write the value as it appears in calls",
        );
        return None;
    }
    Some(text.to_owned())
}

fn business_terms(
    notes: &mut Notes<'_>,
    path: &str,
    node: &Node,
    actions: Option<&BTreeSet<Name>>,
) -> Option<BTreeMap<Name, Sentence>> {
    let actions = actions?;
    let known: Vec<&str> = actions.iter().map(Name::as_str).collect();
    let section = Section::open(notes, path, node, &known)?;
    let mut words = BTreeMap::new();
    for action in actions {
        let value = section.required(notes, action.as_str(), "every action has words for people");
        if let Some(sentence) = value.and_then(|node| parsed(notes, &section.child(action.as_str()), node)) {
            words.insert(action.clone(), sentence);
        }
    }
    (words.len() == actions.len()).then_some(words)
}

fn data_terms(notes: &mut Notes<'_>, path: &str, node: &Node) -> Option<DataTerms> {
    let section = Section::open(notes, path, node, &["domains", "sensitivity", "fields_deny"])?;
    let domains = section.required(notes, "domains", "labels name their domains");
    let domains = domains.and_then(|node| set(notes, &section.child("domains"), node, 20, parsed));
    let sensitivity = section.required(notes, "sensitivity", "labels name their sensitivity");
    let sensitivity =
        sensitivity.and_then(|node| word(notes, &section.child("sensitivity"), node, Sensitivity::ALL));
    let fields_deny = section
        .optional(notes, "fields_deny")
        .map_or(Some(BTreeSet::new()), |node| {
            set(notes, &section.child("fields_deny"), node, NAMES_MAX, parsed)
        });
    Some(DataTerms {
        domains: domains?,
        sensitivity: sensitivity?,
        fields_deny: fields_deny?,
    })
}

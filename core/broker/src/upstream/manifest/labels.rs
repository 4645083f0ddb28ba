//! The keys `data` and `sink` of a route: what a service says of what it returns, and of where it leads.

use super::group::Group;
use super::node::{Node, Value};
use identity::Name;
use policy::contract::Sensitivity;
use policy::{DataLabels, Readers, Sink};
use std::collections::BTreeSet;

const FIX_NAMES: &str = "write a list of names, such as [finance]";

/// What data a route returns.
pub(super) fn data(route: &Group<'_>, node: &Node) -> Option<DataLabels> {
    let known = ["sensitivity", "domains", "readers", "untrusted", "fields"];
    let group = Group::of(node, &route.path_of("data"), &known, route.mistakes())?;
    Some(DataLabels {
        sensitivity: sensitivity(&group, "sensitivity")?,
        domains: names(&group, "domains")?,
        readers: readers(&group)?,
        untrusted: truth(&group, "untrusted")?,
        fields: names(&group, "fields")?,
    })
}

/// What a route carries out.
pub(super) fn sink(route: &Group<'_>, node: &Node) -> Option<Sink> {
    let known = ["clearance", "readers", "egress", "consequential", "destinations"];
    let group = Group::of(node, &route.path_of("sink"), &known, route.mistakes())?;
    Some(Sink {
        clearance: sensitivity(&group, "clearance")?,
        readers: readers(&group)?,
        egress: truth(&group, "egress")?,
        consequential: truth(&group, "consequential")?,
        destinations: names(&group, "destinations")?.into_iter().collect(),
    })
}

fn sensitivity(group: &Group<'_>, key: &str) -> Option<Sensitivity> {
    let node = group.required(key)?;
    let text = group.text_of(key, node)?;
    let found = Sensitivity::ALL
        .iter()
        .copied()
        .find(|known| known.as_str() == text);
    if found.is_none() {
        let why = "data is public, internal, confidential or secret";
        group.wrong(
            node.at,
            key,
            format!("{text:?} is no sensitivity"),
            why,
            "write one of these",
        );
    }
    found
}

/// Nothing that is not there; everyone, or a list of names as the service spells them.
fn readers(group: &Group<'_>) -> Option<Readers> {
    let Some(node) = group.optional("readers") else {
        return Some(Readers::Everyone);
    };
    if matches!(&node.value, Value::Text(text) if text == "everyone") {
        return Some(Readers::Everyone);
    }
    let items = group.list("readers", node);
    let mut readers = BTreeSet::new();
    for item in items {
        let text = group.text_of("readers", item)?;
        if text.is_empty() || text.len() > 255 || text.chars().any(char::is_control) {
            let why = "a reader has 1 to 255 bytes and no control character";
            group.wrong(
                item.at,
                "readers",
                format!("{text:?} is no reader"),
                why,
                "correct the name",
            );
            return None;
        }
        readers.insert(text.to_owned());
    }
    matches!(node.value, Value::List(_)).then_some(Readers::Only(readers))
}

fn names(group: &Group<'_>, key: &str) -> Option<BTreeSet<Name>> {
    let Some(node) = group.optional(key) else {
        return Some(BTreeSet::new());
    };
    let mut names = BTreeSet::new();
    for item in group.list(key, node) {
        let text = group.text_of(key, item)?;
        match text.parse::<Name>() {
            Ok(name) => {
                names.insert(name);
            }
            Err(error) => {
                let what = format!("{text:?} does not fit here");
                group.wrong(item.at, key, what, &error.to_string(), FIX_NAMES);
                return None;
            }
        }
    }
    matches!(node.value, Value::List(_)).then_some(names)
}

fn truth(group: &Group<'_>, key: &str) -> Option<bool> {
    let Some(node) = group.optional(key) else {
        return Some(false);
    };
    if let Value::Bool(value) = node.value {
        return Some(value);
    }
    let what = format!("true or false is expected, this is {}", node.kind());
    let why = "each key of a manifest has one form";
    group.wrong(node.at, key, what, why, "write true or false");
    None
}

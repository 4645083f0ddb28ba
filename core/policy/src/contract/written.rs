//! A contract as text, for drafts: in the order of the reference, with remarks beside what they are about.
//!
//! Only drafts are written by us. What is published is what its author wrote, byte for byte.

use super::Terms;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Remarks by the path of what they are about: `grants.read.where.amount`, `tenants`. One line each.
pub type Remarks = BTreeMap<String, Vec<String>>;

/// Keys in the order in which people read them; the others follow by name.
const ORDER: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata",
    "owner",
    "purpose",
    "identity",
    "tenants",
    "tasks",
    "grants",
    "windows",
    "rate",
    "budgets",
    "delegation",
    "flow",
    "workflow",
    "escalation",
    "rules",
    "may_launch",
    "mode",
    "lifecycle",
    "id",
    "name",
    "version",
    "team",
    "services",
    "actions",
    "where",
    "reason",
    "business_action",
    "types",
    "max_ttl",
    "openers",
    "min",
    "max",
];

/// Writes `terms`. What it says reads back as the same contract.
pub fn written(terms: &Terms, remarks: &Remarks) -> Result<String, serde_json::Error> {
    Ok(document(&serde_json::to_value(terms)?, remarks))
}

/// Writes any document of this form: a contract, or the manifest of an upstream.
pub fn document(value: &Value, remarks: &Remarks) -> String {
    let mut out = String::new();
    if let Value::Object(top) = value {
        for (key, value) in ordered(top) {
            entry(&mut out, key, value, "", 0, remarks);
        }
    }
    out
}

fn ordered(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut all: Vec<_> = map.iter().collect();
    all.sort_by_key(|(key, _)| {
        let place = ORDER.iter().position(|known| known == key);
        (place.unwrap_or(ORDER.len()), key.as_str())
    });
    all
}

/// Whether a value fits on the line of its key.
fn is_short(value: &Value) -> bool {
    match value {
        Value::Object(map) => {
            map.len() <= 3
                && map
                    .values()
                    .all(|value| !matches!(value, Value::Object(_) | Value::Array(_)))
        }
        Value::Array(items) => items.iter().all(|item| !matches!(item, Value::Object(_))),
        _ => true,
    }
}

fn entry(out: &mut String, key: &str, value: &Value, path: &str, depth: usize, remarks: &Remarks) {
    let path = if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    };
    let indent = "  ".repeat(depth);
    remark(out, &path, &indent, remarks);
    let below = |prefix: &str| remarks.keys().any(|known| known.starts_with(prefix));
    if is_short(value) && !below(&format!("{path}.")) {
        // Writing into a String cannot fail.
        writeln!(out, "{indent}{}: {}", scalar(key), inline(value)).unwrap_or_default();
        return;
    }
    writeln!(out, "{indent}{}:", scalar(key)).unwrap_or_default();
    match value {
        Value::Object(map) => {
            for (key, value) in ordered(map) {
                entry(out, key, value, &path, depth + 1, remarks);
            }
        }
        Value::Array(items) => {
            for item in items {
                element(out, item, &path, depth + 1, remarks);
            }
        }
        _ => {}
    }
}

/// One group of a list, named by its id in remarks.
fn element(out: &mut String, item: &Value, path: &str, depth: usize, remarks: &Remarks) {
    let indent = "  ".repeat(depth);
    let Value::Object(map) = item else {
        writeln!(out, "{indent}- {}", inline(item)).unwrap_or_default();
        return;
    };
    let id = map
        .get("id")
        .or_else(|| map.get("action"))
        .and_then(Value::as_str)
        .unwrap_or_default();
    let path = format!("{path}.{id}");
    remark(out, &path, &indent, remarks);
    let mut inner = String::new();
    for (key, value) in ordered(map) {
        entry(&mut inner, key, value, &path, depth + 1, remarks);
    }
    // The first key stands behind the dash; remarks before it stay remarks.
    let first = inner
        .lines()
        .position(|line| !line.trim_start().starts_with('#'))
        .unwrap_or(0);
    for (place, line) in inner.lines().enumerate() {
        if place == first {
            writeln!(out, "{indent}- {}", line.trim_start()).unwrap_or_default();
        } else {
            writeln!(out, "{line}").unwrap_or_default();
        }
    }
}

fn remark(out: &mut String, path: &str, indent: &str, remarks: &Remarks) {
    for text in remarks.get(path).into_iter().flatten() {
        let text: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        writeln!(out, "{indent}# {text}").unwrap_or_default();
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let pairs: Vec<String> = ordered(map)
                .into_iter()
                .map(|(key, value)| format!("{}: {}", scalar(key), inline(value)))
                .collect();
            format!("{{{}}}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}

/// A text, quoted unless it can be nothing else.
fn scalar(text: &str) -> String {
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/'))
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    if word {
        text.to_owned()
    } else {
        // A JSON string is a YAML string.
        Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Contract;
    use super::*;

    #[test]
    fn what_is_written_reads_back_as_the_same_contract() {
        for text in [
            include_str!("../../testdata/billing.yaml"),
            include_str!("../../testdata/reporter.yaml"),
            include_str!("../../testdata/clerk.yaml"),
        ] {
            let contract = Contract::parse("c.yaml", text.as_bytes()).unwrap();
            let mut remarks = Remarks::new();
            remarks.insert(
                "tenants".into(),
                vec!["a remark\nthat tries: to break out".into()],
            );
            remarks.insert("grants.read".into(), vec!["before a grant".into()]);
            remarks.insert("grants.read.id".into(), vec!["before its first key".into()]);
            let again = written(contract.terms(), &remarks).unwrap();
            let again = Contract::parse("d.yaml", again.as_bytes())
                .unwrap_or_else(|errors| panic!("{again}\n{errors:?}"));
            assert_eq!(again.hash(), contract.hash());
        }
    }
}

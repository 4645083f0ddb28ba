//! Each key of the contract, changed in both directions. The keys come from the published schema, so that one that is
//! added later has no row and fails here.

use super::*;
use Direction::{Narrowing, Neutral, Widening};
use serde_json::Value;
use std::collections::BTreeSet;

/// A key, a piece of [`FULL`], what takes its place, what that is, and what the way back is.
type Row = (&'static str, &'static str, &'static str, Direction, Direction);

const ROWS: &[Row] = &[
    ("metadata.name", "{name: clerk", "{name: other", Neutral, Neutral),
    ("metadata.version", "version: 1", "version: 2", Neutral, Neutral),
    ("owner.team", "team: office", "team: finance", Neutral, Neutral),
    (
        "owner.person",
        "person: Kim Doe",
        "person: Jo Doe",
        Neutral,
        Neutral,
    ),
    (
        "owner.escalation",
        "the front desk",
        "the back door",
        Neutral,
        Neutral,
    ),
    (
        "purpose.id",
        "purpose: {id: clerk",
        "purpose: {id: payer",
        Widening,
        Widening,
    ),
    ("purpose.statement", "Pays what", "Settles what", Neutral, Neutral),
    (
        "identity.min_assurance",
        "min_assurance: 2",
        "min_assurance: 1",
        Widening,
        Narrowing,
    ),
    (
        "identity.max_evidence_age",
        ", max_evidence_age: 1h",
        "",
        Widening,
        Narrowing,
    ),
    (
        "identity.attestation",
        "attestation: [measured]",
        "attestation: [measured, confined]",
        Narrowing,
        Widening,
    ),
    ("tenants.mode", "mode: task", "mode: fixed", Widening, Narrowing),
    ("tenants.allowed", "[acme, globex]", "[acme]", Narrowing, Widening),
    (
        "tasks.types",
        "[reading, paying]",
        "[reading]",
        Narrowing,
        Widening,
    ),
    (
        "tasks.max_ttl",
        "max_ttl: 10m",
        "max_ttl: 11m",
        Widening,
        Narrowing,
    ),
    ("tasks.openers", "[user, trigger]", "[user]", Narrowing, Widening),
    (
        "tasks.max_open",
        "max_open: 5",
        "max_open: 6",
        Widening,
        Narrowing,
    ),
    (
        "tasks.templates",
        "reading: {actions: [read]}",
        "reading: {actions: [read, pay]}",
        Widening,
        Narrowing,
    ),
    ("grants.id", "id: pay\n", "id: settle\n", Neutral, Neutral),
    (
        "grants.services",
        "[office]\n",
        "[office, archive]\n",
        Widening,
        Narrowing,
    ),
    (
        "grants.actions",
        "    actions: [read]\n    reason: What is due stands in the mail.\n    business_action: {read:",
        "    actions: [list, read]\n    reason: What is due stands in the mail.\n    business_action: {list: List, read:",
        Widening,
        Narrowing,
    ),
    ("grants.where", "max: 500", "max: 501", Widening, Narrowing),
    (
        "grants.reason",
        "What is due is paid.",
        "Bills are paid.",
        Neutral,
        Neutral,
    ),
    (
        "grants.business_action",
        "pay: Pay a bill",
        "pay: Settle a bill",
        Neutral,
        Neutral,
    ),
    (
        "grants.children",
        "children: deny",
        "children: allow",
        Widening,
        Narrowing,
    ),
    (
        "grants.data.domains",
        "[finance, mail]",
        "[finance]",
        Widening,
        Widening,
    ),
    (
        "grants.data.sensitivity",
        "sensitivity: internal",
        "sensitivity: confidential",
        Widening,
        Widening,
    ),
    (
        "grants.data.fields_deny",
        ", fields_deny: [iban]",
        "",
        Widening,
        Narrowing,
    ),
    (
        "grants.approval",
        "    approval: payments\n",
        "",
        Widening,
        Narrowing,
    ),
    (
        "windows.days",
        "days: mon-fri",
        "days: mon-sat",
        Widening,
        Narrowing,
    ),
    ("windows.from", "\"08:00\"", "\"07:00\"", Widening, Narrowing),
    ("windows.to", "\"18:00\"", "\"17:00\"", Narrowing, Widening),
    ("windows.tz", "\"+01:00\"", "\"+02:00\"", Widening, Widening),
    (
        "rate.per",
        "per: 1m, max: 60",
        "per: 2m, max: 60",
        Widening,
        Widening,
    ),
    ("rate.max", "max: 60", "max: 61", Widening, Narrowing),
    (
        "rate.scope",
        "max: 60, scope: task",
        "max: 60, scope: instance",
        Widening,
        Widening,
    ),
    (
        "budgets.counts",
        "{counts: denials, scope: task, per: 5m, max: 3, then: suspend}",
        "{counts: calls, scope: task, per: 5m, max: 3}",
        Widening,
        Widening,
    ),
    (
        "budgets.argument",
        "argument: amount",
        "argument: total",
        Widening,
        Widening,
    ),
    (
        "budgets.actions",
        "actions: [pay, refund], scope",
        "actions: [pay], scope",
        Widening,
        Narrowing,
    ),
    (
        "budgets.scope",
        "scope: task, per: 1d",
        "scope: instance, per: 1d",
        Widening,
        Widening,
    ),
    (
        "budgets.per",
        "per: 1d, max: 1000",
        "per: 2d, max: 1000",
        Widening,
        Widening,
    ),
    ("budgets.max", "max: 1000", "max: 1001", Widening, Narrowing),
    ("budgets.then", ", then: suspend", "", Widening, Narrowing),
    (
        "delegation.may_delegate_to",
        "[reader]",
        "[reader, writer]",
        Widening,
        Narrowing,
    ),
    (
        "delegation.max_depth",
        "max_depth: 3",
        "max_depth: 4",
        Widening,
        Narrowing,
    ),
    (
        "delegation.on_behalf_of.require_user",
        "require_user: true",
        "require_user: false",
        Widening,
        Narrowing,
    ),
    (
        "delegation.on_behalf_of.groups",
        ", groups: [office]",
        "",
        Widening,
        Narrowing,
    ),
    (
        "flow.reads_untrusted",
        "  reads_untrusted: [read]\n",
        "",
        Widening,
        Narrowing,
    ),
    ("flow.egress", "  egress: [pay]\n", "", Widening, Narrowing),
    (
        "flow.trusted_destinations",
        "destinations: [task]",
        "destinations: [task, directory]",
        Widening,
        Narrowing,
    ),
    (
        "flow.approval",
        "[task]\n  approval: payments\n",
        "[task]\n",
        Narrowing,
        Widening,
    ),
    (
        "flow.toxic",
        "  toxic: [[read, refund]]\n",
        "",
        Widening,
        Narrowing,
    ),
    (
        "workflow.start",
        "start: [read]",
        "start: [read, pay]",
        Widening,
        Narrowing,
    ),
    (
        "workflow.edges",
        "{read: [pay, refund]}",
        "{read: [pay, refund], pay: [refund]}",
        Widening,
        Narrowing,
    ),
    (
        "workflow.at_most",
        "at_most: {pay: 2}",
        "at_most: {pay: 3}",
        Widening,
        Narrowing,
    ),
    (
        "workflow.after",
        "after: {pay: [read]}",
        "after: {pay: [read, refund]}",
        Narrowing,
        Widening,
    ),
    (
        "workflow.max_steps",
        "max_steps: 20",
        "max_steps: 21",
        Widening,
        Narrowing,
    ),
    (
        "workflow.off_graph",
        "off_graph: approve\n  approval: payments",
        "off_graph: deny",
        Narrowing,
        Widening,
    ),
    (
        "workflow.approval",
        "off_graph: approve\n  approval: payments",
        "off_graph: approve\n  approval: others",
        Widening,
        Widening,
    ),
    ("escalation", "quorum: 2", "quorum: 1", Widening, Narrowing),
    (
        "escalation",
        "approvers: office-leads",
        "approvers: anybody",
        Widening,
        Widening,
    ),
    // Left out, nobody who is concerned may approve.
    ("escalation", ", not: [requester]", "", Narrowing, Widening),
    ("escalation", "ttl: 10m}", "ttl: 20m}", Widening, Narrowing),
    ("rules.id", "id: a-person", "id: somebody", Neutral, Neutral),
    (
        "rules.reason",
        "Work begins with a person.",
        "People first.",
        Neutral,
        Neutral,
    ),
    (
        "rules.cedar",
        "== \"trigger\"",
        "== \"operator\"",
        Widening,
        Widening,
    ),
    ("may_launch", "[tool]", "[tool, shell]", Widening, Narrowing),
    ("mode", "mode: enforce", "mode: shadow", Widening, Narrowing),
    (
        "lifecycle.expires",
        "2027-12-31",
        "2028-12-31",
        Widening,
        Narrowing,
    ),
    (
        "lifecycle.review_every",
        "review_every: 90d",
        "review_every: 91d",
        Widening,
        Narrowing,
    ),
];

/// Of one value each.
const FIXED: [&str; 2] = ["apiVersion", "kind"];

fn leaves(schema: &Value) -> BTreeSet<String> {
    fn walk(root: &Value, node: &Value, path: &str, all: &mut BTreeSet<String>) {
        let mut node = node;
        loop {
            let named = node.get("$ref").and_then(Value::as_str);
            let wrapped = node
                .get("allOf")
                .and_then(Value::as_array)
                .filter(|all| all.len() == 1);
            node = match (named, wrapped) {
                (Some(named), _) => root.pointer(named.trim_start_matches('#')).unwrap(),
                (None, Some(one)) => &one[0],
                _ => break,
            };
        }
        if let Some(properties) = node.get("properties").and_then(Value::as_object) {
            for (key, below) in properties {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                walk(root, below, &path, all);
            }
        } else if let Some(items) = node.get("items").filter(|items| {
            let named = items.get("$ref").and_then(Value::as_str);
            let of = named.and_then(|named| root.pointer(named.trim_start_matches('#')));
            of.is_some_and(|of| of.get("properties").is_some())
        }) {
            walk(root, items, path, all);
        } else {
            all.insert(path.to_owned());
        }
    }
    let mut all = BTreeSet::new();
    walk(schema, schema, "", &mut all);
    all
}

#[test]
fn every_key_of_the_schema_has_a_row() {
    let known = leaves(&crate::contract::json_schema());
    let rows: BTreeSet<String> = ROWS
        .iter()
        .map(|row| row.0)
        .chain(FIXED)
        .map(str::to_owned)
        .collect();
    assert_eq!(rows, known);
}

#[test]
fn every_key_is_ordered_as_declared_both_ways() {
    let old = full(&[]);
    for (key, from, to, there, back) in ROWS {
        let new = full(&[(from, to)]);
        let section = key.split('.').next().unwrap();
        for (lines, expected) in [(structure(&old, &new), there), (structure(&new, &old), back)] {
            assert_eq!(direction(&lines), *expected, "{key}: {lines:#?}");
            assert!(
                lines.iter().all(|line| line.path.starts_with(section)),
                "{key}: another key is said to differ: {lines:#?}"
            );
        }
    }
}

#[test]
fn a_section_that_comes_or_goes_is_said() {
    let old = full(&[]);
    for (name, section, removed) in [
        (
            "tenants",
            "tenants: {mode: task, allowed: [acme, globex]}\n",
            Widening,
        ),
        (
            "windows",
            "windows: [{days: mon-fri, from: \"08:00\", to: \"18:00\", tz: \"+01:00\"}]\n",
            Widening,
        ),
        ("rate", "rate: [{per: 1m, max: 60, scope: task}]\n", Widening),
        ("may_launch", "may_launch: [tool]\n", Narrowing),
        (
            "delegation",
            "delegation:\n  may_delegate_to: [reader]\n  max_depth: 3\n  on_behalf_of: {require_user: true, groups: [office]}\n",
            Widening,
        ),
    ] {
        let lines = structure(&old, &full(&[(section, "")]));
        assert_eq!(direction(&lines), removed, "{name}: {lines:#?}");
    }
    let start = FULL.find("flow:").unwrap();
    let end = FULL.find("workflow:").unwrap();
    let lines = structure(&old, &compiled(&FULL.replace(FULL.get(start..end).unwrap(), "")));
    assert_eq!(direction(&lines), Widening, "{lines:#?}");
    let end_of_workflow = FULL.find("escalation:\n").unwrap();
    let lines = structure(
        &old,
        &compiled(&FULL.replace(FULL.get(end..end_of_workflow).unwrap(), "")),
    );
    assert_eq!(direction(&lines), Widening, "{lines:#?}");
}

//! Every key has an order, nothing that allows more is called a narrowing, and the ways to hide a widening.

mod hidden;
mod keys;
mod random;

use super::*;
use crate::contract::Contract;
use crate::tests::compiled;

/// A contract that uses every key.
const FULL: &str = r#"apiVersion: tabard/v1
kind: AgentContract
metadata: {name: clerk, version: 1}
owner: {team: office, person: Kim Doe, escalation: the front desk}
purpose: {id: clerk, statement: Pays what is due.}
identity: {min_assurance: 2, max_evidence_age: 1h, attestation: [measured]}
tenants: {mode: task, allowed: [acme, globex]}
tasks:
  types: [reading, paying]
  max_ttl: 10m
  openers: [user, trigger]
  max_open: 5
  templates:
    reading: {actions: [read]}
grants:
  - id: pay
    services: [bank]
    actions: [pay, refund]
    where: {amount: {min: 1, max: 500}, currency: [EUR, USD]}
    reason: What is due is paid.
    business_action: {pay: Pay a bill, refund: Refund a payment}
    children: deny
    approval: payments
  - id: read
    services: [office]
    actions: [read]
    reason: What is due stands in the mail.
    business_action: {read: Read the office mail}
    data: {domains: [finance, mail], sensitivity: internal, fields_deny: [iban]}
windows: [{days: mon-fri, from: "08:00", to: "18:00", tz: "+01:00"}]
rate: [{per: 1m, max: 60, scope: task}]
budgets:
  - {counts: value, argument: amount, actions: [pay, refund], scope: task, per: 1d, max: 1000}
  - {counts: denials, scope: task, per: 5m, max: 3, then: suspend}
delegation:
  may_delegate_to: [reader]
  max_depth: 3
  on_behalf_of: {require_user: true, groups: [office]}
flow:
  reads_untrusted: [read]
  egress: [pay]
  trusted_destinations: [task]
  approval: payments
  toxic: [[read, refund]]
workflow:
  start: [read]
  edges: {read: [pay, refund]}
  at_most: {pay: 2}
  after: {pay: [read]}
  max_steps: 20
  off_graph: approve
  approval: payments
escalation:
  payments: {approvers: office-leads, quorum: 2, not: [requester], ttl: 10m}
  others: {approvers: others}
rules:
  - id: a-person
    reason: Work begins with a person.
    cedar: forbid (principal, action, resource) when { context.task_opener == "trigger" };
may_launch: [tool]
mode: enforce
lifecycle: {expires: 2027-12-31, review_every: 90d}
"#;

/// Enough for a debug build.
const FEW: usize = 400;

/// `FULL` with pieces replaced: `from => to`, each of which has to be there.
fn full(changes: &[(&str, &str)]) -> Compiled {
    let mut text = FULL.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    compiled(&text)
}

fn structure(old: &Compiled, new: &Compiled) -> Vec<Difference> {
    structure::differences(old.contract().terms(), new.contract().terms())
}

fn direction(lines: &[Difference]) -> Direction {
    lines
        .iter()
        .map(|line| line.direction)
        .max()
        .unwrap_or(Direction::Neutral)
}

#[test]
fn a_contract_does_not_differ_from_itself() {
    let one = full(&[]);
    let same = compiled(&format!("# a comment\n{FULL}"));
    let diff = diff(&one, &same, FEW);
    assert!(diff.is_empty() && diff.sentences().is_empty());
    assert_eq!(diff.direction(), Direction::Neutral);
    assert!(structure(&one, &same).is_empty());
}

#[test]
fn a_new_right_is_one_sentence_with_its_terms() {
    let old = full(&[]);
    let new = full(&[(
        "windows:",
        "  - id: store\n    services: [files]\n    actions: [files.write]\n    where: {size: {max: 500}}\n    \
         reason: Bills are kept.\n    business_action: {files.write: Keep a bill}\n    approval: others\nwindows:",
    )]);
    let lines = structure(&old, &new);
    assert_eq!(
        lines.first().unwrap().to_string(),
        "widening: may now call files.write on files where size is at most 500, with approval by others (grants.store)"
    );
}

#[test]
fn an_example_says_what_was_refused_and_is_allowed_now() {
    let old = compiled(crate::tests::REPORTER);
    let new = compiled(&crate::tests::REPORTER.replacen("max: 12", "max: 13", 1));
    let diff = diff(&old, &new, FEW);
    assert_eq!(diff.direction(), Direction::Widening);
    let example = diff.trial().examples().first().unwrap();
    assert!(
        example.sentence.contains("month 13") && example.sentence.contains("ARGUMENT_OUT_OF_RANGE"),
        "{}",
        example.sentence
    );
}

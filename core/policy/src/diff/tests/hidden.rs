//! Widenings that do not look like one.

use super::*;

/// What the whole comparison says.
fn judged(old: &Compiled, new: &Compiled) -> Direction {
    diff(old, new, FEW).direction()
}

#[test]
fn a_rename_that_lets_another_grant_decide_what_is_remembered() {
    // Both grants permit the read. The first by name says what the task has seen.
    let text = |first: &str, second: &str| {
        format!(
            "apiVersion: tabard/v1\nkind: AgentContract\nmetadata: {{name: x, version: 1}}\nowner: {{team: t}}\n\
             purpose: {{id: p, statement: Some purpose}}\nidentity: {{min_assurance: 1}}\n\
             tasks: {{types: [t], openers: [user]}}\nlifecycle: {{expires: 2027-12-31}}\ngrants:\n\
             \x20 - id: {first}\n    services: [s]\n    actions: [read]\n    reason: Some reason\n    \
             business_action: {{read: Read}}\n    data: {{domains: [people], sensitivity: secret}}\n\
             \x20 - id: {second}\n    services: [s]\n    actions: [read]\n    reason: Some reason\n    \
             business_action: {{read: Read}}\n"
        )
    };
    let (old, new) = (
        compiled(&text("a-read", "b-read")),
        compiled(&text("z-read", "b-read")),
    );
    assert_eq!(judged(&old, &new), Direction::Widening);
    assert_eq!(direction(&structure(&old, &new)), Direction::Widening);
    let diff = diff(&old, &new, FEW);
    assert!(diff.trial().lower_labels() > 0, "{diff:#?}");
}

#[test]
fn a_rename_of_an_action_is_another_right() {
    // Everywhere, so that each sentence of the contract reads as before.
    let new = compiled(&FULL.replace("refund", "payout"));
    assert_eq!(judged(&full(&[]), &new), Direction::Widening);
}

#[test]
fn a_value_that_looks_like_a_pattern_is_another_value() {
    // There are no patterns: a listed value is compared whole. One that somebody meant as a pattern is a new value.
    let old = full(&[]);
    for value in ["EUR|USD", "^EUR$", "EU*", ".*"] {
        let new = full(&[("currency: [EUR, USD]", &format!("currency: [\"{value}\"]"))]);
        assert_eq!(judged(&old, &new), Direction::Widening, "{value}");
    }
}

#[test]
fn a_rule_in_cedar_that_forbids_less() {
    let old = full(&[]);
    let tighter_looking = [
        // One more condition forbids less.
        ("== \"trigger\" }", "== \"trigger\" && context.call }"),
        // `like` with a pattern that misses the value.
        (
            "context.task_opener == \"trigger\"",
            "context.task_opener like \"trig?er\"",
        ),
        // The same words for another party.
        ("== \"trigger\"", "== \"triggers\""),
        (
            "forbid (principal, action, resource) when",
            "forbid (principal, action == Action::\"pay\", resource) when",
        ),
    ];
    for change in tighter_looking {
        assert_eq!(judged(&old, &full(&[change])), Direction::Widening, "{change:?}");
    }
    let laid_out = full(&[(
        "forbid (principal, action, resource) when",
        "forbid(principal,action,resource)  when",
    )]);
    assert_eq!(judged(&old, &laid_out), Direction::Neutral);
}

#[test]
fn a_default_that_is_written_out_is_neutral_and_one_that_is_not_the_default_is_not() {
    let without = compiled(crate::tests::BILLING);
    let explicit = |section: &str| compiled(&format!("{}\n{section}\n", crate::tests::BILLING));
    assert_eq!(
        judged(&without, &explicit("delegation: {max_depth: 4}")),
        Direction::Neutral
    );
    assert_eq!(
        judged(&without, &explicit("delegation: {max_depth: 5}")),
        Direction::Widening
    );
    assert_eq!(
        judged(&without, &explicit("delegation: {on_behalf_of: {}}")),
        Direction::Neutral
    );
    // The default of `max_ttl` is half an hour; this one leaves out a shorter time.
    let old = full(&[]);
    assert_eq!(
        judged(&old, &full(&[("  max_ttl: 10m\n", "")])),
        Direction::Widening
    );
    assert_eq!(
        judged(&old, &full(&[("    children: deny\n", "")])),
        Direction::Widening
    );
    assert_eq!(
        judged(&old, &full(&[("  trusted_destinations: [task]\n", "")])),
        Direction::Widening
    );
    // With the key, an approval can let pass what was never let pass without it.
    let escalation = "escalation: {leads: {approvers: leads}}\nflow: {approval: leads}";
    assert_eq!(judged(&without, &explicit(escalation)), Direction::Widening);
}

#[test]
fn another_unit() {
    let old = full(&[]);
    // The same number of something larger, under another name.
    assert_eq!(
        judged(
            &old,
            &full(&[(
                "where: {amount: {min: 1, max: 500}",
                "where: {amount_thousands: {min: 1, max: 500}"
            )])
        ),
        Direction::Widening
    );
    // As many a minute as before, if they come evenly; sixty at once if they do not.
    assert_eq!(
        judged(&old, &full(&[("{per: 1m, max: 60", "{per: 1h, max: 3600")])),
        Direction::Widening
    );
    // The same length, written in another unit.
    let hours = full(&[("max_evidence_age: 1h", "max_evidence_age: 60m")]);
    assert!(diff(&old, &hours, FEW).is_empty());
    // A number becomes a list of numbers, of which a call may carry several.
    assert_eq!(
        judged(
            &old,
            &full(&[("amount: {min: 1, max: 500}", "amount: [1, 2, 3]")])
        ),
        Direction::Widening
    );
}

#[test]
fn a_template_that_is_gone_permits_everything() {
    let old = full(&[]);
    let new = full(&[("  templates:\n    reading: {actions: [read]}\n", "")]);
    assert_eq!(judged(&old, &new), Direction::Widening);
    // Its type is gone with it: nothing is left to be permitted.
    let gone = full(&[
        ("  templates:\n    reading: {actions: [read]}\n", ""),
        ("types: [reading, paying]", "types: [paying]"),
    ]);
    assert_eq!(judged(&old, &gone), Direction::Narrowing);
    // Under another type the same template leaves the first one free.
    let moved = full(&[("    reading: {actions: [read]}", "    paying: {actions: [read]}")]);
    assert_eq!(judged(&old, &moved), Direction::Widening);
}

#[test]
fn less_of_a_grant_leaves_lower_labels() {
    let old = full(&[]);
    // Less sensitive data may come with it; what comes undeclared is remembered as less sensitive, too.
    let new = full(&[("sensitivity: internal", "sensitivity: public")]);
    assert_eq!(judged(&old, &new), Direction::Widening);
}

#[test]
fn a_narrowing_beside_a_widening_is_a_widening() {
    let new = full(&[("max: 500", "max: 501"), ("[user, trigger]", "[user]")]);
    assert_eq!(judged(&full(&[]), &new), Direction::Widening);
}

#[test]
fn a_contract_only_watched_is_no_narrowing_of_one_watched_otherwise() {
    let watched = full(&[("mode: enforce", "mode: shadow")]);
    let less = full(&[
        ("mode: enforce", "mode: shadow"),
        ("sensitivity: internal", "sensitivity: public"),
    ]);
    assert_eq!(judged(&watched, &less), Direction::Widening);
}

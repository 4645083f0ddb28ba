//! Random pairs of contracts and random requests: what the comparison calls anything but a widening allows no request
//! that was refused before.

use super::*;
use crate::decide;
use crate::diff::variations::Pair;
use proptest::prelude::*;

/// What may be done to [`FULL`]; several at once.
const CHANGES: &[(&str, &str)] = &[
    ("min_assurance: 2", "min_assurance: 3"),
    ("min_assurance: 2", "min_assurance: 1"),
    ("max_evidence_age: 1h", "max_evidence_age: 30m"),
    ("[acme, globex]", "[acme]"),
    ("[acme, globex]", "[acme, initech]"),
    ("mode: task", "mode: fixed"),
    ("types: [reading, paying]", "types: [reading, paying, sorting]"),
    ("max_ttl: 10m", "max_ttl: 5m"),
    ("openers: [user, trigger]", "openers: [user]"),
    ("openers: [user, trigger]", "openers: [user, self]"),
    ("    reading: {actions: [read]}", "    paying: {actions: [pay]}"),
    ("services: [office]", "services: [office, archive]"),
    ("max: 500", "max: 400"),
    ("max: 500", "max: 600"),
    ("min: 1, max", "min: 0, max"),
    ("currency: [EUR, USD]", "currency: [EUR]"),
    ("children: deny", "children: allow"),
    ("    approval: payments\n", ""),
    ("    approval: payments\n", "    approval: others\n"),
    ("domains: [finance, mail]", "domains: [finance]"),
    ("sensitivity: internal", "sensitivity: public"),
    (", fields_deny: [iban]", ", fields_deny: [iban, name]"),
    ("days: mon-fri", "days: tue-thu"),
    ("\"18:00\"", "\"19:00\""),
    ("max: 60", "max: 30"),
    ("max: 1000", "max: 2000"),
    (
        "{counts: denials, scope: task, per: 5m, max: 3, then: suspend}",
        "{counts: calls, scope: task, max: 9}",
    ),
    ("[reader]", "[reader, writer]"),
    ("max_depth: 3", "max_depth: 2"),
    ("require_user: true", "require_user: false"),
    (", groups: [office]", ", groups: [office, field]"),
    ("  reads_untrusted: [read]\n", ""),
    ("  egress: [pay]\n", "  egress: [pay, refund]\n"),
    ("destinations: [task]", "destinations: [task, directory]"),
    ("[task]\n  approval: payments\n", "[task]\n"),
    ("  toxic: [[read, refund]]\n", ""),
    ("edges: {read: [pay, refund]}", "edges: {read: [pay]}"),
    ("at_most: {pay: 2}", "at_most: {pay: 1}"),
    ("max_steps: 20", "max_steps: 10"),
    ("off_graph: approve\n  approval: payments", "off_graph: deny"),
    ("off_graph: approve\n  approval: payments", "off_graph: alert"),
    ("== \"trigger\" }", "== \"trigger\" || context.tainted }"),
    ("== \"trigger\" }", "== \"trigger\" && context.child }"),
    ("mode: enforce", "mode: shadow"),
    ("2027-12-31", "2027-11-30"),
    ("review_every: 90d", "review_every: 30d"),
];

fn changed(picks: &[usize]) -> Option<Compiled> {
    let mut text = FULL.to_owned();
    for pick in picks {
        let (from, to) = CHANGES[*pick];
        text = text.replacen(from, to, 1);
    }
    Compiled::new(Contract::parse("c.yaml", text.as_bytes()).ok()?).ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_allows_more_is_called_a_narrowing(
        before in proptest::collection::vec(0..CHANGES.len(), 0..4),
        after in proptest::collection::vec(0..CHANGES.len(), 0..4),
        throws in proptest::collection::vec((any::<prop::sample::Index>(), proptest::collection::vec(any::<(prop::sample::Index, prop::sample::Index)>(), 0..4)), 40),
    ) {
        let (Some(old), Some(new)) = (changed(&before), changed(&after)) else { return Ok(()) };
        // Each alone has to be right: the structure, and both joined.
        let lines = structure(&old, &new);
        let joined = diff(&old, &new, 60);
        prop_assert_eq!(joined.is_empty(), old.hash() == new.hash());
        if direction(&lines) == Direction::Widening {
            prop_assert_eq!(joined.direction(), Direction::Widening);
            return Ok(());
        }
        prop_assert_eq!(joined.trial().newly_allowed() + joined.trial().lower_labels(), 0, "{:#?}", joined);
        let pair = Pair { old: old.contract().terms(), new: new.contract().terms(), outsider: "nobody".parse().unwrap() };
        let starts: Vec<_> = pair.new.grants.iter().chain(&pair.old.grants)
            .flat_map(|grant| grant.actions.iter().map(move |action| (grant, action))).collect();
        for (start, choices) in throws {
            let (grant, action) = start.get(&starts);
            let mut scene = pair.base(grant, action, grant.services.first().unwrap());
            let dimensions = pair.dimensions(action);
            for (dimension, value) in choices {
                let dimension: &Vec<_> = dimension.get(&dimensions);
                (value.get(dimension).apply)(&mut scene);
            }
            let was = scene.with(pair.old, |facts| decide(&old, facts, scene.now));
            let is = scene.with(pair.new, |facts| decide(&new, facts, scene.now));
            prop_assert!(was.is_allowed() || !is.is_allowed(), "{:#?}\n{:#?}", lines, scene);
        }
    }
}

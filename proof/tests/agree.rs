//! The solver, the trial and the comparison by key agree: what is proved to allow nothing new is found to allow nothing
//! new, and what is found to allow something new has a counterexample, which Cedar itself decides so (`prove` replays it).
//!
//! `TABARD_PROOF_PAIRS` says how many pairs of contracts are tried; each costs the solver seconds.

use policy::{Compiled, Contract, Direction, diff};
use tabard_proof::{Proof, prove};

const CONTRACT: &str = include_str!("../../core/policy/testdata/clerk.yaml");
const BILLING: &str = include_str!("../../core/policy/testdata/billing.yaml");

/// Changes of `CONTRACT` that Cedar alone says, in any number together.
const CHANGES: &[(&str, &str)] = &[
    ("min_assurance: 2", "min_assurance: 1"),
    ("min_assurance: 2", "min_assurance: 3"),
    ("allowed: [acme-eu]", "allowed: [acme-eu, globex]"),
    ("openers: [user, trigger]", "openers: [user]"),
    ("reading: {actions: [read]}", "reading: {actions: [read, send]}"),
    ("    approval: payments\n", ""),
    ("fields_deny: [iban]", "fields_deny: [iban, name]"),
    ("max: 60", "max: 30"),
    ("per: 1d, max: 100", "per: 1d, max: 200"),
    (
        "may_delegate_to: [erp-reader]",
        "may_delegate_to: [erp-reader, other]",
    ),
    ("require_user: true, ", ""),
    ("groups: [office]", "groups: [office, field]"),
    ("  toxic: [[send, export]]\n", ""),
    ("== \"trigger\" }", "== \"trigger\" || context.tainted }"),
    ("== \"trigger\" }", "== \"trigger\" && context.child }"),
    ("2027-12-31", "2027-11-30"),
];

/// Changes that allow nothing more.
const NARROWER: &[(&str, &str)] = &[
    ("openers: [user, trigger]", "openers: [user]"),
    ("fields_deny: [iban]", "fields_deny: [iban, name]"),
    ("max: 60", "max: 30"),
    ("per: 1d, max: 100", "per: 1d, max: 50"),
    ("== \"trigger\" }", "== \"trigger\" || context.tainted }"),
    ("2027-12-31", "2027-11-30"),
];

fn compiled(text: &str) -> Compiled {
    Compiled::new(Contract::parse("c.yaml", text.as_bytes()).unwrap()).unwrap()
}

/// Pairs, unless somebody says how many.
const PAIRS: u32 = 10;

#[tokio::test]
async fn the_solver_agrees_with_the_comparison() {
    if std::env::var_os("CVC5").is_none() {
        assert!(std::env::var_os("CI").is_none(), "CVC5 is not set");
        eprintln!("skipped: CVC5 is not set");
        return;
    }
    let pairs = std::env::var("TABARD_PROOF_PAIRS").map_or(PAIRS, |pairs| pairs.parse().unwrap());
    let (mut proved, mut found, mut careful) = (0_u32, 0_u32, 0_usize);
    // A fixed walk through subsets: every other pair only narrows, the rest differ in a few places either way.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut some = |text: &str, changes: &[(&str, &str)], of: u64| {
        changes.iter().fold(text.to_owned(), |text, (from, to)| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            if (state >> 33) % of == 0 {
                text.replacen(from, to, 1)
            } else {
                text
            }
        })
    };
    for pair in 0..pairs {
        let before = some(CONTRACT, CHANGES, 8);
        let after = if pair % 2 == 0 {
            some(&before, NARROWER, 2)
        } else {
            some(CONTRACT, CHANGES, 8)
        };
        let (old, new) = (compiled(&before), compiled(&after));
        let compared = diff(&old, &new, 20_000);
        match prove(&old, &new).await.unwrap() {
            Proof::NothingNew => {
                assert_eq!(compared.trial().newly_allowed(), 0, "{compared:#?}");
                proved += 1;
                careful += usize::from(compared.direction() == Direction::Widening);
            }
            Proof::Counterexample { action, request } => {
                assert_eq!(
                    compared.direction(),
                    Direction::Widening,
                    "{action}\n{request}\n{compared:#?}"
                );
                found += 1;
            }
            Proof::NotInCedar(why) => panic!("{why}"),
        }
    }
    eprintln!("{proved} proved, {found} with a counterexample; {careful} proved and still called a widening");
    // Both answers came: a solver that always says the same is noticed.
    assert!(
        proved * 4 >= pairs && found * 5 >= pairs,
        "{proved} {found} of {pairs}"
    );
}

#[tokio::test]
async fn what_is_not_in_cedar_is_not_proved() {
    let (old, new) = (
        compiled(BILLING),
        compiled(&BILLING.replace("mode: enforce", "mode: shadow")),
    );
    assert!(matches!(prove(&old, &new).await.unwrap(), Proof::NotInCedar(_)));
}

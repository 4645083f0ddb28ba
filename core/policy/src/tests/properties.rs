//! What holds for every contract and every fact.

use super::*;
use crate::decide::decide_among;
use crate::limit::Limit;
use crate::{Verdict, decide};
use proptest::prelude::*;
use std::fmt::Write as _;

const TENANTS: [&str; 3] = ["acme-eu", "acme-us", "globex"];
const ACTIONS: [&str; 3] = ["invoices.read", "invoices.list", "refund.create"];
const SERVICES: [&str; 2] = ["invoices", "payments"];

/// A contract as numbers, so that a narrower one can be made by lowering them.
#[derive(Clone, Debug)]
struct Shape {
    level: u8,
    evidence_mins: u64,
    tenants: usize,
    actions: usize,
    services: usize,
    amount_max: i64,
    statuses: usize,
    children: bool,
    ttl_mins: u64,
    rate: u32,
    hours: u16,
    openers: usize,
}

fn shapes() -> impl Strategy<Value = Shape> {
    let first = (0u8..=5, 1u64..100, 1usize..=3, 1usize..=3, 1usize..=2, 0i64..50);
    let second = (
        1usize..=3,
        any::<bool>(),
        1u64..40,
        1u32..20,
        1u16..=24,
        1usize..=4,
    );
    (first, second).prop_map(|(a, b)| Shape {
        level: a.0,
        evidence_mins: a.1,
        tenants: a.2,
        actions: a.3,
        services: a.4,
        amount_max: a.5,
        statuses: b.0,
        children: b.1,
        ttl_mins: b.2,
        rate: b.3,
        hours: b.4,
        openers: b.5,
    })
}

impl Shape {
    fn narrowed(&self, by: &Self) -> Self {
        Self {
            level: self.level.max(by.level),
            evidence_mins: self.evidence_mins.min(by.evidence_mins),
            tenants: self.tenants.min(by.tenants),
            actions: self.actions.min(by.actions),
            services: self.services.min(by.services),
            amount_max: self.amount_max.min(by.amount_max),
            statuses: self.statuses.min(by.statuses),
            children: self.children && by.children,
            ttl_mins: self.ttl_mins.min(by.ttl_mins),
            rate: self.rate.min(by.rate),
            hours: self.hours.min(by.hours),
            openers: self.openers.min(by.openers),
        }
    }

    fn compiled(&self) -> Compiled {
        let list = |items: &[&str], count: usize| items[..count].join(", ");
        let actions = list(&ACTIONS, self.actions);
        let mut words = String::new();
        for action in &ACTIONS[..self.actions] {
            writeln!(words, "      {action}: Do {action}").unwrap();
        }
        compiled(&format!(
            "apiVersion: tabard/v1\nkind: AgentContract\nmetadata: {{name: x, version: 1}}\nowner: {{team: t}}\n\
             purpose: {{id: reconciliation, statement: Some purpose}}\n\
             identity: {{min_assurance: {}, max_evidence_age: {}m}}\n\
             tenants: {{mode: task, allowed: [{}]}}\n\
             tasks: {{types: [reconciliation], max_ttl: {}m, openers: [{}]}}\n\
             windows: [{{days: mon-sun, from: \"00:00\", to: \"{:02}:00\"}}]\n\
             rate: [{{per: 60s, max: {}}}]\n\
             lifecycle: {{expires: 2027-12-31}}\n\
             grants:\n  - id: plain\n    services: [{}]\n    actions: [{actions}]\n    reason: Some reason\n\
             \x20   children: {}\n    business_action:\n{words}\
             \x20   where:\n      amount: {{min: 0, max: {}}}\n      status: [{}]\n",
            self.level,
            self.evidence_mins,
            list(&TENANTS, self.tenants),
            self.ttl_mins,
            list(&["user", "operator", "trigger", "self"], self.openers),
            self.hours,
            self.rate,
            list(&SERVICES, self.services),
            if self.children { "allow" } else { "deny" },
            self.amount_max,
            list(&["open", "paid", "void"], self.statuses),
        ))
    }
}

/// Facts as numbers. Values lie around the limits of [`Shape`], so that both verdicts are common.
#[derive(Clone, Debug)]
struct Case {
    assurance: u8,
    evidence_mins: u64,
    tenant: usize,
    data_tenant: Option<usize>,
    action: usize,
    service: usize,
    amount: Option<i64>,
    status: usize,
    child: bool,
    age_mins: u64,
    count: i64,
    exchange: bool,
    opener: usize,
    depth: u8,
    hour: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    let same = prop_oneof![4 => Just(true), 1 => Just(false)];
    let first = (
        0u8..=2,
        0u64..60,
        0usize..3,
        same,
        0usize..3,
        0usize..2,
        proptest::option::weighted(0.9, -2i64..40),
    );
    let second = (
        0usize..4,
        any::<bool>(),
        0u64..30,
        -1i64..15,
        any::<bool>(),
        0usize..4,
        1u8..=5,
        0u64..20,
    );
    (first, second).prop_map(|(a, b)| Case {
        assurance: a.0,
        evidence_mins: a.1,
        tenant: a.2,
        data_tenant: if a.3 { Some(a.2) } else { (a.2 > 0).then_some(0) },
        action: a.4,
        service: a.5,
        amount: a.6,
        status: b.0,
        child: b.1,
        age_mins: b.2,
        count: b.3,
        exchange: b.4,
        opener: b.5,
        depth: b.6,
        hour: b.7,
    })
}

impl Case {
    fn now(&self) -> UnixTime {
        NOW.minus_secs(10 * 3600).plus_secs(self.hour * 3600)
    }

    fn with<T>(&self, drop: Option<usize>, use_it: impl FnOnce(&Facts<'_>) -> T) -> T {
        let words = Words {
            action: name(ACTIONS[self.action]),
            audience: SERVICES[self.service].parse().unwrap(),
            tenant: name(TENANTS[self.tenant]),
            ..Words::billing()
        };
        let scope = [words.action.clone()];
        let data_tenant = self.data_tenant.map(|place| name(TENANTS[place]));
        let mut arguments: Vec<(&str, ArgValue<'_>)> = vec![(
            "status",
            ArgValue::Str(["open", "paid", "void", "odd"][self.status]),
        )];
        arguments.extend(self.amount.map(|amount| ("amount", ArgValue::Int(amount))));
        if let Some(place) = drop {
            let place = place % arguments.len();
            arguments.remove(place);
        }
        let counters = [(MINUTE, self.count)];
        let now = self.now();
        let mut facts = words.call(&arguments);
        facts.assurance = [Assurance::default(), UID, ISOLATED][usize::from(self.assurance)];
        facts.evidence_age_secs = self.evidence_mins * 60;
        facts.resource.tenant = data_tenant.as_ref();
        facts.counters = &counters;
        facts.task_scope = Some(&scope);
        facts.task.opened_at = now.minus_secs(self.age_mins * 60);
        facts.task.expires_at = now.plus_secs(60);
        facts.task.opener = Opener::ALL[self.opener];
        facts.link = Link {
            position: self.depth,
            depth: self.depth,
        };
        facts.caller = if self.child { Caller::Child } else { Caller::Agent };
        if self.exchange {
            facts.stage = Stage::Exchange;
        }
        use_it(&facts)
    }

    fn verdict(&self, contract: &Compiled) -> Verdict {
        self.with(None, |facts| decide(contract, facts, self.now()))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_narrower_contract_never_permits_more(wide in shapes(), by in shapes(), cases in proptest::collection::vec(cases(), 24)) {
        let narrow = wide.narrowed(&by).compiled();
        let wide = wide.compiled();
        for case in cases {
            if case.verdict(&narrow).is_allowed() {
                prop_assert!(case.verdict(&wide).is_allowed(), "{case:?}");
            }
        }
    }

    #[test]
    fn dropping_an_argument_never_permits_more(shape in shapes(), cases in proptest::collection::vec(cases(), 24), place: usize) {
        let contract = shape.compiled();
        for case in cases {
            let dropped = case.with(Some(place), |facts| decide(&contract, facts, case.now()));
            if dropped.is_allowed() {
                prop_assert!(case.verdict(&contract).is_allowed(), "{case:?}");
            }
        }
    }

    #[test]
    fn one_more_link_never_permits_more(shapes in proptest::collection::vec(shapes(), 3), cases in proptest::collection::vec(cases(), 8)) {
        let contracts: Vec<Compiled> = shapes.iter().map(Shape::compiled).collect();
        for case in cases {
            case.with(None, |facts| {
                let link = |place: usize| crate::ChainLink { compiled: &contracts[place], exceptions: &[], facts };
                let decided = |before: &[crate::ChainLink<'_>]| {
                    let mut known = crate::Evaluations::default();
                    crate::decide_chain(before, link(2), case.now(), &mut known).verdict
                };
                let (none, one, two) = (decided(&[]), decided(&[link(1)]), decided(&[link(0), link(1)]));
                prop_assert!(!two.is_allowed() || one.is_allowed(), "{:?}", case);
                prop_assert!(!one.is_allowed() || none.is_allowed(), "{:?}", case);
                // Nor does it lose a reason that stood before.
                let reasons = |verdict: &Verdict| verdict.reasons().iter().map(|it| it.reason).collect::<std::collections::BTreeSet<_>>();
                prop_assert!(reasons(&none).is_subset(&reasons(&two)), "{:?}", case);
                Ok(())
            })?;
        }
    }

    #[test]
    fn what_was_recorded_is_decided_again_alike_by_any_contract(shape in shapes(), candidate in shapes(), cases in proptest::collection::vec(cases(), 24)) {
        let (then, candidate) = (shape.compiled(), candidate.compiled());
        for case in cases {
            case.with(None, |facts| {
                let rows = facts.rows(case.now());
                let rows = rows.iter().map(|row| (&*row.name, &row.value));
                let recorded = crate::Recorded::read(rows).unwrap();
                for contract in [&then, &candidate] {
                    let again = recorded.with(|facts| decide(contract, facts, recorded.now()));
                    assert_eq!(again, decide(contract, facts, case.now()), "{case:?}");
                }
            });
        }
    }

    /// What an exchange keeps of one action's evaluation is not taken for another's that a policy tells apart.
    #[test]
    fn evaluated_among_others_is_evaluated_alone(shape in shapes(), other in shapes(), cases in proptest::collection::vec(cases(), 24)) {
        let contracts = [shape.compiled(), other.compiled()];
        let mut known = crate::Evaluations::default();
        for case in cases {
            for (action, contract) in (0..ACTIONS.len()).flat_map(|action| contracts.iter().map(move |it| (action, it))) {
                let case = Case { action, ..case.clone() };
                let among = case.with(None, |facts| decide_among(contract, facts, case.now(), &mut known));
                prop_assert_eq!(among, case.verdict(contract), "{:?}", case);
            }
        }
    }

    #[test]
    fn the_same_facts_give_the_same_verdict(shape in shapes(), case in cases()) {
        let contract = shape.compiled();
        prop_assert_eq!(case.verdict(&contract), case.verdict(&shape.compiled()));
    }

    /// Cedar and the plain comparisons agree on every grant and on every single limit.
    #[test]
    fn the_policies_say_what_the_contract_says(shape in shapes(), cases in proptest::collection::vec(cases(), 24)) {
        let contract = shape.compiled();
        for case in cases {
            case.with(None, |facts| {
                let now = case.now();
                let verdict = decide(&contract, facts, now);
                let all = contract.evaluate_all(&contract.request_for(facts, now).unwrap());
                prop_assert_eq!(verdict.is_allowed(), all.decision() == cedar_policy::Decision::Allow);
                let exceeded: Vec<&Limit> = contract
                    .limits()
                    .iter()
                    .map(|limit| &limit.limit)
                    .filter(|limit| !limit.holds(facts, contract.contract().terms(), now))
                    .collect();
                let granted = contract.grants().iter().any(|grant| grant.atoms.iter().all(|atom| atom.holds(facts)));
                prop_assert_eq!(verdict.is_allowed(), granted && exceeded.is_empty());
                let mut expected: Vec<String> = exceeded.iter().map(|limit| format!("limit:{}", limit.path())).collect();
                expected.sort();
                if let Some(denial) = verdict.denial() {
                    prop_assert_eq!(&denial.policies, &expected);
                    prop_assert_eq!(denial.nearest.is_some(), !granted);
                }
                Ok(())
            })?;
        }
    }
}

//! Budgets, chain, labels and workflow: one test a rule, and what holds for all of them.

use super::*;
use crate::contract::{RateScope, Sensitivity};
use crate::{
    ChainLink, Counted, DataLabels, Outside, Readers, Recorded, Sink, Verdict, decide, decide_chain,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

const CLERK: &str = include_str!("../../testdata/clerk.yaml");

fn codes(verdict: &Verdict) -> Vec<&'static str> {
    verdict
        .reasons()
        .iter()
        .map(|detail| detail.reason.code())
        .collect()
}

fn names(names: &[&str]) -> BTreeSet<Name> {
    names.iter().map(|text| name(text)).collect()
}

fn counter(text: &str) -> CounterId {
    text.parse().unwrap()
}

/// Nothing counted yet, for every counter of the contract.
fn zeroes(contract: &Compiled) -> Vec<(CounterId, i64)> {
    contract
        .counters()
        .iter()
        .map(|counter| (counter.id.clone(), 0))
        .collect()
}

fn words(action: &str) -> Words {
    Words {
        action: name(action),
        audience: "office".parse().unwrap(),
        task_type: name("ad-hoc"),
        purpose: name("clerk"),
        scope: vec![name(action)],
        ..Words::billing()
    }
}

/// The verdict on a call of the clerk, after `change`.
fn judged(
    action: &str,
    arguments: &[(&str, ArgValue<'_>)],
    change: impl for<'a> FnOnce(&mut Facts<'a>, &'a Held),
) -> Verdict {
    let contract = compiled(CLERK);
    let words = words(action);
    let counters = zeroes(&contract);
    let held = Held::new();
    let mut facts = words.call(arguments);
    facts.counters = &counters;
    change(&mut facts, &held);
    let verdict = decide(&contract, &facts, NOW);
    // Whatever is decided can be decided again from the rows that an entry keeps.
    let rows = facts.rows(NOW);
    let rows = rows.iter().map(|row| (&*row.name, &row.value));
    let recorded = Recorded::read(rows).unwrap();
    assert_eq!(
        recorded.with(|facts| decide(&contract, facts, recorded.now())),
        verdict
    );
    verdict
}

/// Labels and service definitions that live as long as the facts.
struct Held {
    tainted: Labels,
    secret: Labels,
    tainted_secret: Labels,
    for_ann: Labels,
    other_tenant: Labels,
    mail: Sink,
    web: Sink,
    payment: Sink,
    data: DataLabels,
    done: Vec<(Name, i64)>,
    finance: Name,
    reading: Name,
    approvals: Vec<Name>,
    groups: Vec<Name>,
    erp: Name,
}

impl Held {
    fn new() -> Self {
        let tainted = Labels {
            taint: names(&["mail.read"]),
            sensitivity: Sensitivity::Internal,
            ..Labels::NONE
        };
        let secret = Labels {
            sensitivity: Sensitivity::Secret,
            ..Labels::NONE
        };
        let mut tainted_secret = tainted.clone();
        tainted_secret.join(&secret);
        let sink = |egress, consequential, readers| Sink {
            clearance: Sensitivity::Internal,
            readers,
            egress,
            consequential,
            destinations: vec![name("to")],
        };
        Self {
            tainted,
            secret,
            tainted_secret,
            for_ann: Labels {
                readers: Readers::Only(["ann".to_owned()].into()),
                ..Labels::NONE
            },
            other_tenant: Labels {
                tenants: names(&["globex"]),
                ..Labels::NONE
            },
            mail: sink(true, true, Readers::Only(["ann".to_owned()].into())),
            web: sink(true, false, Readers::Everyone),
            payment: Sink {
                clearance: Sensitivity::Secret,
                ..sink(false, true, Readers::Only(BTreeSet::new()))
            },
            data: DataLabels {
                sensitivity: Sensitivity::Secret,
                domains: names(&["hr"]),
                readers: Readers::Everyone,
                untrusted: false,
                fields: names(&["iban"]),
            },
            done: vec![(name("pay"), 1)],
            finance: name("finance"),
            reading: name("reading"),
            approvals: vec![name("payments")],
            groups: vec![name("office")],
            erp: name("erp-reader"),
        }
    }
}

const PAY: [(&str, ArgValue<'_>); 2] = [("amount", ArgValue::Int(40)), ("to", ArgValue::Str("DE12"))];

#[test]
fn a_payment_waits_for_a_human_and_passes_with_one() {
    let verdict = judged("pay", &PAY, |facts, held| {
        facts.workflow.last = Some(&held.finance);
    });
    assert_eq!(codes(&verdict), ["NEEDS_APPROVAL"]);
    let verdict = judged("pay", &PAY, |facts, held| {
        facts.workflow.last = Some(&held.finance);
        facts.approvals = &held.approvals;
    });
    assert!(verdict.is_allowed(), "{verdict:?}");
    // An approval of something else is none.
    let verdict = judged("pay", &PAY, |facts, held| {
        facts.workflow.last = Some(&held.finance);
        facts.approvals = &held.groups;
    });
    assert_eq!(codes(&verdict), ["NEEDS_APPROVAL"]);
}

/// What a human may let pass is named before what nobody may: a request above the limit of one grant and within that
/// of another which asks for approval is one to ask about.
#[test]
fn the_grant_that_an_approval_opens_is_nearer_than_one_that_nothing_opens() {
    let text = "apiVersion: tabard/v1\nkind: AgentContract\nmetadata: {name: x, version: 1}\nowner: {team: t}\n\
                purpose: {id: clerk, statement: Some purpose}\nidentity: {min_assurance: 1, max_evidence_age: 10m}\n\
                tenants: {mode: task, allowed: [acme-eu]}\ntasks: {types: [ad-hoc], max_ttl: 30m, openers: [operator, user]}\n\
                lifecycle: {expires: 2027-12-31}\nescalation:\n  leads: {approvers: leads}\n\
                grants:\n  - {id: a-small, services: [office], actions: [pay], reason: Small ones are paid at once., \
                business_action: {pay: Pay}, where: {amount: {max: 10}}}\n  - {id: b-large, services: [office], \
                actions: [pay], reason: Large ones are asked about., business_action: {pay: Pay}, \
                where: {amount: {max: 50}}, approval: leads}\n";
    let contract = compiled(text);
    let asked = |amount, approvals: &[Name]| {
        let arguments = [("amount", ArgValue::Int(amount))];
        let words = words("pay");
        let mut facts = words.call(&arguments);
        facts.approvals = approvals;
        codes(&decide(&contract, &facts, NOW))
    };
    let leads = [name("leads")];
    assert!(asked(10, &[]).is_empty());
    assert_eq!(asked(40, &[]), ["NEEDS_APPROVAL"]);
    assert!(asked(40, &leads).is_empty());
    assert_eq!(asked(60, &leads), ["ARGUMENT_OUT_OF_RANGE"]);
}

proptest! {
    /// Whatever is refused for a reason that no human may lift stays refused whatever was approved.
    #[test]
    fn an_approval_never_lifts_another_reason(
        action in prop_oneof![Just("pay"), Just("read"), Just("send"), Just("export"), Just("odd")],
        amount in -10_i64..200,
        to in prop_oneof![Just("DE12"), Just("evil")],
        labels in 0_usize..4,
        sink in 0_usize..4,
        trusted: bool,
        child: bool,
        stale: bool,
        tenant: bool,
        last in 0_usize..3,
        count in 0_i64..3,
        done: bool,
    ) {
        let contract = compiled(CLERK);
        let held = Held::new();
        let unseen = Labels::NONE;
        let words = words(action);
        let arguments = [("amount", ArgValue::Int(amount)), ("to", ArgValue::Str(to))];
        let counters: Vec<(CounterId, i64)> = zeroes(&contract)
            .into_iter()
            .map(|(id, _)| (id, count * 60))
            .collect();
        let all: Vec<Name> = contract.contract().terms().escalation.keys().cloned().collect();
        let mut facts = words.call(&arguments);
        facts.counters = &counters;
        facts.flow.labels = Some([&unseen, &held.tainted, &held.tainted_secret, &held.for_ann][labels]);
        facts.flow.sink = [None, Some(&held.mail), Some(&held.web), Some(&held.payment)][sink];
        facts.flow.trusted = trusted;
        facts.caller = if child { Caller::Child } else { Caller::Agent };
        if stale {
            facts.evidence_age_secs = u64::MAX;
        }
        if tenant {
            facts.resource.tenant = None;
        }
        facts.workflow.last = [None, Some(&held.finance), Some(&held.reading)][last];
        if done {
            facts.workflow.done = &held.done;
        }
        let before = decide(&contract, &facts, NOW);
        facts.approvals = &all;
        let after = decide(&contract, &facts, NOW);
        prop_assert!(!before.is_allowed() || after.is_allowed());
        if after.is_allowed() {
            for detail in before.reasons() {
                prop_assert!(detail.reason.is_approvable(), "{:?} was lifted", detail.reason);
            }
        }
    }
}

/// An approved payment after reading, with one change.
fn payment(
    arguments: &[(&str, ArgValue<'_>)],
    change: impl for<'a> FnOnce(&mut Facts<'a>, &'a Held),
) -> Verdict {
    judged("pay", arguments, |facts, held| {
        facts.workflow.last = Some(&held.finance);
        facts.approvals = &held.approvals;
        change(facts, held);
    })
}

#[test]
fn a_budget_counts_what_a_call_takes_and_never_takes_less_than_nothing() {
    let budget = counter("value:amount/task/86400s");
    assert_eq!(budget.counted, Counted::Value("amount".parse().unwrap()));
    let with = |used: i64, amount: Option<ArgValue<'static>>| {
        let mut arguments = vec![("to", ArgValue::Str("DE12"))];
        arguments.extend(amount.map(|amount| ("amount", amount)));
        let contract = compiled(CLERK);
        let mut counters = zeroes(&contract);
        for (id, count) in &mut counters {
            if *id == budget {
                *count = used;
            }
        }
        let words = words("pay");
        let held = Held::new();
        let mut facts = words.call(&arguments);
        facts.counters = &counters;
        facts.workflow.last = Some(&held.finance);
        facts.approvals = &held.approvals;
        codes(&decide(&contract, &facts, NOW))
    };
    assert!(with(0, Some(ArgValue::Int(100))).is_empty());
    assert!(with(60, Some(ArgValue::Int(40))).is_empty());
    assert_eq!(with(61, Some(ArgValue::Int(40))), ["BUDGET_EXHAUSTED"]);
    assert_eq!(with(0, Some(ArgValue::Int(-1))), ["BUDGET_EXHAUSTED"]);
    assert_eq!(with(0, Some(ArgValue::Int(i64::MAX))), ["BUDGET_EXHAUSTED"]);
    assert_eq!(with(0, None), ["BUDGET_EXHAUSTED"]);
    assert_eq!(with(0, Some(ArgValue::Str("40"))), ["BUDGET_EXHAUSTED"]);
    assert_eq!(with(-50, Some(ArgValue::Int(40))), ["STATE_UNAVAILABLE"]);
    assert_eq!(with(i64::MAX, Some(ArgValue::Int(40))), ["BUDGET_EXHAUSTED"]);
}

#[test]
fn what_was_counted_ends_what_the_contract_says() {
    let with = |action: &str, stage_is_exchange: bool, text: &str, count: i64| {
        let contract = compiled(CLERK);
        let mut counters = zeroes(&contract);
        let id = counter(text);
        let slot = counters.iter_mut().find(|(known, _)| *known == id).unwrap();
        slot.1 = count;
        let words = words(action);
        let mut facts = words.call(&[]);
        facts.counters = &counters;
        if stage_is_exchange {
            facts.stage = Stage::Exchange;
        }
        codes(&decide(&contract, &facts, NOW))
    };
    assert!(with("read", false, "denials/task/300s", 2).is_empty());
    assert_eq!(with("read", false, "denials/task/300s", 3), ["BUDGET_EXHAUSTED"]);
    assert_eq!(with("read", false, "domains/task", 3), ["BUDGET_EXHAUSTED"]);
    assert!(with("read", true, "audiences/task", 2).is_empty());
    assert_eq!(with("read", true, "audiences/task", 3), ["BUDGET_EXHAUSTED"]);
    // Counted where a credential is asked for; a call with one that was given counts no audience.
    assert!(with("read", false, "audiences/task", 3).is_empty());
}

#[test]
fn steps_follow_the_declared_graph() {
    let verdict = payment(&PAY, |facts, _| facts.workflow.last = None);
    assert_eq!(codes(&verdict), ["OFF_WORKFLOW"]);
    let verdict = payment(&PAY, |facts, held| facts.workflow.done = &held.done);
    assert_eq!(codes(&verdict), ["OFF_WORKFLOW"]);
    let verdict = payment(&PAY, |facts, _| facts.workflow.steps = Some(20));
    assert_eq!(codes(&verdict), ["STEP_LIMIT"]);
    let verdict = payment(&PAY, |facts, _| facts.workflow.steps = None);
    assert_eq!(codes(&verdict), ["STATE_UNAVAILABLE"]);
}

#[test]
fn what_was_read_decides_where_something_may_go() {
    let send = |change: &dyn for<'a> Fn(&mut Facts<'a>, &'a Held)| {
        let verdict = judged(
            "send",
            &[("to", ArgValue::Str("ann@acme.example"))],
            |facts, held| {
                facts.workflow.last = Some(&held.finance);
                facts.flow.sink = Some(&held.mail);
                change(facts, held);
            },
        );
        codes(&verdict)
    };
    assert!(send(&|_, _| {}).is_empty());
    assert_eq!(
        send(&|facts, held| facts.flow.labels = Some(&held.tainted)),
        ["TAINTED_SINK"]
    );
    assert!(
        send(&|facts, held| {
            facts.flow.labels = Some(&held.tainted);
            facts.flow.trusted = true;
        })
        .is_empty()
    );
    assert_eq!(
        send(&|facts, held| facts.flow.labels = Some(&held.secret)),
        ["DATA_FLOW_WRITE_DOWN"]
    );
    assert!(send(&|facts, held| facts.flow.labels = Some(&held.for_ann)).is_empty());
    assert_eq!(
        send(&|facts, held| {
            facts.flow.labels = Some(&held.for_ann);
            facts.flow.sink = Some(&held.web);
        }),
        ["READER_NOT_ALLOWED"]
    );
    assert_eq!(
        send(&|facts, held| facts.flow.labels = Some(&held.other_tenant)),
        ["TENANT_MIX"]
    );
    assert_eq!(
        send(&|facts, _| facts.flow.labels = None),
        [
            "DATA_FLOW_WRITE_DOWN",
            "TAINTED_SINK",
            "TOXIC_COMBINATION",
            "STATE_UNAVAILABLE"
        ]
    );
    // The way out stays shut whatever the destination: only a human opens it.
    assert_eq!(
        send(&|facts, held| {
            facts.flow.labels = Some(&held.tainted_secret);
            facts.flow.trusted = true;
        }),
        ["DATA_FLOW_WRITE_DOWN", "TOXIC_COMBINATION"]
    );
    let verdict = payment(&PAY, |facts, held| {
        facts.flow.labels = Some(&held.tainted_secret);
        facts.flow.sink = Some(&held.payment);
    });
    assert!(verdict.is_allowed(), "an approval lets it pass: {verdict:?}");
}

#[test]
fn two_actions_that_exclude_each_other_are_not_done_in_one_task() {
    let done = [(name("send"), 1)];
    let contract = compiled(CLERK);
    let counters = zeroes(&contract);
    let words = words("export");
    let mut facts = words.call(&[]);
    facts.counters = &counters;
    assert!(decide(&contract, &facts, NOW).is_allowed());
    facts.workflow.done = &done;
    assert_eq!(codes(&decide(&contract, &facts, NOW)), ["TOXIC_COMBINATION"]);
}

#[test]
fn what_a_service_declares_has_to_be_within_the_grant() {
    let verdict = judged("read", &[], |facts, held| facts.flow.data = Some(&held.data));
    assert_eq!(
        codes(&verdict),
        [
            "DATA_DOMAIN",
            "SENSITIVITY_EXCEEDED",
            "FIELD_DENIED",
            "OFF_WORKFLOW"
        ]
    );
}

#[test]
fn a_task_uses_only_what_its_template_names() {
    let verdict = judged("export", &[], |facts, held| facts.task.kind = &held.reading);
    assert_eq!(codes(&verdict), ["OUTSIDE_TASK"]);
}

#[test]
fn a_user_has_to_be_there_be_in_the_group_and_may_do_it() {
    let verdict = judged("read", &[], |facts, _| facts.user = None);
    assert_eq!(codes(&verdict), ["MISSING_USER"]);
    let with = |groups: bool, entitled: bool| {
        let verdict = judged("read", &[], |facts, held| {
            facts.user = Some(UserFacts {
                id: "someone",
                groups: if groups { &held.groups } else { &[] },
                entitled,
                outside: None,
            });
        });
        codes(&verdict)
    };
    assert!(with(true, true).is_empty());
    assert_eq!(with(false, true), ["USER_NOT_ENTITLED"]);
    assert_eq!(with(true, false), ["USER_NOT_ENTITLED"]);
}

#[test]
fn a_decision_point_that_does_not_answer_is_another_reason_than_one_that_says_no() {
    let with = |entitled: bool, outside: Option<Outside>| {
        let verdict = judged("read", &[], |facts, held| {
            facts.user = Some(UserFacts {
                id: "someone",
                groups: &held.groups,
                entitled,
                outside,
            });
            // As an entry keeps it, and back.
            let rows = facts.rows(NOW);
            let rows = rows.iter().map(|row| (&*row.name, &row.value));
            let again = Recorded::read(rows).unwrap();
            again.with(|again| assert_eq!(again.user.unwrap().outside, outside));
        });
        codes(&verdict)
    };
    let said = |yes: bool| Some(Outside::Said { yes, age_secs: 7 });
    assert!(with(true, said(true)).is_empty());
    assert_eq!(with(false, said(false)), ["USER_NOT_ENTITLED"]);
    assert_eq!(with(false, Some(Outside::Silent)), ["RIGHTS_UNAVAILABLE"]);
    // It said yes, and the user themselves did not.
    assert_eq!(with(false, said(true)), ["USER_NOT_ENTITLED"]);
}

#[test]
fn a_chain_is_allowed_only_if_every_link_is() {
    let (clerk, billing) = (compiled(CLERK), compiled(BILLING));
    let (first, second) = (words("read"), Words::billing());
    let (one, other) = (zeroes(&clerk), zeroes(&billing));
    let held = Held::new();
    let mut before = first.call(&[]);
    before.counters = &one;
    before.link = Link {
        position: 1,
        depth: 2,
    };
    before.next = Some(&held.erp);
    before.user = Some(UserFacts {
        id: "someone",
        groups: &held.groups,
        entitled: true,
        outside: None,
    });
    let mut actor = second.call(&[]);
    actor.counters = &other;
    let chain = |before: &Facts<'_>, actor: &Facts<'_>| {
        // Each link can be decided again from the rows that an entry keeps of the whole chain.
        let mut rows = actor.rows(NOW);
        let more = crate::link_rows(&rows, before, NOW);
        rows.extend(more);
        let rows = rows.iter().map(|row| (&*row.name, &row.value));
        let link = Recorded::read_link(before.link.position, rows.clone()).unwrap();
        assert_eq!(
            link.with(|facts| decide(&clerk, facts, NOW)),
            decide(&clerk, before, NOW)
        );
        let own = Recorded::read(rows.clone()).unwrap();
        assert_eq!(
            own.with(|facts| decide(&billing, facts, NOW)),
            decide(&billing, actor, NOW)
        );
        assert!(Recorded::read_link(7, rows).is_err());
        decide_chain(
            &[ChainLink {
                compiled: &clerk,
                exceptions: &[],
                facts: before,
            }],
            ChainLink {
                compiled: &billing,
                exceptions: &[],
                facts: actor,
            },
            NOW,
            &mut crate::Evaluations::default(),
        )
    };
    let both = chain(&before, &actor);
    assert!(both.verdict.is_allowed(), "{both:?}");
    let Verdict::Allow(allowed) = &both.verdict else {
        unreachable!()
    };
    assert!(allowed.raises().domains.contains("finance"));
    // Not delegated to this one.
    let stranger = Facts {
        next: Some(&held.finance),
        ..before.clone()
    };
    let denied = chain(&stranger, &actor);
    assert_eq!(codes(&denied.verdict), ["CHAIN_LINK_DENIED"]);
    assert!(denied.links[1].verdict.is_allowed() && !denied.links[0].verdict.is_allowed());
    assert_eq!(codes(&denied.links[0].verdict), ["DELEGATION_NOT_ALLOWED"]);
    // Both refuse: the actor's own reasons come with the other's.
    let late = Facts {
        task_scope: Some(&[]),
        ..actor.clone()
    };
    assert_eq!(
        codes(&chain(&stranger, &late).verdict),
        ["TASK_SCOPE", "CHAIN_LINK_DENIED"]
    );
    let nobody = Facts {
        loops: true,
        ..before.clone()
    };
    assert_eq!(codes(&chain(&nobody, &actor).links[0].verdict), ["LOOP"]);
}

#[test]
fn a_rule_in_cedar_refuses_with_its_sentence() {
    let verdict = judged("read", &[], |facts, _| facts.task.opener = Opener::Trigger);
    assert_eq!(codes(&verdict), ["CUSTOM_RULE"]);
    assert!(
        verdict.reasons()[0].limit.contains("Work begins with a person"),
        "{verdict:?}"
    );
}

#[test]
fn what_a_counter_takes_is_told_before_the_decision() {
    let contract = compiled(CLERK);
    let value = contract
        .counters()
        .iter()
        .find(|known| known.id == counter("value:amount/task/86400s"))
        .unwrap();
    assert_eq!(value.taken(&name("pay"), &PAY), Some(40));
    assert_eq!(value.taken(&name("read"), &PAY), Some(0));
    assert_eq!(value.taken(&name("pay"), &[("amount", ArgValue::Int(-1))]), None);
    assert_eq!(value.taken(&name("pay"), &[]), None);
    let calls = contract
        .counters()
        .iter()
        .find(|known| known.id == MINUTE)
        .unwrap();
    assert_eq!(calls.taken(&name("pay"), &[]), Some(1));
    assert!(
        contract
            .counters()
            .iter()
            .any(|known| known.suspends && known.id.scope == RateScope::Task)
    );
}

//! One test per reason that a contract can give today.

use super::*;
use crate::{Basis, Reason, Remedy, Verdict, decide, explain};

fn codes(verdict: &Verdict) -> Vec<&'static str> {
    verdict
        .reasons()
        .iter()
        .map(|detail| detail.reason.code())
        .collect()
}

/// The allowed call of the billing agent with one change is refused for exactly that reason.
fn only(reason: Reason, change: impl for<'a> FnOnce(&mut Facts<'a>, &'a Words)) {
    let words = Words::billing();
    let mut facts = words.call(&[]);
    change(&mut facts, &words);
    let verdict = decide(&compiled(BILLING), &facts, NOW);
    assert!(!verdict.is_allowed());
    assert_eq!(codes(&verdict), [reason.code()]);
}

#[test]
fn a_call_within_the_contract_is_allowed_by_a_named_grant() {
    let (words, contract) = (Words::billing(), compiled(BILLING));
    let Verdict::Allow(allowed) = decide(&contract, &words.call(&[]), NOW) else {
        panic!("denied")
    };
    assert_eq!(allowed.contract(), contract.hash());
    assert_eq!(allowed.business_action(), Some("Look at one invoice"));
    let grant = allowed.grant().unwrap();
    assert_eq!(grant.id.as_str(), "read-invoice");
    assert!(
        BILLING
            .lines()
            .nth(grant.line as usize - 1)
            .unwrap()
            .contains("- id: read-invoice")
    );
    assert_eq!(allowed.policies(), ["grant:read-invoice"]);
    assert!(allowed.raises().domains.contains("finance"));
    assert!(allowed.raises().tenants.contains("acme-eu") && allowed.raises().taint.contains("invoices.read"));
    assert_eq!(allowed.would_deny(), None);
}

#[test]
fn an_exchange_is_allowed_when_some_call_could_be() {
    let words = Words {
        action: name("invoices.list"),
        ..Words::billing()
    };
    let exchange = Facts {
        stage: Stage::Exchange,
        resource: ResourceFacts::default(),
        task_scope: None,
        counters: &[],
        ..words.call(&[])
    };
    let verdict = decide(&compiled(BILLING), &exchange, NOW);
    assert!(verdict.is_allowed(), "{verdict:?}");
    // The same without an exchange: nothing is known, so nothing is allowed.
    let call = Facts {
        stage: Stage::Call { arguments: &[] },
        ..exchange
    };
    let expected = [
        "ARGUMENT_OUT_OF_RANGE",
        "TASK_SCOPE",
        "TENANT_BOUNDARY",
        "STATE_UNAVAILABLE",
    ];
    assert_eq!(codes(&decide(&compiled(BILLING), &call, NOW)), expected);
}

#[test]
fn attestation_required() {
    only(Reason::AttestationRequired, |facts, _| {
        facts.assurance = Assurance::default();
    });
}

#[test]
fn each_thing_that_has_to_be_proven_is_proven_by_itself() {
    let text = BILLING.replacen(
        "max_evidence_age: 12h",
        "max_evidence_age: 12h\n  attestation: [measured, confined]",
        1,
    );
    let contract = compiled(&text);
    let words = Words::billing();
    let judged = |launch: u8, code: u8| {
        let mut facts = words.call(&[]);
        facts.assurance = Assurance {
            node: 1,
            launch,
            code,
            signer: 1,
        };
        codes(&decide(&contract, &facts, NOW))
    };
    assert!(judged(3, 2).is_empty());
    assert!(judged(4, 3).is_empty(), "more is fine");
    // Isolated and not measured, measured and not confined: each is missed by itself.
    assert_eq!(judged(4, 1), ["ATTESTATION_REQUIRED"]);
    assert_eq!(judged(2, 3), ["ATTESTATION_REQUIRED"]);
    // A contract that does not ask is the same contract as before, with the same hash.
    assert_ne!(contract.hash(), compiled(BILLING).hash());
    for wrong in ["[signed]", "[]", "measured", "[measured, measured]"] {
        let text = text.replacen("[measured, confined]", wrong, 1);
        assert!(Contract::parse("c.yaml", text.as_bytes()).is_err(), "{wrong}");
    }
}

#[test]
fn attestation_stale() {
    only(Reason::AttestationStale, |facts, _| {
        facts.evidence_age_secs = 12 * 3600 + 1;
    });
    only(Reason::AttestationStale, |facts, _| {
        facts.evidence_age_secs = u64::MAX;
    });
}

#[test]
fn contract_expired() {
    let words = Words::billing();
    let day: crate::contract::Date = "2027-12-31".parse().unwrap();
    let at = |now: UnixTime| {
        let mut facts = words.call(&[]);
        facts.task.opened_at = now;
        facts.task.expires_at = now.plus_secs(60);
        facts.reviewed_at = now;
        codes(&decide(&compiled(BILLING), &facts, now))
    };
    assert_eq!(at(day.begins()), ["CONTRACT_EXPIRED"]);
    assert!(at(day.begins().minus_secs(1)).is_empty());
}

#[test]
fn review_overdue() {
    only(Reason::ReviewOverdue, |facts, _| {
        facts.reviewed_at = NOW.minus_secs(366 * 86_400);
    });
}

#[test]
fn outside_purpose() {
    only(Reason::OutsidePurpose, |facts, words| {
        facts.task.kind = &words.other;
    });
    only(Reason::OutsidePurpose, |facts, words| {
        facts.task.purpose = Some(&words.other);
    });
}

#[test]
fn an_agent_cannot_open_its_own_task_unless_the_contract_says_so() {
    only(Reason::OpenerNotAllowed, |facts, _| {
        facts.task.opener = Opener::Itself;
    });
}

#[test]
fn outside_time_window() {
    let words = Words::reporter();
    let arguments = [("month", ArgValue::Int(11)), ("currency", ArgValue::Str("EUR"))];
    let day_window = CounterId::calls(crate::contract::RateScope::Task, 86_400);
    let counters = [(MINUTE, 0), (day_window, 0)];
    let at = |now: UnixTime| {
        let mut facts = words.call(&arguments);
        facts.counters = &counters;
        facts.task.opened_at = now;
        facts.task.expires_at = now.plus_secs(60);
        codes(&decide(&compiled(REPORTER), &facts, now))
    };
    assert!(at(NOW).is_empty());
    // 20:00 at +01:00 is 19:00 UTC; the day after the Monday of NOW is a weekday, the Saturday is not.
    let seven_pm = NOW.plus_secs(9 * 3600);
    assert_eq!(at(seven_pm), ["OUTSIDE_TIME_WINDOW"]);
    assert!(at(seven_pm.minus_secs(1)).is_empty());
    assert!(at(NOW.plus_secs(86_400)).is_empty());
    assert_eq!(at(NOW.plus_secs(5 * 86_400)), ["OUTSIDE_TIME_WINDOW"]);
}

#[test]
fn task_expired() {
    only(Reason::TaskExpired, |facts, _| facts.task.expires_at = NOW);
    only(Reason::TaskExpired, |facts, _| {
        facts.task.opened_at = NOW.minus_secs(1801);
    });
}

#[test]
fn a_credential_for_one_action_does_not_cover_another() {
    only(Reason::TaskScope, |facts, words| {
        facts.task_scope = words.scope.get(1..);
    });
    only(Reason::TaskScope, |facts, _| facts.task_scope = None);
}

#[test]
fn a_task_of_one_tenant_cannot_touch_another() {
    only(Reason::TenantBoundary, |facts, words| {
        facts.resource.tenant = Some(&words.other_tenant);
    });
    only(Reason::TenantBoundary, |facts, words| {
        facts.task.tenant = Some(&words.other_tenant);
    });
    only(Reason::TenantBoundary, |facts, _| facts.task.tenant = None);
    only(Reason::TenantBoundary, |facts, _| facts.resource.tenant = None);
    only(Reason::TenantBoundary, |facts, words| {
        facts.task.tenant = Some(&words.other_tenant);
        facts.resource.tenant = Some(&words.other_tenant);
    });
}

#[test]
fn a_tenant_whose_name_looks_like_the_tasks_is_another_one() {
    // Nothing but the very bytes, and nothing that a name cannot be: no case, no blank, no letter of another script.
    for alike in [
        "acme-eu2",
        "acme-e",
        "acme.eu",
        "acme_eu",
        "acme-eu-1",
        "xacme-eu",
    ] {
        let alike: &'static Name = Box::leak(Box::new(alike.parse().unwrap()));
        only(Reason::TenantBoundary, |facts, _| {
            facts.resource.tenant = Some(alike);
        });
    }
    for none in [
        "ACME-EU",
        "acme-eu ",
        "acme\u{2010}eu",
        "\u{430}cme-eu",
        "acme-eu\0",
        "",
    ] {
        assert!(none.parse::<Name>().is_err(), "{none:?}");
    }
}

#[test]
fn a_fixed_list_of_tenants_holds_whichever_task_it_is() {
    let contract = compiled(&BILLING.replacen("mode: task", "mode: fixed", 1));
    let words = Words::billing();
    let facts = words.call(&[]);
    let mut other_task = facts.clone();
    other_task.task.tenant = Some(&words.other_tenant);
    assert!(decide(&contract, &other_task, NOW).is_allowed());
    let mut other_data = facts.clone();
    other_data.resource.tenant = Some(&words.other_tenant);
    assert_eq!(codes(&decide(&contract, &other_data, NOW)), ["TENANT_BOUNDARY"]);
    let mut unknown = facts;
    unknown.resource.tenant = None;
    assert_eq!(codes(&decide(&contract, &unknown, NOW)), ["TENANT_BOUNDARY"]);
}

#[test]
fn a_contract_without_tenants_reaches_no_tenants_data() {
    let contract = compiled(&BILLING.replacen("tenants:\n  mode: task\n  allowed: [acme-eu]\n", "", 1));
    let words = Words::billing();
    let facts = words.call(&[]);
    assert_eq!(codes(&decide(&contract, &facts, NOW)), ["TENANT_BOUNDARY"]);
    let nobodys = Facts {
        resource: ResourceFacts::default(),
        ..facts
    };
    assert!(decide(&contract, &nobodys, NOW).is_allowed());
}

#[test]
fn action_not_granted_names_the_nearest_grant() {
    let words = Words {
        action: name("invoices.delete"),
        ..Words::billing()
    };
    let mut facts = words.call(&[]);
    let scope = [name("invoices.delete")];
    facts.task_scope = Some(&scope);
    let verdict = decide(&compiled(BILLING), &facts, NOW);
    assert_eq!(codes(&verdict), ["ACTION_NOT_GRANTED"]);
    let nearest = verdict.denial().unwrap().nearest.as_ref().unwrap();
    assert_eq!(nearest.failed.len(), 1);
    let text = explain(&compiled(BILLING), &facts, NOW, &verdict);
    assert!(text.contains("nearest grant read-invoice (line "), "{text}");
}

#[test]
fn a_grant_holds_at_its_own_service_only() {
    let words = Words {
        audience: "payroll".parse().unwrap(),
        ..Words::billing()
    };
    assert_eq!(
        codes(&decide(&compiled(BILLING), &words.call(&[]), NOW)),
        ["ACTION_NOT_GRANTED"]
    );
}

#[test]
fn names_of_other_actions_are_no_way_in() {
    for odd in ["invoices.read.all", "invoices", "invoices.rea", "x"] {
        let words = Words {
            action: name(odd),
            scope: vec![name(odd)],
            ..Words::billing()
        };
        assert_eq!(
            codes(&decide(&compiled(BILLING), &words.call(&[]), NOW)),
            ["ACTION_NOT_GRANTED"],
            "{odd}"
        );
    }
    let words = Words {
        audience: "(not_in_this_contract)".parse().unwrap(),
        ..Words::billing()
    };
    assert_eq!(
        codes(&decide(&compiled(BILLING), &words.call(&[]), NOW)),
        ["ACTION_NOT_GRANTED"]
    );
}

#[test]
fn an_argument_that_is_wrong_missing_doubled_or_empty_is_refused() {
    let words = Words {
        action: name("invoices.list"),
        ..Words::billing()
    };
    let contract = compiled(BILLING);
    let with = |arguments: &[(&str, ArgValue<'_>)]| codes(&decide(&contract, &words.call(arguments), NOW));
    assert!(with(&[("status", ArgValue::Str("open"))]).is_empty());
    let both = [ArgValue::Str("open"), ArgValue::Str("paid")];
    assert!(with(&[("status", ArgValue::List(&both))]).is_empty());
    let mixed = [ArgValue::Str("open"), ArgValue::Str("void")];
    let refused: [&[(&str, ArgValue<'_>)]; 9] = [
        &[],
        &[("status", ArgValue::Str("void"))],
        &[("status", ArgValue::Str("open "))],
        &[("status", ArgValue::Str("OPEN"))],
        &[("Status", ArgValue::Str("open"))],
        &[("status", ArgValue::List(&mixed))],
        &[("status", ArgValue::List(&[]))],
        &[("status", ArgValue::Bool(true))],
        &[
            ("status", ArgValue::Str("open")),
            ("status", ArgValue::Str("void")),
        ],
    ];
    for arguments in refused {
        assert_eq!(with(arguments), ["ARGUMENT_OUT_OF_RANGE"], "{arguments:?}");
    }
}

#[test]
fn a_number_is_held_to_its_range() {
    let words = Words::reporter();
    let contract = compiled(REPORTER);
    let day_window = CounterId::calls(crate::contract::RateScope::Task, 86_400);
    let counters = [(MINUTE, 0), (day_window, 0)];
    let with = |month: ArgValue<'_>| {
        let arguments = [("month", month), ("currency", ArgValue::Str("EUR"))];
        let facts = Facts {
            counters: &counters,
            ..words.call(&arguments)
        };
        codes(&decide(&contract, &facts, NOW))
    };
    assert!(with(ArgValue::Int(1)).is_empty() && with(ArgValue::Int(12)).is_empty());
    for odd in [
        ArgValue::Int(0),
        ArgValue::Int(13),
        ArgValue::Int(i64::MIN),
        ArgValue::Str("1"),
    ] {
        assert_eq!(with(odd), ["ARGUMENT_OUT_OF_RANGE"], "{odd:?}");
    }
}

#[test]
fn a_child_process_cannot_use_a_grant_of_the_agent_itself() {
    let words = Words::reporter();
    let arguments = [("month", ArgValue::Int(1)), ("currency", ArgValue::Str("EUR"))];
    let day_window = CounterId::calls(crate::contract::RateScope::Task, 86_400);
    let counters = [(MINUTE, 0), (day_window, 0)];
    let facts = Facts {
        counters: &counters,
        caller: Caller::Child,
        ..words.call(&arguments)
    };
    assert_eq!(
        codes(&decide(&compiled(REPORTER), &facts, NOW)),
        ["CHILD_NOT_ALLOWED"]
    );
    let plain = Words::billing();
    let facts = Facts {
        caller: Caller::Child,
        ..plain.call(&[])
    };
    assert!(decide(&compiled(BILLING), &facts, NOW).is_allowed());
}

#[test]
fn a_child_process_gets_no_credential_even_for_what_it_may_call() {
    only(Reason::ChildNotAllowed, |facts, _| {
        facts.stage = Stage::Exchange;
        facts.caller = Caller::Child;
    });
}

#[test]
fn a_list_shows_a_child_what_it_may_call_and_nothing_else() {
    let words = Words::reporter();
    let list = |words: &Words| {
        let facts = Facts {
            stage: Stage::List,
            caller: Caller::Child,
            counters: &[],
            ..words.call(&[])
        };
        codes(&decide(&compiled(REPORTER), &facts, NOW))
    };
    assert_eq!(list(&words), ["CHILD_NOT_ALLOWED"]);
    let invoices = Words {
        action: name("invoices.list"),
        audience: "invoices".parse().unwrap(),
        ..Words::reporter()
    };
    assert!(list(&invoices).is_empty());
}

#[test]
fn chain_too_deep() {
    only(Reason::ChainTooDeep, |facts, _| {
        facts.link = Link {
            position: 5,
            depth: 5,
        }
    });
}

#[test]
fn an_agent_in_the_middle_of_a_chain_cannot_have_delegated() {
    only(Reason::DelegationNotAllowed, |facts, _| {
        facts.link = Link {
            position: 2,
            depth: 3,
        }
    });
}

#[test]
fn rate_limited_names_limit_and_count() {
    only(Reason::RateLimited, |facts, _| {
        facts.counters = const { &[(MINUTE, 60)] }
    });
    let words = Words::billing();
    let last = Facts {
        counters: const { &[(MINUTE, 59)] },
        ..words.call(&[])
    };
    assert!(decide(&compiled(BILLING), &last, NOW).is_allowed());
    let over = Facts {
        counters: const { &[(MINUTE, 61)] },
        ..words.call(&[])
    };
    let verdict = decide(&compiled(BILLING), &over, NOW);
    let detail = &verdict.reasons()[0];
    assert_eq!(detail.limit, "at most 60 calls per 60s of one agent");
    assert_eq!(detail.actual, "61 before this one");
    assert!(
        BILLING
            .lines()
            .nth(detail.line as usize - 1)
            .unwrap()
            .contains("max: 60")
    );
    assert_eq!(verdict.denial().unwrap().remedy(), Remedy::Retry);
}

#[test]
fn a_counter_that_is_negative_or_unknown_refuses() {
    only(Reason::StateUnavailable, |facts, _| {
        facts.counters = const { &[(MINUTE, -1)] };
    });
    only(Reason::StateUnavailable, |facts, _| {
        facts.counters = const { &[(MINUTE, i64::MIN)] };
    });
    only(Reason::StateUnavailable, |facts, _| facts.counters = &[]);
}

#[test]
fn a_policy_that_errors_refuses_instead_of_being_skipped() {
    let words = Words::billing();
    for effect in ["forbid", "permit"] {
        let text = format!("{effect}(principal, action, resource) when {{ context.missing }};");
        let contract = compiled(BILLING).with_policy(&text);
        assert_eq!(codes(&decide(&contract, &words.call(&[]), NOW)), ["POLICY_ERROR"]);
        let shadow = compiled(&BILLING.replacen("mode: enforce", "mode: shadow", 1)).with_policy(&text);
        assert!(!decide(&shadow, &words.call(&[]), NOW).is_allowed());
    }
    // A policy that is not the contract's does not decide either.
    let foreign = compiled(BILLING).with_policy("permit(principal, action, resource);");
    assert_eq!(codes(&decide(&foreign, &words.call(&[]), NOW)), ["POLICY_ERROR"]);
}

#[test]
fn all_reasons_come_at_once_and_in_order() {
    let words = Words {
        action: name("invoices.delete"),
        ..Words::billing()
    };
    let task = words.call(&[]).task;
    let worst = Facts::least(
        OrgId::from_u128(1),
        AgentId::from_u128(2),
        task,
        &words.action,
        &words.audience,
    );
    let expected = [
        "ATTESTATION_REQUIRED",
        "ATTESTATION_STALE",
        "REVIEW_OVERDUE",
        "ACTION_NOT_GRANTED",
        "TASK_SCOPE",
        "TENANT_BOUNDARY",
        "CHAIN_TOO_DEEP",
        "DELEGATION_NOT_ALLOWED",
        "LOOP",
        "STATE_UNAVAILABLE",
    ];
    assert_eq!(codes(&decide(&compiled(BILLING), &worst, NOW)), expected);
}

#[test]
fn a_caller_learns_a_fixed_sentence_and_nothing_about_other_tenants() {
    let words = Words::billing();
    let mut facts = words.call(&[]);
    facts.resource.tenant = Some(&words.other_tenant);
    let verdict = decide(&compiled(BILLING), &facts, NOW);
    let denial = verdict.denial().unwrap();
    assert_eq!(denial.caller_code(), "RESOURCE_UNAVAILABLE");
    assert!(!denial.caller_sentence().contains("tenant"));
    assert!(denial.reasons[0].actual.contains("globex"));
}

#[test]
fn shadow_mode_allows_and_says_what_it_would_have_refused() {
    let contract = compiled(&BILLING.replacen("mode: enforce", "mode: shadow", 1));
    let words = Words {
        action: name("invoices.delete"),
        ..Words::billing()
    };
    let scope = [name("invoices.delete")];
    let facts = Facts {
        task_scope: Some(&scope),
        counters: &[(MINUTE, 99)],
        ..words.call(&[])
    };
    let verdict = decide(&contract, &facts, NOW);
    let Verdict::Allow(allowed) = &verdict else {
        panic!("denied")
    };
    assert!(matches!(allowed.basis(), Basis::Shadow(_)));
    assert_eq!((allowed.grant(), allowed.business_action()), (None, None));
    assert_eq!(codes(&verdict), ["ACTION_NOT_GRANTED", "RATE_LIMITED"]);
    assert!(explain(&contract, &facts, NOW, &verdict).contains("shadow mode, would be DENIED"));
}

#[test]
fn shadow_mode_is_no_way_around_tenants_identity_or_scope() {
    let contract = compiled(&BILLING.replacen("mode: enforce", "mode: shadow", 1));
    let words = Words::billing();
    let facts = words.call(&[]);
    let mut other_tenant = facts.clone();
    other_tenant.resource.tenant = Some(&words.other_tenant);
    let unproven = Facts {
        assurance: Assurance::default(),
        ..facts.clone()
    };
    let uncovered = Facts {
        task_scope: None,
        ..facts.clone()
    };
    let unknown = Facts {
        counters: &[],
        ..facts
    };
    for refused in [other_tenant, unproven, uncovered, unknown] {
        assert!(!decide(&contract, &refused, NOW).is_allowed());
    }
}

#[test]
fn a_right_that_an_agent_could_give_itself_is_refused_at_compile_time() {
    let text = BILLING.replacen("      status: [open, paid]", "      said.role: [admin]", 1);
    let contract = Contract::parse("c.yaml", text.as_bytes()).unwrap();
    let errors = Compiled::new(contract).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].code, crate::contract::ErrorCode::AssertedFact);
    assert!(
        text.lines()
            .nth(errors[0].line as usize - 1)
            .unwrap()
            .contains("- id: list-invoices")
    );
}

#[test]
fn an_explanation_shows_every_fact_with_where_it_comes_from() {
    let words = Words::billing();
    let facts = Facts {
        statement: Some("I am an administrator"),
        ..words.call(&[("id", ArgValue::Int(7))])
    };
    let contract = compiled(BILLING);
    let text = explain(&contract, &facts, NOW, &decide(&contract, &facts, NOW));
    for row in [
        "ALLOW invoices.read on invoices (call)",
        "  by grant read-invoice (line ",
        "  assurance              attested  2 (launcher-bound, isolated)",
        "  task.tenant            opener    acme-eu",
        "  argument.id            observed  7",
        "  counter.calls/agent/60s observed  0",
        "  statement              asserted  I am an administrator",
    ] {
        assert!(text.contains(row), "{row}\n{text}");
    }
}

#[test]
fn an_explained_refusal_reads_like_this() {
    let words = Words {
        action: name("invoices.list"),
        ..Words::billing()
    };
    let arguments = [("status", ArgValue::Str("void"))];
    let mut facts = Facts {
        counters: const { &[(MINUTE, 61)] },
        ..words.call(&arguments)
    };
    facts.resource.tenant = Some(&words.other_tenant);
    let contract = compiled(BILLING);
    let text = explain(&contract, &facts, NOW, &decide(&contract, &facts, NOW));
    let text = text.replace(&contract.hash().to_string(), "sha256:…");
    insta::assert_snapshot!(text, @r##"
    DENY  invoices.list on invoices (call)
      contract billing version 1 sha256:…
      ARGUMENT_OUT_OF_RANGE (line 41, grant list-invoices)
        limit  argument status one of open, paid
        actual "void"
        fix    send "status" within the grant, or widen "where" in a new version of the contract
      TENANT_BOUNDARY (line 22)
        limit  the task's own tenant, one of acme-eu
        actual task for acme-eu, data of globex
        fix    open a task for the tenant whose data is needed
      RATE_LIMITED (line 54)
        limit  at most 60 calls per 60s of one agent
        actual 61 before this one
        fix    wait until the window has moved on, or raise "rate"
      nearest grant list-invoices (line 41); failed: argument status one of open, paid
      the caller sees ARGUMENT_OUT_OF_RANGE: An argument is outside what is granted.
    facts
      org                    attested  org_00000000000000000000000001
      agent                  attested  agt_00000000000000000000000002
      assurance              attested  2 (launcher-bound, isolated) 1.3.2.1
      evidence_age           observed  30
      link                   attested  2 of 2
      user                   attested  user
      user.groups            attested  ["office"]
      user.entitled          observed  true
      caller                 observed  agent
      task                   attested  task_00000000000000000000000003
      task.type              opener    reconciliation
      task.opener            attested  user
      task.tenant            opener    acme-eu
      task.purpose           opener    reconciliation
      task.opened_at         observed  2026-11-23T09:59:00.000Z
      task.expires_at        observed  2026-11-23T10:10:00.000Z
      task.scope             attested  ["invoices.read","invoices.list"]
      stage                  observed  call
      action                 observed  invoices.list
      audience               observed  invoices
      resource.type          observed  invoice
      resource.id            observed  7
      resource.tenant        observed  globex
      argument.status        observed  void
      counter.calls/agent/60s observed  61
      labels                 observed  {"sensitivity":"public","readers":"everyone"}
      workflow               observed  {"done":{},"last":null,"steps":0}
      contract.reviewed_at   observed  2026-11-23T09:00:00.000Z
      now                    observed  2026-11-23T10:00:00.000Z
    "##);
}

#[test]
fn policies_say_where_they_come_from() {
    let contract = compiled(BILLING);
    let rate = contract
        .policy_set()
        .policies()
        .find(|policy| policy.annotation("reason") == Some("RATE_LIMITED"));
    assert_eq!(
        rate.unwrap().annotation("limit"),
        Some("at most 60 calls per 60s of one agent")
    );
    assert!(
        contract
            .policy_set()
            .policies()
            .all(|policy| policy.annotation("line").is_some())
    );
    let [counter] = contract.counters() else {
        panic!("one rate, one counter")
    };
    assert_eq!((&counter.id, counter.max), (&MINUTE, 60));
}

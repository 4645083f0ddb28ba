//! The lattice's laws, and refusals that name the member.

use super::*;
use identity::LogId;
use proptest::prelude::*;

type Change = (&'static str, fn(&mut AgentTask));

fn names(texts: &[&str]) -> BTreeSet<Name> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn whole() -> AgentTask {
    AgentTask {
        task: Some(TaskId::mint(UnixTime::from_secs(1_800_000_000), LogId(1), 7)),
        purpose: Some("invoice-reconciliation".parse().unwrap()),
        actions: Some(names(&["read", "export"])),
        locations: Some(BTreeSet::from(["https://api.example/invoices".parse().unwrap()])),
        datatypes: Some(names(&["invoice"])),
        data_domains: Some(names(&["finance"])),
        tenant: Some("acme".parse().unwrap()),
        workflow: Some("wf-month-end".parse().unwrap()),
        step: Some("export".parse().unwrap()),
        constraints: Constraints {
            max_calls: Some(200),
            max_amount: Amount::parse("500.00", "EUR"),
            not_before: Some(UnixTime::from_secs(1_800_000_000)),
            not_after: Some(UnixTime::from_secs(1_800_003_600)),
            rate: Some("20/min".parse().unwrap()),
        },
        approval: Some(ApprovalId::random(UnixTime::from_secs(1), LogId(1), 7)),
    }
}

#[test]
fn every_member_round_trips() {
    let text = AgentTask::list_to_json(&[whole(), AgentTask::default()]);
    assert_eq!(
        AgentTask::parse_list(text.as_bytes()),
        Ok(vec![whole(), AgentTask::default()])
    );
    assert!(
        text.contains(r#""max_amount":{"v":"500.00","cur":"EUR"}"#),
        "{text}"
    );
}

#[test]
fn leaving_any_member_out_widens_and_is_named() {
    let parent = whole();
    let wider: [Change; 15] = [
        ("task", |d| d.task = None),
        ("purpose", |d| d.purpose = None),
        ("actions", |d| d.actions = None),
        ("locations", |d| d.locations = None),
        ("datatypes", |d| d.datatypes = None),
        ("data_domains", |d| d.data_domains = None),
        ("tenant", |d| d.tenant = None),
        ("workflow", |d| d.workflow = None),
        ("step", |d| d.step = None),
        ("max_calls", |d| d.constraints.max_calls = None),
        ("max_amount", |d| d.constraints.max_amount = None),
        ("not_before", |d| d.constraints.not_before = None),
        ("not_after", |d| d.constraints.not_after = None),
        ("rate", |d| d.constraints.rate = None),
        ("approval", |d| d.approval = None),
    ];
    for (member, widen) in wider {
        let mut child = parent.clone();
        widen(&mut child);
        assert_eq!(child.narrows(&parent), Err(Widened { member }));
        assert_eq!(parent.narrows(&child), Ok(()));
        assert_eq!(child.intersect(&parent), Ok(parent.clone()), "{member}");
    }
}

#[test]
fn a_sub_agent_cannot_raise_any_value() {
    let parent = whole();
    let wider: [Change; 9] = [
        ("purpose", |d| d.purpose = Some("other".parse().unwrap())),
        ("actions", |d| d.actions = Some(names(&["read", "delete"]))),
        ("tenant", |d| d.tenant = Some("globex".parse().unwrap())),
        ("max_calls", |d| d.constraints.max_calls = Some(201)),
        ("max_amount", |d| {
            d.constraints.max_amount = Amount::parse("500.01", "EUR");
        }),
        ("max_amount", |d| {
            d.constraints.max_amount = Amount::parse("1", "USD");
        }),
        ("not_before", |d| {
            d.constraints.not_before = Some(UnixTime::from_secs(1_799_999_999));
        }),
        ("not_after", |d| {
            d.constraints.not_after = Some(UnixTime::from_secs(1_800_003_601));
        }),
        ("rate", |d| d.constraints.rate = Some("20/s".parse().unwrap())),
    ];
    for (member, widen) in wider {
        let mut child = parent.clone();
        widen(&mut child);
        assert_eq!(child.narrows(&parent), Err(Widened { member }));
    }
}

#[test]
fn nothing_in_common_is_a_refusal_that_names_the_member() {
    let (a, b) = (
        AgentTask {
            actions: Some(names(&["read"])),
            ..AgentTask::default()
        },
        AgentTask {
            actions: Some(names(&["write"])),
            ..AgentTask::default()
        },
    );
    assert_eq!(a.intersect(&b), Err(Disjoint { member: "actions" }));
    let window = |from, until| AgentTask {
        constraints: Constraints {
            not_before: Some(UnixTime::from_secs(from)),
            not_after: Some(UnixTime::from_secs(until)),
            ..Constraints::default()
        },
        ..AgentTask::default()
    };
    assert_eq!(
        window(1, 2).intersect(&window(3, 4)),
        Err(Disjoint { member: "not_after" })
    );
}

#[test]
fn refusals_name_the_member() {
    let unknown = |name: &str| AgentTaskError::UnknownMember(name.to_owned());
    for (members, error) in [
        (r#""extra":1"#, unknown("extra")),
        (r#""constraints":{"max_cals":1}"#, unknown("max_cals")),
        (
            r#""constraints":{"max_amount":{"v":"1","cur":"EUR","x":1}}"#,
            unknown("x"),
        ),
        (r#""actions":[]"#, AgentTaskError::BadMember("actions")),
        (r#""actions":["a","a"]"#, AgentTaskError::BadMember("actions")),
        (r#""actions":"read""#, AgentTaskError::BadMember("actions")),
        (r#""task":"t-1""#, AgentTaskError::BadMember("task")),
        (
            r#""constraints":{"rate":"often"}"#,
            AgentTaskError::BadMember("rate"),
        ),
        (
            r#""constraints":{"max_amount":{"v":"1e3","cur":"EUR"}}"#,
            AgentTaskError::BadMember("max_amount"),
        ),
        (
            r#""constraints":{"max_calls":-1}"#,
            AgentTaskError::BadMember("constraints"),
        ),
        (r#""constraints":{"not_after":1e400}"#, AgentTaskError::Malformed),
        (
            r#""constraints":{"not_after":99999999999999}"#,
            AgentTaskError::BadMember("not_after"),
        ),
        (r#""step":"a","step":"a""#, AgentTaskError::Malformed),
    ] {
        let text = format!(r#"[{{"type":"agent_task",{members}}}]"#);
        assert_eq!(AgentTask::parse_list(text.as_bytes()), Err(error), "{text}");
    }
    for (text, error) in [
        (
            r#"[{"type":"payment"}]"#,
            AgentTaskError::UnknownType("payment".to_owned()),
        ),
        (
            r#"[{"actions":["a"]}]"#,
            AgentTaskError::UnknownType(String::new()),
        ),
        (r#"{"type":"agent_task"}"#, AgentTaskError::Malformed),
        (r#"[["agent_task"]]"#, AgentTaskError::Malformed),
        (
            &format!("[{}]", [r#"{"type":"agent_task"}"#; 9].join(",")),
            AgentTaskError::TooMany,
        ),
        (&" ".repeat(DETAILS_BYTES_MAX + 1), AgentTaskError::TooLarge),
    ] {
        assert_eq!(AgentTask::parse_list(text.as_bytes()), Err(error), "{text}");
    }
}

fn some_set() -> impl Strategy<Value = Option<BTreeSet<Name>>> {
    proptest::option::of(proptest::sample::subsequence(vec!["a", "b", "c"], 1..=3))
        .prop_map(|texts| texts.map(|texts| texts.iter().map(|text| text.parse().unwrap()).collect()))
}

prop_compose! {
    fn some_detail()(
        actions in some_set(),
        datatypes in some_set(),
        tenant in proptest::option::of(proptest::sample::select(vec!["t", "u"])),
        max_calls in proptest::option::of(0_u64..4),
        cents in proptest::option::of((0_u64..4, proptest::sample::select(vec!["EUR", "USD"]))),
        from in proptest::option::of(0_u64..4),
        until in proptest::option::of(0_u64..4),
        rate in proptest::option::of((0_u32..4, proptest::sample::select(vec!["s", "min", "h", "d"]))),
    ) -> AgentTask {
        AgentTask {
            actions,
            datatypes,
            tenant: tenant.map(|name| name.parse().unwrap()),
            constraints: Constraints {
                max_calls,
                max_amount: cents.and_then(|(value, currency)| Amount::parse(&value.to_string(), currency)),
                not_before: from.map(UnixTime::from_secs),
                not_after: until.map(UnixTime::from_secs),
                rate: rate.map(|(calls, period)| format!("{calls}/{period}").parse().unwrap()),
            },
            ..AgentTask::default()
        }
    }
}

proptest! {
    #[test]
    fn an_intersection_narrows_both_and_is_the_greatest(
        a in some_detail(), b in some_detail(), c in some_detail()
    ) {
        prop_assert_eq!(a.narrows(&a), Ok(()));
        let meet = a.intersect(&b);
        prop_assert_eq!(&meet, &b.intersect(&a));
        if let Ok(meet) = &meet {
            prop_assert_eq!(meet.narrows(&a), Ok(()));
            prop_assert_eq!(meet.narrows(&b), Ok(()));
            if c.narrows(&a).is_ok() && c.narrows(&b).is_ok() {
                prop_assert_eq!(c.narrows(meet), Ok(()));
            }
        }
        if a.narrows(&b).is_ok() && b.narrows(&c).is_ok() {
            prop_assert_eq!(a.narrows(&c), Ok(()));
        }
    }

    #[test]
    fn details_round_trip(detail in some_detail()) {
        let text = AgentTask::list_to_json(std::slice::from_ref(&detail));
        prop_assert_eq!(AgentTask::parse_list(text.as_bytes()), Ok(vec![detail]));
    }
}

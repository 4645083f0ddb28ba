//! Several gateways: one alone counts the calls of a task, a process and an agent, and knows what was read.

use crate::fixture::{Another, Fixture, Wish, now};
use crate::state::{PAY, READ, SEND, TO_BOB, call, call_at, claims, office};
use broker::Change;
use broker::ledger::TrailKey;
use identity::{LogId, OrgScope, UnixTime};
use std::sync::Arc;

const OTHER: LogId = LogId(8);
const PAY_ONE: &str = r#"{"to": "DE12", "amount": 1}"#;

async fn two() -> (Arc<Fixture>, Another) {
    let fixture = office().await;
    let other = fixture.another(OTHER).await;
    (Arc::new(fixture), other)
}

#[tokio::test]
async fn a_budget_is_not_exceeded_through_two_gateways() {
    let (fixture, other) = two().await;
    let mut racing = Vec::new();
    for n in 0..256 {
        let fixture = fixture.clone();
        let gateway = if n % 2 == 0 {
            fixture.address
        } else {
            other.address
        };
        racing.push(tokio::spawn(async move {
            let agent = fixture.agent();
            let claims = claims(&fixture, agent, "invoices");
            let answer = call_at(&fixture, gateway, agent, &claims, PAY, PAY_ONE).await;
            (gateway, answer.status(), answer.code())
        }));
    }
    let mut answers = Vec::new();
    for one in racing {
        answers.push(one.await.unwrap());
    }
    let paid: Vec<_> = answers.iter().filter(|(_, status, _)| *status == 200).collect();
    assert_eq!(paid.len(), 100, "the budget, whoever asked");
    let home = paid.first().unwrap().0;
    assert!(paid.iter().all(|(gateway, _, _)| *gateway == home));
    for (gateway, status, code) in answers.iter().filter(|(_, status, _)| *status != 200) {
        let wanted = if *gateway == home {
            (403, "BUDGET_EXHAUSTED")
        } else {
            (421, "COUNTED_ELSEWHERE")
        };
        assert_eq!((*status, code.as_str()), wanted);
    }
}

#[tokio::test]
async fn what_was_read_through_one_gateway_does_not_leave_through_another() {
    let (fixture, other) = two().await;
    let [first, _, again] = &fixture.agents;
    let own = claims(&fixture, first, "invoices");
    assert_eq!(call(&fixture, first, &own, READ, "").await.status(), 200);
    let refused = call_at(&fixture, other.address, first, &own, SEND, TO_BOB).await;
    assert_eq!(
        (refused.status(), refused.code()),
        (421, "COUNTED_ELSEWHERE".into())
    );
    assert!(refused.header("tabard-decision").is_some());
    // Nor does the same process in another task, which is at home nowhere yet.
    let mut moved = claims(&fixture, first, "invoices");
    moved.task = Some(again.task);
    let refused = call_at(&fixture, other.address, first, &moved, SEND, TO_BOB).await;
    assert_eq!(refused.code(), "COUNTED_ELSEWHERE");
    // Another process of another task may: nothing of it is known anywhere else.
    let apart = claims(&fixture, again, "invoices");
    let sent = call_at(&fixture, other.address, again, &apart, SEND, TO_BOB).await;
    assert_eq!(sent.status(), 200, "{}", sent.0);
    assert_eq!(
        call(&fixture, again, &apart, SEND, TO_BOB).await.code(),
        "COUNTED_ELSEWHERE"
    );
    // Each refusal is an entry of the gateway that made it.
    let journal = other.journal.log();
    let entries = journal.entries(0..journal.size()).unwrap();
    let refusals = entries.iter().filter(|entry| {
        let text = String::from_utf8_lossy(entry);
        text.contains("gateway.blocked") && text.contains("COUNTED_ELSEWHERE")
    });
    assert_eq!(refusals.count(), 2);
}

const OF_AGENT: &str = "
apiVersion: tabard/v1
kind: AgentContract
metadata: {name: office, version: 1}
owner: {team: office}
purpose: {id: office, statement: Looks at invoices.}
identity: {min_assurance: 1}
tenants: {mode: task, allowed: [acme-eu]}
tasks: {types: [reconciliation], max_ttl: 30m, openers: [operator]}
grants:
  - id: office
    services: [invoices]
    actions: [invoices.read]
    reason: What is due stands in the invoice.
    business_action: {invoices.read: Read an invoice}
    data: {domains: [finance], sensitivity: confidential}
rate: [{scope: agent, per: 2s, max: 3}]
lifecycle: {expires: 2099-12-31}
";
const LOOK: &str = "GET /invoices/tenants/acme-eu/invoices/1";

#[tokio::test]
async fn a_rate_of_an_agent_is_not_had_twice_at_two_gateways_nor_by_losing_one() {
    let fixture = Fixture::with(Wish {
        contract: OF_AGENT,
        ..Wish::default()
    })
    .await;
    let other = fixture.another(OTHER).await;
    let [first, _, again] = &fixture.agents;
    let binding = |agent: &crate::fixture::Actor1| credential::Binding::Key(agent.key.public.thumbprint());
    let claims_of = |agent| fixture.claims(agent, "invoices", identity::Revision(1), binding(agent));
    for _ in 0..3 {
        let seen = call(&fixture, first, &claims_of(first), LOOK, "").await;
        assert_eq!(seen.status(), 200, "{}", seen.0);
    }
    // Another run of the agent, in another task, at another gateway.
    let elsewhere = async || call_at(&fixture, other.address, again, &claims_of(again), LOOK, "").await;
    assert_eq!(elsewhere().await.code(), "COUNTED_ELSEWHERE");
    assert_eq!(
        call(&fixture, first, &claims_of(first), LOOK, "").await.code(),
        "RATE_LIMITED"
    );

    // The first gateway is removed: the agent is free to go, and what it used of its rate nobody knows.
    let world = fixture.worlds.borrow().clone();
    let key = TrailKey(first.id.as_u128());
    let home = world.home(OrgScope::Every, key).unwrap();
    let left = |since: UnixTime| Change::HomeLeft {
        org: fixture.org,
        log: home.log.unwrap(),
        of: vec![key],
        since,
    };
    fixture.change(left(now()));
    fixture.change(Change::Homed {
        org: fixture.org,
        log: OTHER,
        of: vec![key],
        since: now(),
    });
    let early = elsewhere().await;
    assert_eq!((early.status(), early.code()), (503, "STATE_UNAVAILABLE".into()));
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    assert_eq!(elsewhere().await.status(), 200);
    // Whoever comes back finds its place taken.
    let late = call(&fixture, first, &claims_of(first), LOOK, "").await;
    assert_eq!(late.code(), "COUNTED_ELSEWHERE");
}

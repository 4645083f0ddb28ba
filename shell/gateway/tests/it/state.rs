//! Budgets, labels, chains: what a task did before decides what it may do next.

use crate::fixture::{Actor1, Answer, Fixture, Wish, now};
use audit::EventKind;
use audit::event::LinkVerdict::{Allow, Deny};
use broker::world::{AgentState, Change, Task, TrustSource, User, UserRight};
use credential::AccessTokenClaims;
use identity::{Actor, ActorChain, ActorKind, Name, OrgScope, TaskId};
use std::collections::BTreeSet;
use std::net::SocketAddr;

const CONTRACT: &str = "
apiVersion: tabard/v1
kind: AgentContract
metadata: {name: office, version: 1}
owner: {team: office}
purpose: {id: office, statement: Reads the office mail and pays what is due.}
identity: {min_assurance: 1}
tenants: {mode: task, allowed: [acme-eu]}
tasks: {types: [reconciliation], max_ttl: 30m, openers: [operator]}
grants:
  - id: office
    services: [invoices]
    actions: [mail.read, ledger.read, mail.send, pay]
    reason: What is due stands in the mail.
    business_action: {mail.read: Read a mail, ledger.read: Read the ledger, mail.send: Write a mail, pay: Pay a bill}
  - id: show
    services: ['urn:tabard:deliver']
    actions: [deliver]
    reason: Whoever asked gets an answer.
    business_action: {deliver: Show somebody the answer}
budgets:
  - {counts: value, argument: amount, actions: [pay], scope: task, max: 100}
  - {counts: denials, scope: task, per: 5m, max: 3, then: suspend}
delegation: {may_delegate_to: [demo-1]}
flow: {}
workflow: {start: [mail.read, ledger.read, mail.send, pay, deliver], off_graph: alert}
lifecycle: {expires: 2099-12-31}
";

const OFFICE: &str = "
apiVersion: tabard/v1
kind: Upstream
metadata: {name: invoices}
base_url: BASE
tenant_header: x-tenant
credential: {api_key: {header: x-api-key, secret: stdin}}
routes:
  - method: GET
    path: '/mail/{id}'
    action: mail.read
    resource: {type: mail, id: id}
    data: {sensitivity: internal, domains: [mail], untrusted: true}
  - method: GET
    path: /ledger
    action: ledger.read
    resource: {type: ledger}
    data: {sensitivity: confidential, domains: [finance], readers: [ann]}
  - method: POST
    path: /mail
    action: mail.send
    resource: {type: mail}
    arguments: [{name: to, body: /to}]
    data: {sensitivity: public}
    sink: {clearance: internal, egress: true, consequential: true, destinations: [to]}
  - method: POST
    path: /pay
    action: pay
    resource: {type: payment}
    arguments: [{name: to, body: /to}, {name: amount, body: /amount, type: integer}]
    data: {sensitivity: public}
    sink: {clearance: secret, readers: [], consequential: true, destinations: [to]}
";

pub(crate) async fn office() -> Fixture {
    Fixture::with(Wish {
        contract: CONTRACT,
        definition: OFFICE,
        ..Wish::default()
    })
    .await
}

/// What a token of `agent` says that covers all of the contract.
pub(crate) fn claims(fixture: &Fixture, agent: &Actor1, audience: &str) -> AccessTokenClaims {
    let actions = ["mail.read", "ledger.read", "mail.send", "pay", "deliver"];
    fixture.covering(agent, audience, actions)
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// One call of `agent` with those claims.
pub(crate) async fn call(
    fixture: &Fixture,
    agent: &Actor1,
    claims: &AccessTokenClaims,
    line: &str,
    body: &str,
) -> Answer {
    call_at(fixture, fixture.address, agent, claims, line, body).await
}

/// The same at another gateway.
pub(crate) async fn call_at(
    fixture: &Fixture,
    gateway: SocketAddr,
    agent: &Actor1,
    claims: &AccessTokenClaims,
    line: &str,
    body: &str,
) -> Answer {
    let token = fixture.sign(claims);
    fixture.call((gateway, agent), &token, line, "", body).await
}

/// The same as the first agent, in its own task.
async fn own(fixture: &Fixture, line: &str, body: &str) -> Answer {
    let agent = fixture.agent();
    let audience = if line.contains("/v1/deliver") {
        "urn:tabard:deliver"
    } else {
        "invoices"
    };
    call(fixture, agent, &claims(fixture, agent, audience), line, body).await
}

pub(crate) const READ: &str = "GET /invoices/mail/1";
pub(crate) const SEND: &str = "POST /invoices/mail";
pub(crate) const PAY: &str = "POST /invoices/pay";
pub(crate) const TO_BOB: &str = r#"{"to": "bob@corp.example"}"#;

/// The task of `agent` as it is, with one change.
fn task(fixture: &Fixture, id: TaskId, change: impl FnOnce(&mut Task)) {
    let world = fixture.worlds.borrow().clone();
    let mut task = Task::clone(world.task(OrgScope::Every, id).unwrap());
    change(&mut task);
    // Its id is stamped already; opening it again replaces it.
    fixture.change(Change::TaskOpened(task));
}

#[tokio::test]
async fn after_untrusted_content_only_destinations_that_the_opener_named_are_written_to() {
    let fixture = office().await;
    assert_eq!(own(&fixture, SEND, TO_BOB).await.status(), 200);
    assert_eq!(own(&fixture, READ, "").await.status(), 200);
    let refused = own(&fixture, SEND, TO_BOB).await;
    assert_eq!((refused.status(), refused.code()), (403, "TAINTED_SINK".into()));
    task(&fixture, fixture.agent().task, |task| {
        task.trusted = ["@corp.example".to_owned()].into();
    });
    assert_eq!(own(&fixture, SEND, TO_BOB).await.status(), 200);
    // A Cyrillic letter: it only looks like the domain that was named.
    let lookalike = own(&fixture, SEND, "{\"to\": \"bob@c\u{43e}rp.example\"}").await;
    assert_eq!(lookalike.code(), "TAINTED_SINK");
    let entries = fixture.journal(5).await;
    let blocked: Vec<_> = entries
        .iter()
        .filter(|entry| entry.event.kind == EventKind::GatewayBlocked)
        .collect();
    assert_eq!(blocked.len(), 2);
    let facts = &blocked[0].event.decision.as_ref().unwrap().facts;
    let labels = facts.iter().find(|fact| fact.name == "labels").unwrap();
    assert_eq!(labels.value["taint"], serde_json::json!(["mail.read"]));
}

#[tokio::test]
async fn neither_a_second_task_of_the_process_nor_a_child_task_is_clean() {
    let fixture = office().await;
    let (first, again) = (fixture.agent(), &fixture.agents[2]);
    assert_eq!(own(&fixture, READ, "").await.status(), 200);
    // The other run of the same agent has seen nothing.
    let apart = claims(&fixture, again, "invoices");
    assert_eq!(call(&fixture, again, &apart, SEND, TO_BOB).await.status(), 200);
    // The process that read the mail, now in the other task.
    let mut moved = claims(&fixture, first, "invoices");
    moved.task = Some(again.task);
    assert_eq!(
        call(&fixture, first, &moved, SEND, TO_BOB).await.code(),
        "TAINTED_SINK"
    );
    // Another process, in a task that was opened from the first.
    task(&fixture, again.task, |task| {
        task.parent = Some(first.task);
        task.root = Some(first.task);
    });
    assert_eq!(
        call(&fixture, again, &apart, SEND, TO_BOB).await.code(),
        "TAINTED_SINK"
    );
}

#[tokio::test]
async fn what_was_read_is_shown_only_to_who_may_see_it() {
    let fixture = office().await;
    let deliver = |to: &'static str| own_deliver(&fixture, to);
    let first = deliver("bob").await;
    assert_eq!(first.status(), 200, "{}", first.0);
    assert_eq!(own(&fixture, "GET /invoices/ledger", "").await.status(), 200);
    let refused = deliver("bob").await;
    assert_eq!(
        (refused.status(), refused.code()),
        (403, "READER_NOT_ALLOWED".into())
    );
    let shown = deliver("ann").await;
    assert_eq!(shown.status(), 200);
    assert!(shown.body().contains("\"deliver\":true"), "{}", shown.body());
    // Nothing of it went to an upstream.
    assert!(fixture.seen().iter().all(|seen| !seen.contains("deliver")));
    let nobody = own(&fixture, "POST /v1/deliver", "{}").await;
    assert_eq!(nobody.status(), 403);
}

async fn own_deliver(fixture: &Fixture, to: &str) -> Answer {
    own(fixture, "POST /v1/deliver", &format!("{{\"to\": \"{to}\"}}")).await
}

#[tokio::test]
async fn confidential_data_does_not_leave_whatever_was_said() {
    let fixture = office().await;
    assert_eq!(own(&fixture, "GET /invoices/ledger", "").await.status(), 200);
    let refused = own(&fixture, SEND, TO_BOB).await;
    assert_eq!(refused.code(), "READER_NOT_ALLOWED");
    assert_eq!(own(&fixture, READ, "").await.status(), 200);
    let entries = fixture.journal(4).await;
    assert!(
        entries
            .iter()
            .all(|entry| entry.event.kind != EventKind::GatewayBlocked || {
                let reasons = &entry.event.decision.as_ref().unwrap().reasons;
                reasons.contains(&"DATA_FLOW_WRITE_DOWN".to_owned())
            })
    );
    task(&fixture, fixture.agent().task, |task| {
        task.trusted = ["@corp.example".to_owned()].into();
    });
    let refused = own(&fixture, SEND, TO_BOB).await;
    assert_eq!(
        refused.status(),
        403,
        "untrusted content, confidential data and a way out"
    );
}

#[tokio::test]
async fn racing_payments_never_exceed_the_budget() {
    let fixture = office().await;
    let pay = r#"{"to": "DE12", "amount": 40}"#;
    let calls = (0..8).map(|_| own(&fixture, PAY, pay));
    let answers = futures_util::future::join_all(calls).await;
    let paid = answers.iter().filter(|answer| answer.status() == 200).count();
    assert_eq!(paid, 2);
    assert_eq!(
        fixture.seen().iter().filter(|seen| seen.contains("/pay")).count(),
        2
    );
}

#[tokio::test]
async fn what_is_no_amount_pays_nothing() {
    let fixture = office().await;
    for body in [r#"{"to": "DE12", "amount": -40}"#, r#"{"to": "DE12"}"#] {
        assert_eq!(
            own(&fixture, PAY, body).await.code(),
            "BUDGET_EXHAUSTED",
            "{body}"
        );
    }
    assert!(fixture.seen().is_empty());
}

#[tokio::test]
async fn a_storm_of_refusals_ends_the_task_and_nothing_else() {
    let fixture = office().await;
    for _ in 0..3 {
        let refused = own(&fixture, PAY, r#"{"to": "DE12", "amount": 500}"#).await;
        assert_eq!(refused.code(), "BUDGET_EXHAUSTED");
    }
    let over = own(&fixture, READ, "").await;
    assert_eq!((over.status(), over.code()), (403, "BUDGET_EXHAUSTED".into()));
    // Another run of the same agent, and another agent, go on.
    for agent in &fixture.agents[1..] {
        let claims = claims(&fixture, agent, "invoices");
        assert_eq!(call(&fixture, agent, &claims, READ, "").await.status(), 200);
    }
}

#[tokio::test]
async fn sixty_four_ways_of_reading_and_sending_at_once_leak_nothing() {
    let fixture = office().await;
    let each = (0..64).map(|_| async {
        let read = own(&fixture, READ, "").await.status();
        // Whoever has the answer sends it on at once.
        let sent = own(&fixture, SEND, TO_BOB).await;
        (read, sent.status())
    });
    for (read, sent) in futures_util::future::join_all(each).await {
        // Enough refusals end the task: then nothing is read any more either.
        assert!(read == 200 || read == 403, "{read}");
        assert_eq!(sent, 403);
    }
    assert!(fixture.seen().iter().all(|seen| !seen.starts_with("POST")));
}

#[tokio::test]
async fn a_human_lowers_labels_once() {
    let fixture = office().await;
    assert_eq!(own(&fixture, READ, "").await.status(), 200);
    assert_eq!(own(&fixture, SEND, TO_BOB).await.code(), "TAINTED_SINK");
    fixture.change(Change::TaskDeclassified {
        task: fixture.agent().task,
        org: fixture.org,
    });
    assert_eq!(own(&fixture, SEND, TO_BOB).await.status(), 200);
    assert_eq!(own(&fixture, READ, "").await.status(), 200);
    assert_eq!(own(&fixture, SEND, TO_BOB).await.code(), "TAINTED_SINK");
}

#[tokio::test]
async fn what_entries_say_is_enough_to_go_on_after_a_crash() {
    let fixture = office().await;
    assert_eq!(own(&fixture, READ, "").await.status(), 200);
    assert_eq!(
        own(&fixture, PAY, r#"{"to": "DE12", "amount": 90}"#).await.code(),
        "TAINTED_SINK"
    );
    drop(fixture.journal(2).await);
    let recovered = std::sync::Arc::new(store::ledger::Ledger::default());
    recovered.recover(&fixture.journal).unwrap();
    let world = fixture.worlds.borrow().clone();
    let task = world.task(OrgScope::Every, fixture.agent().task).unwrap();
    let reservation = recovered.gather(&store::ledger::Request {
        links: &[],
        task,
        instance: fixture.agents[1].instance,
        audience: &"invoices".parse().unwrap(),
        wants: store::ledger::Wants::Credential { actions: &[] },
        now: now(),
    });
    let gathered = reservation.gathered();
    assert!(gathered.labels.taint.contains("mail.read"));
    assert_eq!(gathered.trail.calls, 1);
}

#[tokio::test]
async fn a_crash_does_not_lower_what_was_read_since_a_human_did() {
    let fixture = office().await;
    assert_eq!(own(&fixture, READ, "").await.status(), 200);
    fixture.change(Change::TaskDeclassified {
        task: fixture.agent().task,
        org: fixture.org,
    });
    assert_eq!(own(&fixture, READ, "").await.status(), 200);
    drop(fixture.journal(4).await);
    let recovered = std::sync::Arc::new(store::ledger::Ledger::default());
    recovered.recover(&fixture.journal).unwrap();
    let world = fixture.worlds.borrow().clone();
    let reservation = recovered.gather(&store::ledger::Request {
        links: &[],
        task: world.task(OrgScope::Every, fixture.agent().task).unwrap(),
        instance: fixture.agent().instance,
        audience: &"invoices".parse().unwrap(),
        wants: store::ledger::Wants::Credential { actions: &[] },
        now: now(),
    });
    assert!(reservation.gathered().labels.taint.contains("mail.read"));
}

/// The token of the second agent, on behalf of `user` and the first one.
fn chained(fixture: &Fixture, user: Option<&str>) -> AccessTokenClaims {
    let [first, second, _] = &fixture.agents;
    let mut claims = claims(fixture, second, "invoices");
    let agent = |agent: &Actor1| Actor {
        kind: ActorKind::AiAgent,
        issuer: crate::fixture::ISSUER.into(),
        id: agent.spiffe.clone(),
    };
    let user = user.map(|user| Actor {
        kind: ActorKind::User,
        issuer: "https://login.test".into(),
        id: user.into(),
    });
    let actors: Vec<Actor> = user.into_iter().chain([agent(first), agent(second)]).collect();
    claims.chain = ActorChain::try_from(actors).unwrap();
    claims.task = Some(first.task);
    claims
}

#[tokio::test]
async fn every_party_of_a_chain_is_judged_at_every_call() {
    let fixture = office().await;
    let second = &fixture.agents[1];
    let read = async |user: Option<&str>| call(&fixture, second, &chained(&fixture, user), READ, "").await;
    assert_eq!(read(None).await.status(), 200);
    // Of an issuer that nobody trusts.
    assert_eq!(read(Some("ann")).await.status(), 401);
    fixture.change(Change::TrustSourceSet(TrustSource {
        org: fixture.org,
        issuer: "https://login.test".into(),
        audience: "tabard".into(),
        keys: r#"{"keys":[]}"#.into(),
        rights: None,
        pdp: None,
    }));
    // A user of whom nobody knows anything.
    assert_eq!(read(Some("ann")).await.status(), 401);
    let names = |names: &[&str]| names.iter().map(|text| name(text)).collect::<BTreeSet<Name>>();
    let ann = User {
        org: fixture.org,
        issuer: "https://login.test".into(),
        subject: "ann".into(),
        groups: BTreeSet::new(),
        rights: vec![UserRight {
            agents: names(&["demo-0", "demo-1"]),
            services: ["invoices".parse().unwrap()].into(),
            actions: names(&["mail.read"]),
            tenants: names(&["acme-eu"]),
        }],
        expires_at: now().plus_secs(60),
    };
    fixture.change(Change::UserSet(ann.clone()));
    assert_eq!(read(Some("ann")).await.status(), 200);
    let ledger = call(
        &fixture,
        second,
        &chained(&fixture, Some("ann")),
        "GET /invoices/ledger",
        "",
    )
    .await;
    assert_eq!(ledger.code(), "USER_NOT_ENTITLED");
    let only_one = User {
        rights: vec![UserRight {
            agents: names(&["demo-1"]),
            ..ann.rights[0].clone()
        }],
        ..ann
    };
    fixture.change(Change::UserSet(only_one));
    assert_eq!(read(Some("ann")).await.code(), "CHAIN_LINK_DENIED");

    let entries = fixture.journal(8).await;
    let blocked = entries
        .iter()
        .rfind(|entry| entry.event.kind == EventKind::GatewayBlocked)
        .unwrap();
    let verdicts: Vec<_> = blocked.event.chain.iter().map(|link| link.verdict).collect();
    assert_eq!(verdicts, [None, Some(Deny), Some(Allow)]);
    assert!(blocked.event.chain[0].id != "ann", "a person's name is committed");

    // Who was stopped takes the whole chain along.
    fixture.change(Change::AgentStateSet {
        agent: fixture.agent().id,
        org: fixture.org,
        state: AgentState::Suspended,
    });
    assert_eq!(read(None).await.status(), 401);
}

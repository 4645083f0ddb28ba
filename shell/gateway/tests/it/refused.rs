//! Who is refused before anybody knows who it is, and tokens in the wrong hands.

use crate::fixture::{Actor1, Answer, Fixture, Wish, now};
use audit::EventKind;
use broker::Change;
use broker::world::Task;
use credential::{Binding, NonceKey};
use identity::{OrgScope, Revision, Secret};
use std::time::Duration;

const PATH: &str = "/invoices/tenants/acme-eu/invoices/1";

async fn get(fixture: &Fixture, credentials: &str) -> Answer {
    fixture
        .raw(&format!(
            "GET {PATH} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{credentials}\r\n",
            fixture.address
        ))
        .await
}

fn url(fixture: &Fixture) -> String {
    format!("http://{}{PATH}", fixture.address)
}

#[tokio::test]
async fn callers_without_a_good_token_are_counted_and_cannot_fill_the_journal() {
    let fixture = Fixture::new().await;
    let token = fixture.token(fixture.agent(), "invoices");
    let forged = token.replace('.', "x.");
    let forged = fixture.credentials_with(fixture.agent(), &forged, "GET", &url(&fixture));
    for _ in 0..20 {
        assert_eq!(get(&fixture, "").await.status(), 401);
        assert_eq!(get(&fixture, &forged).await.status(), 401);
        assert_eq!(
            get(&fixture, &format!("Authorization: DPoP {token}\r\n"))
                .await
                .status(),
            401
        );
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let size = fixture.journal.log().size();
    let entries = fixture.journal(size).await;
    assert!(
        (1..10).contains(&entries.len()),
        "60 refusals are few entries: {}",
        entries.len()
    );
    let mut sum = std::collections::BTreeMap::<String, u64>::new();
    for entry in &entries {
        assert_eq!(entry.event.kind, EventKind::RefusalsCounted);
        assert_eq!(entry.event.detail["source"], "127.0.0.1");
        for (code, times) in entry.event.detail["counts"].as_object().unwrap() {
            *sum.entry(code.clone()).or_default() += times.as_u64().unwrap();
        }
    }
    let expected = [
        ("PROOF_INVALID", 20),
        ("TOKEN_INVALID", 20),
        ("TOKEN_MISSING", 20),
    ];
    assert_eq!(sum, expected.map(|(code, times)| (code.to_owned(), times)).into());
    // Whoever is known is recorded singly, and not counted.
    assert_eq!(
        fixture.get("/invoices/tenants/acme-us/invoices/1").await.status(),
        403
    );
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let size = fixture.journal.log().size();
    let last = fixture.journal(size).await.pop().unwrap();
    assert_eq!(last.event.kind, EventKind::GatewayBlocked);
}

#[tokio::test]
async fn a_token_of_one_task_is_no_token_of_another_task_of_the_same_agent() {
    let fixture = Fixture::new().await;
    let [one, _, second] = &fixture.agents;
    assert!(one.id == second.id && one.task != second.task);
    let token = fixture.token(one, "invoices");
    // In the hands of the agent's other run, which has a key of its own.
    let stolen = |agent: &Actor1| fixture.credentials_with(agent, &token, "GET", &url(&fixture));
    let refused = get(&fixture, &stolen(second)).await;
    assert_eq!((refused.status(), refused.code()), (401, "PROOF_INVALID".into()));
    // Where headers and body say another task, nobody reads it: the task is the signed one.
    let lines = format!(
        "{}Tabard-Task: {}\r\nX-Task: {}\r\n",
        stolen(one),
        second.task,
        second.task
    );
    assert_eq!(get(&fixture, &lines).await.status(), 200);
    let entries = fixture.journal(2).await;
    let call = entries
        .into_iter()
        .find(|it| it.event.kind == EventKind::GatewayCall)
        .unwrap();
    assert_eq!(call.event.why.unwrap().task, Some(one.task));
    // The issuer's signature over the task holds: another task in the claims needs its key.
    let mut claims = fixture.claims(
        one,
        "invoices",
        Revision(1),
        Binding::Key(one.key.public.thumbprint()),
    );
    claims.task = Some(second.task);
    let other = fixture.sign(&claims);
    let (good, bad): (Vec<_>, Vec<_>) = (token.split('.').collect(), other.split('.').collect());
    let spliced = [good[0], bad[1], good[2]].join(".");
    let refused = get(
        &fixture,
        &fixture.credentials_with(one, &spliced, "GET", &url(&fixture)),
    )
    .await;
    assert_eq!((refused.status(), refused.code()), (401, "TOKEN_INVALID".into()));
    // The end of its task ends it, and leaves the other run alone.
    fixture.change(Change::TaskClosed {
        task: one.task,
        org: fixture.org,
    });
    // Decided on that state, so that the gateway waits for it.
    let late = fixture.token_at(one, "invoices", Revision(2));
    let late = fixture.credentials_with(one, &late, "GET", &url(&fixture));
    assert_eq!(get(&fixture, &late).await.status(), 401);
    let theirs = fixture.token(second, "invoices");
    let theirs = fixture.credentials_with(second, &theirs, "GET", &url(&fixture));
    assert_eq!(get(&fixture, &theirs).await.status(), 200);
}

#[tokio::test]
async fn where_nonces_are_asked_for_a_proof_without_one_of_ours_is_worth_nothing() {
    let key = || NonceKey::new(&Secret::new([3; 32]), 1);
    let fixture = Fixture::with(Wish {
        nonces: Some(key()),
        ..Wish::default()
    })
    .await;
    let (agent, url) = (fixture.agent(), url(&fixture));
    let token = fixture.token(agent, "invoices");
    let with = |nonce: Option<&str>| {
        let proof = fixture.proof_with(&agent.key, &token, "GET", &url, nonce);
        format!("Authorization: DPoP {token}\r\nDPoP: {proof}\r\n")
    };
    let first = get(&fixture, &with(None)).await;
    assert_eq!((first.status(), first.code()), (401, "PROOF_NONCE".into()));
    let challenge = first.header("www-authenticate").unwrap();
    assert!(challenge.contains("error=\"use_dpop_nonce\""), "{challenge}");
    let nonce = first.header("dpop-nonce").unwrap().to_owned();
    let invented = get(&fixture, &with(Some("AAAAAAAAAAAAAAAAAAAAAA"))).await;
    assert_eq!(invented.status(), 401);
    // Of another start of the same gateway, or of an hour ago.
    let before = NonceKey::new(&Secret::new([3; 32]), 0).make(now());
    assert_eq!(get(&fixture, &with(Some(&before))).await.status(), 401);
    let old = key().make(now().minus_secs(3600));
    assert_eq!(get(&fixture, &with(Some(&old))).await.status(), 401);
    assert!(fixture.seen().is_empty());
    let good = get(&fixture, &with(Some(&nonce))).await;
    assert_eq!(good.status(), 200, "{}", good.0);
    assert!(good.header("dpop-nonce").is_some());
}

#[tokio::test]
async fn a_call_whose_tenant_nobody_can_tell_is_refused() {
    let fixture = Fixture::new().await;
    let agent = fixture.agent();
    // A name that no tenant can have.
    let odd = fixture.get("/invoices/tenants/Acme%20EU/invoices/1").await;
    assert_eq!(
        (odd.status(), odd.code()),
        (400, "TENANT_MISSING".into()),
        "{}",
        odd.0
    );
    // A task without a tenant, on a route that says none either.
    let world = fixture.worlds.borrow().clone();
    let mut task = Task::clone(world.task(OrgScope::Every, agent.task).unwrap());
    task.tenant = None;
    fixture.change(Change::TaskOpened(task));
    // A token of that revision makes the gateway wait for it.
    let task = agent.task;
    let binding = Binding::Key(agent.key.public.thumbprint());
    let mut claims = fixture.claims(agent, "payroll", Revision(2), binding);
    claims.task = Some(task);
    for details in &mut claims.details {
        details.task = Some(task);
    }
    let token = fixture.sign(&claims);
    let url = format!("http://{}/payroll/totals", fixture.address);
    let credentials = fixture.credentials_with(agent, &token, "GET", &url);
    let answer = fixture
        .raw(&format!(
            "GET /payroll/totals HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{credentials}\r\n",
            fixture.address
        ))
        .await;
    assert_eq!(answer.status(), 403, "{}", answer.0);
    assert!(fixture.seen().is_empty());
    let blocked = fixture.journal(2).await.pop().unwrap();
    let reasons = &blocked.event.decision.as_ref().unwrap().reasons;
    assert!(reasons.contains(&"TENANT_BOUNDARY".to_owned()), "{reasons:?}");
}

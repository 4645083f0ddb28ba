//! Revoked means now: new calls are refused, calls in flight are cut.

use crate::fixture::Fixture;
use broker::world::Target;
use std::time::Duration;
use tabard_gateway::FeedHealth;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

const PATH: &str = "/invoices/tenants/acme-eu/invoices/1";

/// A stream of events in flight.
async fn events(fixture: &Fixture) -> TcpStream {
    let mut stream = fixture.events().await;
    let mut buffer = [0; 4096];
    assert!(stream.read(&mut buffer).await.unwrap() > 0);
    assert!(String::from_utf8_lossy(&buffer).starts_with("HTTP/1.1 200 "));
    stream
}

/// How long the stream still goes on.
async fn until_cut(mut stream: TcpStream) -> Duration {
    let began = Instant::now();
    let mut rest = Vec::new();
    let _reset = timeout(Duration::from_secs(4), stream.read_to_end(&mut rest))
        .await
        .expect("it was not cut");
    assert!(!rest.ends_with(b"0\r\n\r\n"), "it ended as if it were complete");
    began.elapsed()
}

#[tokio::test]
async fn a_revoked_agent_is_cut_in_the_middle_and_another_is_not() {
    let fixture = Fixture::new().await;
    let stream = events(&fixture).await;
    fixture.revoke(Target::Agent(fixture.agent().id));
    assert!(until_cut(stream).await <= Duration::from_millis(250));
    let entries = fixture.journal(2).await;
    assert_eq!(
        entries[1].event.outcome.as_ref().unwrap().error.as_deref(),
        Some("cut_by_revocation")
    );

    let refused = fixture.get(PATH).await;
    assert_eq!((refused.status(), refused.code()), (401, "TOKEN_INVALID".into()));
    assert!(
        refused
            .header("www-authenticate")
            .unwrap()
            .contains("error=\"invalid_token\"")
    );
    let [_, other, _] = &fixture.agents;
    let token = fixture.token(other, "invoices");
    let credentials =
        fixture.credentials_with(other, &token, "GET", &format!("http://{}{PATH}", fixture.address));
    let request = format!(
        "GET {PATH} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{credentials}\r\n",
        fixture.address
    );
    assert_eq!(fixture.raw(&request).await.status(), 200);
}

#[tokio::test]
async fn every_dimension_of_a_token_can_be_revoked() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.get(PATH).await.status(), 200);
    let task = fixture.agent().task;
    fixture.revoke(Target::Task(task));
    assert_eq!(fixture.get(PATH).await.status(), 401);
    let fixture = Fixture::new().await;
    fixture.revoke(Target::Org(fixture.org));
    assert_eq!(fixture.get(PATH).await.status(), 401);
    let fixture = Fixture::new().await;
    fixture.change(broker::Change::TaskClosed {
        task: fixture.agent().task,
        org: fixture.org,
    });
    assert_eq!(fixture.get(PATH).await.status(), 401);
}

#[tokio::test]
async fn a_gateway_that_hears_nobody_closes_every_route() {
    let fixture = Fixture::new().await;
    let stream = events(&fixture).await;
    let heard = Instant::now().checked_sub(Duration::from_millis(2_800)).unwrap();
    fixture.feed.send_replace(FeedHealth::Heard(heard));
    assert_eq!(fixture.get(PATH).await.status(), 200);
    assert!(until_cut(stream).await <= Duration::from_millis(700));
    let answer = fixture.get(PATH).await;
    assert_eq!((answer.status(), answer.code()), (503, "FEED_LOST".into()));
    fixture.feed.send_replace(FeedHealth::Heard(Instant::now()));
    tokio::time::sleep(Duration::from_millis(120)).await;
    assert_eq!(fixture.get(PATH).await.status(), 200);
}

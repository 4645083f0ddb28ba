//! Upstream tokens by client credentials: fetched once for whom they are for, and for nobody else.

use crate::fixture::{Actor1, CLIENT_SECRET, Fixture};
use std::collections::{BTreeMap, BTreeSet};

const PATH: &str = "/payroll/totals";

fn request(fixture: &Fixture, agent: &Actor1) -> String {
    let token = fixture.token(agent, "payroll");
    let credentials =
        fixture.credentials_with(agent, &token, "GET", &format!("http://{}{PATH}", fixture.address));
    let marker = agent.id;
    format!(
        "GET {PATH} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nX-Marker: {marker}\r\nX-Tenant: acme-us\r\n{credentials}\r\n",
        fixture.address
    )
}

#[tokio::test]
async fn two_agents_in_lock_step_never_share_a_token() {
    let fixture = Fixture::new().await;
    let [one, two, _] = &fixture.agents;
    let requests: Vec<String> = (0..20)
        .map(|n| request(&fixture, if n % 2 == 0 { one } else { two }))
        .collect();
    let answers = futures_util::future::join_all(requests.iter().map(|request| fixture.raw(request))).await;
    for answer in &answers {
        assert_eq!(
            (answer.status(), answer.body()),
            (200, "{\"total\":1}"),
            "{}",
            answer.0
        );
    }
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let seen = fixture.seen();
    let line = |text: &str, name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_default()
            .to_owned()
    };
    for text in seen.iter().filter(|text| text.starts_with("GET /totals ")) {
        assert_eq!(line(text, "x-tenant: "), "acme-eu");
        used.entry(line(text, "x-marker: "))
            .or_default()
            .insert(line(text, "authorization: "));
    }
    let fetched = seen
        .iter()
        .filter(|text| text.starts_with("POST /token "))
        .count();
    assert_eq!((used.len(), fetched), (2, 2), "one fetch each: {used:?}");
    let tokens: BTreeSet<&String> = used.values().flatten().collect();
    assert_eq!(tokens.len(), 2, "{used:?}");
    assert!(answers.iter().all(|answer| !answer.0.contains(CLIENT_SECRET)));
}

#[tokio::test]
async fn a_token_that_the_upstream_refuses_is_fetched_once_more() {
    let fixture = Fixture::new().await;
    let answer = fixture.send("GET", PATH, "X-Refuse-First: yes\r\n", "").await;
    assert_eq!(
        (answer.status(), answer.body()),
        (200, "{\"total\":1}"),
        "{}",
        answer.0
    );
    let seen = fixture.seen();
    let fetched = seen
        .iter()
        .filter(|text| text.starts_with("POST /token "))
        .count();
    let asked = seen
        .iter()
        .filter(|text| text.starts_with("GET /totals "))
        .count();
    assert_eq!((fetched, asked), (2, 2));
    assert_eq!(fixture.journal(2).await.len(), 2);
}

//! Tokens and proofs: 401 and 403 in the shapes of RFC 6750 and RFC 9449.

use crate::fixture::now;
use crate::fixture::{Fixture, Key};
use audit::EventKind;
use broker::upstream::Upstream;
use broker::world::{Change, Org};
use credential::Binding;
use identity::{LogId, OrgId, OrgScope, Revision, UpstreamId};

const PATH: &str = "/invoices/tenants/acme-eu/invoices/1";

fn request(fixture: &Fixture, credentials: &str) -> String {
    format!(
        "GET {PATH} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{credentials}\r\n",
        fixture.address
    )
}

#[tokio::test]
async fn every_request_proves_the_key_of_its_token_anew() {
    let fixture = Fixture::new().await;
    let url = format!("http://{}{PATH}", fixture.address);
    let agent = fixture.agent();
    let token = fixture.token(agent, "invoices");

    let bare = fixture.raw(&request(&fixture, "")).await;
    assert_eq!((bare.status(), bare.code()), (401, "TOKEN_MISSING".into()));
    assert!(
        bare.header("www-authenticate")
            .unwrap()
            .starts_with("DPoP algs=\"ES256 "),
        "{}",
        bare.0
    );

    let good = fixture.credentials_with(agent, &token, "GET", &url);
    assert_eq!(fixture.raw(&request(&fixture, &good)).await.status(), 200);
    let replayed = fixture.raw(&request(&fixture, &good)).await;
    assert_eq!(
        (replayed.status(), replayed.code()),
        (401, "PROOF_INVALID".into())
    );
    assert!(
        replayed
            .header("www-authenticate")
            .unwrap()
            .contains("error=\"invalid_dpop_proof\"")
    );

    let thief = Key::new();
    let stolen = format!(
        "Authorization: DPoP {token}\r\nDPoP: {}\r\n",
        fixture.proof(&thief, &token, "GET", &url)
    );
    let other_method = fixture.credentials_with(agent, &token, "POST", &url);
    let other_url = fixture.credentials_with(agent, &token, "GET", &format!("{url}0"));
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let no_proof = format!("Authorization: DPoP {token}\r\n");
    let two_tokens = format!(
        "{}Authorization: DPoP {token}\r\n",
        fixture.credentials_with(agent, &token, "GET", &url)
    );
    let other_audience = fixture.credentials_with(agent, &fixture.token(agent, "payroll"), "GET", &url);
    let unknown_audience = fixture.credentials_with(agent, &fixture.token(agent, "mail"), "GET", &url);
    let broken = token.replace('.', "x.");
    let forged = fixture.credentials_with(agent, &broken, "GET", &url);
    for credentials in [
        stolen,
        other_method,
        other_url,
        bearer,
        no_proof,
        two_tokens,
        other_audience,
        unknown_audience,
        forged,
    ] {
        let answer = fixture.raw(&request(&fixture, &credentials)).await;
        assert_eq!(answer.status(), 401, "{}", answer.0);
        assert!(answer.header("www-authenticate").is_some());
    }
    assert_eq!(fixture.seen().len(), 1);
}

#[tokio::test]
async fn a_token_newer_than_the_world_waits_and_is_never_guessed_about() {
    let fixture = Fixture::new().await;
    let url = format!("http://{}{PATH}", fixture.address);
    let ahead = |revision| {
        let token = fixture.token_at(fixture.agent(), "invoices", Revision(revision));
        request(
            &fixture,
            &fixture.credentials_with(fixture.agent(), &token, "GET", &url),
        )
    };
    let answer = fixture.raw(&ahead(2)).await;
    assert_eq!((answer.status(), answer.code()), (503, "BEHIND".into()));
    let second = ahead(2);
    let waiting = fixture.raw(&second);
    let catch_up = async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        fixture.revoke(broker::world::Target::Org(OrgId::from_u128(1)));
    };
    let (answer, ()) = tokio::join!(waiting, catch_up);
    assert_eq!(answer.status(), 200, "{}", answer.0);
}

#[tokio::test]
async fn a_rate_is_a_limit_for_racing_calls_too() {
    let fixture = Fixture::with_rate(5).await;
    let calls = (0..12).map(|_| fixture.get(PATH));
    let answers = futures_util::future::join_all(calls).await;
    let mut statuses: Vec<u16> = answers.iter().map(crate::fixture::Answer::status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [[200; 5].as_slice(), &[429; 7]].concat());
    let limited = answers.iter().find(|answer| answer.status() == 429).unwrap();
    assert_eq!(limited.code(), "RATE_LIMITED");
    assert!(limited.header("retry-after").is_some());
    let entries = fixture.journal(17).await;
    let blocked = entries
        .iter()
        .filter(|entry| entry.event.kind == EventKind::GatewayBlocked)
        .count();
    assert_eq!((entries.len(), blocked), (17, 7));
}

#[tokio::test]
async fn nothing_of_another_org_is_reached() {
    let fixture = Fixture::new().await;
    let agent = fixture.agent();
    let world = fixture.worlds.borrow().clone();
    let rivals = OrgId::mint(now(), LogId(7), 99).at(Revision(2));
    let mut theirs = world
        .upstreams(OrgScope::Every)
        .find(|upstream| upstream.name.as_str() == "invoices")
        .map(|upstream| Upstream::clone(upstream))
        .unwrap();
    theirs.id = UpstreamId::mint(now(), LogId(7), 98).at(Revision(3));
    theirs.org = rivals;
    theirs.name = "rivals".parse().unwrap();
    theirs.audience = "rivals".parse().unwrap();
    fixture.change(Change::OrgCreated(Org {
        id: rivals,
        name: "rivals".parse().unwrap(),
    }));
    fixture.change(Change::UpstreamPublished(theirs));
    let call = async |audience: &str, org: OrgId, path: &str| {
        let binding = Binding::Key(agent.key.public.thumbprint());
        let mut claims = fixture.claims(agent, audience, Revision(3), binding);
        claims.org = org;
        let url = format!("http://{}{path}", fixture.address);
        let credentials = fixture.credentials_with(agent, &fixture.sign(&claims), "GET", &url);
        let host = fixture.address;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{credentials}\r\n");
        fixture.raw(&request).await.status()
    };
    // Their upstream, with a token of our org: there is none of that name here.
    let path = "/rivals/tenants/acme-eu/invoices/1";
    assert_eq!(call("rivals", fixture.org, path).await, 403);
    // A token that says it is theirs, for an agent that is not: no such agent there.
    assert_eq!(call("rivals", rivals, path).await, 401);
    // And with theirs on ours.
    assert_eq!(call("invoices", rivals, PATH).await, 403);
    assert!(fixture.seen().is_empty());
}

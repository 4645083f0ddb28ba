//! Calls for somebody else: a user through an agent, and that through another. Every party is judged at every call.

use crate::fixture::{Answer, Fixture};
use audit::EventKind;
use audit::event::LinkVerdict;
use broker::Change;
use broker::world::{Agent, AgentState, ContractRecord, TrustSource, User, UserRight};
use credential::Binding;
use identity::{Actor, ActorChain, ActorKind, OrgScope, Revision};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATH: &str = "/invoices/tenants/acme-eu/invoices/1";
const IDP: &str = "https://idp.example";
const ANN: &str = "ann-4711";
/// The revision of a World that was furnished.
const DECIDED: u64 = 5;

/// What Ann may do through these agents.
fn ann(fixture: &Fixture, agents: &[&str]) -> Change {
    Change::UserSet(User {
        org: fixture.org,
        issuer: IDP.into(),
        subject: ANN.into(),
        groups: std::collections::BTreeSet::new(),
        rights: vec![UserRight {
            agents: agents.iter().map(|name| name.parse().unwrap()).collect(),
            services: ["invoices".parse().unwrap()].into(),
            actions: ["invoices.read".parse().unwrap()].into(),
            tenants: ["acme-eu".parse().unwrap()].into(),
        }],
        expires_at: crate::fixture::now().plus_secs(3600),
    })
}

/// Gives the first agent the contract with another end.
fn contract(fixture: &Fixture, version: u64, more: &str) {
    let world = fixture.worlds.borrow().clone();
    let scope = OrgScope::Only(fixture.org);
    let agent = world.agent(scope, fixture.agent().id).unwrap();
    let record = world.contracts(scope).find(|record| record.version == 1).unwrap();
    let source = record
        .source
        .replace("version: 1", &format!("version: {version}"));
    let source = format!("{source}{more}");
    let parsed = policy::Contract::parse("demo.yaml", source.as_bytes()).unwrap();
    let hash = policy::Compiled::new(parsed).unwrap().hash().0;
    fixture.change(Change::ContractPublished(ContractRecord {
        hash,
        version,
        source: source.into(),
        ..ContractRecord::clone(record)
    }));
    fixture.change(Change::AgentUpdated(Agent {
        contract: hash,
        ..Agent::clone(agent)
    }));
}

/// A fixture in which Ann may act through both agents, and the first may pass on to the second.
async fn furnished() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.change(Change::TrustSourceSet(TrustSource {
        org: fixture.org,
        issuer: IDP.into(),
        audience: "tabard".into(),
        keys: "{\"keys\":[]}".into(),
        rights: None,
        pdp: None,
    }));
    fixture.change(ann(&fixture, &["demo-0", "demo-1"]));
    contract(&fixture, 2, "delegation: {may_delegate_to: [demo-1]}\n");
    fixture
}

/// One call of the second agent for the first, which acts for Ann.
async fn call(fixture: &Fixture) -> Answer {
    fixture.raw(&request(fixture, PATH)).await
}

/// A call whose answer has begun.
async fn begun(fixture: &Fixture, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(fixture.address).await.unwrap();
    stream.write_all(request(fixture, path).as_bytes()).await.unwrap();
    let mut buffer = [0; 4096];
    assert!(stream.read(&mut buffer).await.unwrap() > 0);
    assert!(String::from_utf8_lossy(&buffer).starts_with("HTTP/1.1 200 "));
    stream
}

fn request(fixture: &Fixture, path: &str) -> String {
    let [first, second, _] = &fixture.agents;
    let binding = Binding::Key(second.key.public.thumbprint());
    let mut claims = fixture.claims(second, "invoices", Revision(DECIDED), binding);
    let agents = [fixture.agent(), second].map(|agent| {
        let world = fixture.worlds.borrow().clone();
        let known = world.agent(OrgScope::Every, agent.id).unwrap();
        Actor {
            kind: ActorKind::AiAgent,
            issuer: crate::fixture::ISSUER.into(),
            id: known.spiffe_id.to_string(),
        }
    });
    let ann = Actor {
        kind: ActorKind::User,
        issuer: IDP.into(),
        id: ANN.into(),
    };
    claims.chain = agents
        .into_iter()
        .fold(ActorChain::starting_with(ann), |chain, agent| {
            chain.extended(agent).unwrap()
        });
    claims.task = Some(first.task);
    let token = fixture.sign(&claims);
    let url = format!("http://{}{path}", fixture.address);
    let credentials = fixture.credentials_with(second, &token, "GET", &url);
    format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{credentials}\r\n",
        fixture.address
    )
}

#[tokio::test]
async fn a_call_through_two_agents_has_a_verdict_for_each() {
    let fixture = furnished().await;
    let answer = call(&fixture).await;
    assert_eq!(answer.status(), 200, "{}", answer.0);
    assert_eq!(fixture.seen().len(), 1);
    let entries = fixture.journal(1).await;
    let event = &entries[0].event;
    assert_eq!(event.kind, EventKind::GatewayCall);
    let verdicts: Vec<_> = event.chain.iter().map(|link| link.verdict).collect();
    assert_eq!(
        verdicts,
        [None, Some(LinkVerdict::Allow), Some(LinkVerdict::Allow)]
    );
    assert!(event.chain.iter().all(|link| !link.id.contains(ANN)));
    assert_eq!(event.why.as_ref().unwrap().task, Some(fixture.agent().task));
}

#[tokio::test]
async fn the_next_call_is_refused_once_any_party_may_not() {
    // The user's rights are taken back, or reach through the first agent only.
    let fixture = furnished().await;
    assert_eq!(call(&fixture).await.status(), 200);
    fixture.change(ann(&fixture, &["demo-0"]));
    let answer = call(&fixture).await;
    assert_eq!(
        (answer.status(), answer.code()),
        (403, "USER_NOT_ENTITLED".into())
    );
    fixture.change(Change::UserRemoved {
        org: fixture.org,
        issuer: IDP.into(),
        subject: ANN.into(),
    });
    ended(&fixture, "USER_NOT_ENTITLED").await;

    // Their issuer is trusted no more.
    let fixture = furnished().await;
    fixture.change(Change::TrustSourceRemoved {
        org: fixture.org,
        issuer: IDP.into(),
    });
    ended(&fixture, "USER_NOT_ENTITLED").await;

    // The agent in the middle is suspended.
    let fixture = furnished().await;
    fixture.change(Change::AgentStateSet {
        agent: fixture.agent().id,
        org: fixture.org,
        state: AgentState::Suspended,
    });
    ended(&fixture, "KILL_SWITCH").await;

    // Or its contract names the other no more: whose verdict that was stands in the entry.
    let fixture = furnished().await;
    contract(&fixture, 3, "");
    let answer = call(&fixture).await;
    assert_eq!(
        (answer.status(), answer.code()),
        (403, "CHAIN_LINK_DENIED".into())
    );
    let entries = fixture.journal(1).await;
    let verdicts: Vec<_> = entries[0].event.chain.iter().map(|link| link.verdict).collect();
    assert_eq!(
        verdicts,
        [None, Some(LinkVerdict::Deny), Some(LinkVerdict::Allow)]
    );

    // Its task is over.
    let fixture = furnished().await;
    fixture.change(Change::TaskClosed {
        task: fixture.agent().task,
        org: fixture.org,
    });
    ended(&fixture, "TASK_EXPIRED").await;
    assert!(fixture.seen().is_empty());
}

/// The token is dead: the caller learns that, and the entry says why.
async fn ended(fixture: &Fixture, code: &str) {
    let answer = call(fixture).await;
    assert_eq!((answer.status(), answer.code()), (401, "TOKEN_INVALID".into()));
    let entries = fixture.journal(1).await;
    let last = &entries.last().unwrap().event;
    assert_eq!(last.kind, EventKind::GatewayBlocked);
    assert_eq!(last.decision.as_ref().unwrap().reasons, [code]);
}

#[tokio::test]
async fn a_call_in_flight_ends_with_the_users_rights() {
    let fixture = furnished().await;
    let mut stream = begun(&fixture, "/invoices/tenants/acme-eu/invoices/events").await;
    fixture.change(Change::UserRemoved {
        org: fixture.org,
        issuer: IDP.into(),
        subject: ANN.into(),
    });
    let mut rest = Vec::new();
    let _reset = timeout(Duration::from_secs(2), stream.read_to_end(&mut rest))
        .await
        .expect("it was not cut");
    assert!(!rest.ends_with(b"0\r\n\r\n"), "it ended as if it were complete");
}

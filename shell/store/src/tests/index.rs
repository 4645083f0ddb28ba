//! Entries are found at once, indexed or not, and only by those who may.

use super::*;
use crate::{Query, UserKey};
use audit::event::{CommitmentKey, Link, Who, Why};
use identity::{Actor, ActorKind, AgentId, DecisionId, Secret};

fn call(n: u64, of: OrgId) -> Event {
    let mut event = permit(n, Some(of));
    event.at = NOW.plus_secs(n);
    event.who = Some(Who {
        agent: Some(AgentId::mint(NOW, LOG, n % 3)),
        ..Who::default()
    });
    event.why = Some(Why {
        task: Some(TaskId::mint(NOW, LOG, n % 5)),
        ..Why::default()
    });
    event.chain = vec![link(ActorKind::User, n % 7), link(ActorKind::AiAgent, n % 3)];
    if n.is_multiple_of(4) {
        event.kind = EventKind::TokenDenied;
        let decision = event.decision.as_mut().unwrap();
        decision.outcome = Ruling::Deny;
        decision.reasons = vec!["OUTSIDE_PURPOSE".into(), "TASK_SCOPE".into()];
    }
    event
}

/// The `n`th user or agent of an issuer.
fn link(kind: ActorKind, n: u64) -> Link {
    let actor = Actor {
        kind,
        issuer: "https://idp.example".into(),
        id: n.to_string(),
    };
    Link::of(&actor, None, &CommitmentKey::new(Secret::new([7; 32])))
}

fn orgs() -> (OrgId, OrgId) {
    (OrgId::mint(NOW, LOG, 1), OrgId::mint(NOW, LOG, 2))
}

fn record(store: &Store, from: u64, count: u64) {
    let (mine, other) = orgs();
    let events = (from..from + count).map(|n| call(n, if n % 2 == 0 { mine } else { other }));
    for receipt in wait(join_all(
        events.map(|event| store.write(Revision(0), vec![], vec![], event)),
    )) {
        receipt.unwrap();
    }
}

fn numbers(store: &Store, query: &Query) -> Vec<u64> {
    store
        .index()
        .find(query)
        .unwrap()
        .iter()
        .map(|found| found.index)
        .collect()
}

fn every(predicate: impl Fn(u64) -> bool, size: u64, limit: usize) -> Vec<u64> {
    (0..size).rev().filter(|n| predicate(*n)).take(limit).collect()
}

#[test]
fn a_decision_is_found_as_soon_as_it_is_durable_and_after_it_was_indexed() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    record(&store, 0, 600);
    let query = Query {
        decision: Some(DecisionId::random(NOW, LOG, 599)),
        ..Query::of(OrgScope::Every)
    };
    assert_eq!(numbers(&store, &query), [599]);
    until(|| store.health().indexed == 600);
    assert_eq!(numbers(&store, &query), [599]);
}

#[test]
fn every_question_has_the_same_answer_from_index_and_scan() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    record(&store, 0, 300);
    until(|| store.health().indexed == 300);
    record(&store, 300, 300); // partly indexed while we ask
    let all = Query::of(OrgScope::Every);
    let agent = Query {
        agent: Some(AgentId::mint(NOW, LOG, 1)),
        limit: 1000,
        ..all.clone()
    };
    assert_eq!(numbers(&store, &agent), every(|n| n % 3 == 1, 600, 1000));
    let task = Query {
        task: Some(TaskId::mint(NOW, LOG, 2)),
        ..all.clone()
    };
    assert_eq!(numbers(&store, &task), every(|n| n % 5 == 2, 600, 200));
    let of = |issuer: &str, link: &Link| Query {
        agent: Some(AgentId::mint(NOW, LOG, 1)),
        user: Some(UserKey::of(issuer, &link.id)),
        before: Some(580),
        limit: 9,
        ..all.clone()
    };
    let user = link(ActorKind::User, 4);
    let theirs = every(|n| n % 7 == 4 && n % 3 == 1 && n < 580, 600, 9);
    assert_eq!(numbers(&store, &of("https://idp.example", &user)), theirs);
    assert!(numbers(&store, &of("https://other.example", &user)).is_empty());
    // An agent further on in the chain is nobody whom it was done for.
    let agent = link(ActorKind::AiAgent, 1);
    assert!(numbers(&store, &of("https://idp.example", &agent)).is_empty());
    let denied = Query {
        kind: Some(EventKind::TokenDenied),
        before: Some(500),
        limit: 7,
        ..all.clone()
    };
    assert_eq!(numbers(&store, &denied), every(|n| n % 4 == 0 && n < 500, 600, 7));
    let reason = Query {
        reason: Some("TASK_SCOPE".into()),
        limit: 1000,
        ..all.clone()
    };
    assert_eq!(numbers(&store, &reason), every(|n| n % 4 == 0, 600, 1000));
    let time = Query {
        since: Some(NOW.plus_secs(290)),
        until: Some(NOW.plus_secs(310)),
        ..all
    };
    assert_eq!(
        numbers(&store, &time),
        every(|n| (290..310).contains(&n), 600, 200)
    );
}

#[test]
fn an_org_cannot_find_entries_of_another_org_or_of_the_installation() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    record(&store, 0, 10);
    fill(&store, 10, 2);
    for indexed in [false, true] {
        if indexed {
            until(|| store.health().indexed == 12);
        }
        let (mine, _) = orgs();
        assert_eq!(numbers(&store, &Query::of(OrgScope::Only(mine))), [8, 6, 4, 2, 0]);
        let theirs = Query {
            decision: Some(DecisionId::random(NOW, LOG, 3)),
            ..Query::of(OrgScope::Only(mine))
        };
        assert!(numbers(&store, &theirs).is_empty());
    }
}

#[test]
fn a_deleted_or_damaged_index_is_built_again() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    record(&store, 0, 400);
    until(|| store.health().indexed == 400);
    drop(store);
    let path = root.path().join("data/index.db");
    for damage in [None, Some(b"not a database".as_slice())] {
        match damage {
            None => std::fs::remove_file(&path).unwrap(),
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
        }
        let store = open(root.path());
        let reason = Query {
            reason: Some("TASK_SCOPE".into()),
            limit: 1000,
            ..Query::of(OrgScope::Every)
        };
        assert_eq!(numbers(&store, &reason), every(|n| n % 4 == 0, 400, 1000));
        until(|| store.health().indexed == 400);
        assert_eq!(numbers(&store, &reason), every(|n| n % 4 == 0, 400, 1000));
    }
}

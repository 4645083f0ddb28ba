//! What a commit promises, and what it refuses.

use super::*;
use crate::CommitError;
use audit::Entry;
use identity::EntryRef;

#[test]
fn a_commit_gives_entry_revision_and_the_stamped_id_and_the_world_shows_it() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (change, event) = org(7);
    let receipt = wait(store.write(Revision(0), vec![once(1, 60)], vec![change], event)).unwrap();
    assert_eq!(
        (receipt.entry, receipt.revision),
        (EntryRef { log: LOG, index: 0 }, Revision(1))
    );
    let stamped = OrgId::mint(NOW, LOG, 7).at(Revision(1));
    assert_eq!(receipt.minted, Some(Minted::Org(stamped)));
    assert_eq!(store.world().org(OrgScope::Every, stamped).unwrap().id, stamped);
    let entry = Entry::parse(&store.log().entry(0).unwrap()).unwrap();
    assert_eq!(entry.event.org, Some(stamped));
    assert_eq!(
        (entry.writer.index, entry.writer.revision, entry.writer.log),
        (0, Revision(1), LOG)
    );
    assert!(entry.event.changes.is_some());
}

#[test]
fn an_entry_names_the_digest_of_the_changes_as_they_are_kept() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (change, event) = org(1);
    wait(store.write(Revision(0), vec![], vec![change, revoke(2, None)], event)).unwrap();
    let database = rusqlite::Connection::open(root.path().join("data/store.db")).unwrap();
    let sql = "SELECT body FROM changes WHERE revision = 1";
    let body: Vec<u8> = database.query_row(sql, [], |row| row.get(0)).unwrap();
    let entry = Entry::parse(&store.log().entry(0).unwrap()).unwrap();
    assert_eq!(entry.event.changes, Some(crate::queue::digest_of(&body)));
    let kept: Vec<Change> = serde_json::from_slice(&body).unwrap();
    assert_eq!(kept.len(), 2);
}

#[test]
fn a_use_once_key_raced_by_64_is_spent_by_exactly_one() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let results =
        wait(join_all((0..64).map(|n| {
            store.write(Revision(0), vec![once(9, 60)], vec![], event(n))
        })));
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(
        results
            .iter()
            .all(|result| matches!(result, Ok(_) | Err(CommitError::Conflict(_))))
    );
    assert_eq!(store.log().size(), 1, "a refused plan leaves no entry");
    drop(store);
    let again = wait(open(root.path()).write(Revision(0), vec![once(9, 60)], vec![], event(1)));
    assert!(
        matches!(again, Err(CommitError::Conflict(_))),
        "spent keys survive a restart"
    );
}

#[test]
fn what_nobody_waits_for_rides_along_in_its_order_or_goes_alone_a_moment_later() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let batches = || -> i64 {
        let database = rusqlite::Connection::open(root.path().join("data/store.db")).unwrap();
        database
            .query_row("SELECT count(*) FROM batches", [], |row| row.get(0))
            .unwrap()
    };
    let n_of = |index: u64| {
        let entry = Entry::parse(&store.log().entry(index).unwrap()).unwrap();
        entry.event.detail["n"].as_u64().unwrap()
    };
    let receipt = wait(async {
        for n in 0..3 {
            store
                .write_along(Revision(0), vec![], vec![], event(n))
                .await
                .unwrap();
        }
        store.write(Revision(0), vec![], vec![], event(3)).await.unwrap()
    });
    assert_eq!(receipt.entry.index, 3);
    assert_eq!((0..4).map(n_of).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert!(
        batches() < 4,
        "none of those that nobody waits for takes a commit of its own"
    );
    wait(store.write_along(Revision(0), vec![], vec![], event(4))).unwrap();
    until(|| store.log().size() == 5);
    wait(store.write_along(Revision(0), vec![], vec![], event(5))).unwrap();
    drop(store);
    assert_eq!(open(root.path()).log().size(), 6, "closing writes what waits");
}

#[test]
fn a_plan_with_one_spent_key_spends_none_of_its_others() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    wait(store.write(Revision(0), vec![once(1, 60)], vec![], event(1))).unwrap();
    let both = wait(store.write(Revision(0), vec![once(2, 60), once(1, 60)], vec![], event(2)));
    assert!(matches!(both, Err(CommitError::Conflict(_))));
    let twice = wait(store.write(Revision(0), vec![once(3, 60), once(3, 60)], vec![], event(3)));
    assert!(
        matches!(twice, Err(CommitError::Conflict(_))),
        "one plan cannot spend a key twice"
    );
    wait(store.write(Revision(0), vec![once(2, 60), once(3, 60)], vec![], event(4))).unwrap();
}

#[test]
fn of_64_read_modify_writes_on_one_revision_exactly_one_holds() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let results = wait(join_all((0..64).map(|n| {
        let (change, event) = org(n);
        store.write(
            Revision(0),
            vec![Precondition::AtRevision(Revision(0))],
            vec![change],
            event,
        )
    })));
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(store.world().revision(), Revision(1));
}

#[test]
fn a_permit_decided_before_a_revocation_is_stale_in_its_org_and_nowhere_else() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (mine, other) = (OrgId::mint(NOW, LOG, 1), OrgId::mint(NOW, LOG, 2));
    wait(store.write(Revision(0), vec![], vec![revoke(1, Some(mine))], event(1))).unwrap();
    let stale = |decided_at, of| {
        let result = wait(store.write(Revision(decided_at), vec![], vec![], permit(2, of)));
        matches!(
            result,
            Err(CommitError::Stale {
                restricted_at: Revision(1),
                ..
            })
        )
    };
    assert!(stale(0, Some(mine)));
    assert!(stale(0, None), "a permit of no org must have seen all");
    assert!(!stale(0, Some(other)));
    assert!(!stale(1, Some(mine)));
    wait(store.write(Revision(1), vec![], vec![revoke(3, None)], event(3))).unwrap();
    let everywhere = wait(store.write(Revision(1), vec![], vec![], permit(4, Some(other))));
    assert!(matches!(
        everywhere,
        Err(CommitError::Stale {
            restricted_at: Revision(2),
            ..
        })
    ));
}

#[test]
fn a_revocation_and_a_permit_in_one_group_are_settled_in_order() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let org = Some(OrgId::mint(NOW, LOG, 1));
    let results = wait(join_all((0..40).map(|n| {
        let (changes, event) = if n == 20 {
            (vec![revoke(n, org)], event(n))
        } else {
            (vec![], permit(n, org))
        };
        store.write(Revision(0), vec![], changes, event)
    })));
    assert!(results[..=20].iter().all(Result::is_ok));
    assert!(
        results[21..]
            .iter()
            .all(|result| matches!(result, Err(CommitError::Stale { .. })))
    );
}

#[test]
fn revocations_and_refusals_are_never_held_up_by_revocations() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let org = Some(OrgId::mint(NOW, LOG, 1));
    let mut denied = permit(100, org);
    denied.decision.as_mut().unwrap().outcome = Ruling::Deny;
    let results =
        wait(join_all((0..50).map(|n| {
            store.write(Revision(0), vec![], vec![revoke(n, org)], event(n))
        })));
    assert!(results.iter().all(Result::is_ok));
    wait(store.write(Revision(0), vec![], vec![], denied)).unwrap();
}

#[test]
fn a_clock_that_goes_back_does_not_bring_a_spent_key_back() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    wait(store.write(Revision(0), vec![once(1, 10)], vec![], event(1))).unwrap();
    let mut later = event(2);
    later.at = NOW.plus_secs(600);
    for _ in 0..100 {
        wait(store.write(Revision(0), vec![], vec![], later.clone())).unwrap(); // enough to forget the key
    }
    let live = || {
        let database = rusqlite::Connection::open(root.path().join("data/store.db")).unwrap();
        database
            .query_row("SELECT count(*) FROM once", [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    until(|| live() == 0);
    let replayed = wait(store.write(Revision(0), vec![once(1, 10)], vec![], event(3)));
    assert!(matches!(replayed, Err(CommitError::Conflict(_))));
    drop(store);
    let store = open(root.path());
    let replayed = wait(store.write(Revision(0), vec![once(1, 10)], vec![], event(3)));
    assert!(
        matches!(replayed, Err(CommitError::Conflict(_))),
        "nor after a restart"
    );
    wait(store.write(Revision(0), vec![once(2, 11)], vec![], event(4))).unwrap();
}

#[test]
fn an_event_that_is_too_long_is_refused_and_nothing_of_its_plan_remains() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let (change, mut event) = org(1);
    event.detail.insert("long".into(), "x".repeat(61_000).into());
    let result = wait(store.write(Revision(0), vec![once(1, 60)], vec![change], event));
    assert!(matches!(result, Err(CommitError::Unrecordable(_))));
    assert_eq!((store.log().size(), store.world().revision()), (0, Revision(0)));
    wait(store.write(Revision(0), vec![once(1, 60)], vec![], super::event(1))).unwrap();
}

#[test]
fn a_plan_of_the_broker_yields_its_proof_only_recorded() {
    use audit::event::CommitmentKey;
    use broker::world::{Principal, Role};
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let names = CommitmentKey::new(identity::Secret::new([7; 32]));
    let mut draw = broker::Draw::new(NOW, LOG, [1; 32], &names);
    let name = "owner".parse().unwrap();
    let admin = Principal::with_uid(name, 1000, [Role::Admin].into(), "dev".into());
    let founding = broker::inventory::Founding {
        trust_domain: "test.example".parse().unwrap(),
        issuer: "https://test.example".into(),
        epoch: 1,
        org: "acme".parse().unwrap(),
        admin,
        keys: vec![],
    };
    let plan = broker::inventory::found(&store.world(), founding, &mut draw).unwrap();
    let recorded = wait(store.commit(plan)).unwrap();
    let org = recorded.get().made().at(recorded.revision());
    assert_eq!(recorded.minted(), Some(Minted::Org(org)));
    assert!(store.world().org(OrgScope::Every, org).is_some());
    let (_, entry, _) = recorded.into_parts();
    let entry = Entry::parse(&store.log().entry(entry.index).unwrap()).unwrap();
    assert_eq!(
        entry.writer.epoch, 1,
        "the entry that founds an epoch belongs to it"
    );
}

//! What tasks and windows have used and seen outlives waiting, restarts and snapshots.

use super::*;
use crate::ledger::{Ledger, RecoverError, Request, Wants};
use broker::ledger::{Seen, Taken, TrailKey, WindowKey};
use broker::world::{Opener, OpenerKind, Task};
use identity::{AgentId, InstanceId};
use policy::Labels;

const DAY_SECS: u64 = 86_400;

fn task() -> TaskId {
    TaskId::mint(NOW, LOG, 77).at(Revision(1))
}

fn instance() -> InstanceId {
    InstanceId::mint(NOW, LOG, 78)
}

/// A founded World with one task, open for so many days.
fn world(days: u64) -> World {
    let founded = Change::Founded {
        trust_domain: "test.example".parse().unwrap(),
        issuer: "https://test.example".into(),
        epoch: 0,
    };
    let opened = Change::TaskOpened(Task {
        id: task(),
        org: OrgId::mint(NOW, LOG, 1),
        agent: AgentId::mint(NOW, LOG, 2),
        kind: "work".parse().unwrap(),
        tenant: None,
        opener: Opener {
            kind: OpenerKind::Operator,
            name: "op".into(),
        },
        opened_at: NOW,
        expires_at: NOW.plus_secs(days * DAY_SECS),
        parent: None,
        root: None,
        trusted: std::collections::BTreeSet::new(),
        declassified: Revision(0),
        closed: false,
    });
    World::default().apply(&[founded, opened], Revision(1))
}

/// A window of the task of so many seconds; 0 for as long as it lasts.
fn window(per_secs: u32) -> WindowKey {
    WindowKey {
        of: task().as_u128(),
        per_secs,
        what: 0,
    }
}

/// The entry of a call that took one of each window and read mail.
fn call(n: u64) -> Event {
    let mut event = event(n);
    event.kind = EventKind::GatewayCall;
    let mut labels = Labels::NONE;
    labels.taint.insert("mail.read".parse().unwrap());
    let seen = Seen {
        of: vec![TrailKey(task().as_u128()), TrailKey(instance().as_u128())],
        labels,
        action: Some("mail.read".parse().unwrap()),
        at: NOW,
        ..Seen::default()
    };
    let taken = [0, 30 * 86_400].map(|per| Taken::one(window(per), NOW));
    event
        .detail
        .insert("seen".into(), serde_json::to_value(seen).unwrap());
    event
        .detail
        .insert("taken".into(), serde_json::to_value(taken).unwrap());
    event
}

fn record(store: &Store, events: impl Iterator<Item = Event>) {
    wait(async {
        let writes = events.map(|event| store.write(Revision(0), vec![], vec![], event));
        for receipt in join_all(writes).await {
            receipt.unwrap();
        }
    });
}

fn recovered(store: &Store) -> Arc<Ledger> {
    let ledger = Arc::new(Ledger::default());
    ledger.recover(store).unwrap();
    ledger
}

/// Calls of the task, what it used as a whole and of a month, and whether it has seen mail.
fn state(ledger: &Arc<Ledger>, world: &World, now: UnixTime) -> (u64, u64, u64, bool) {
    let reservation = ledger.gather(&Request {
        links: &[],
        task: world.task(OrgScope::Every, task()).unwrap(),
        instance: instance(),
        audience: &"mail".parse().unwrap(),
        wants: Wants::Credential { actions: &[] },
        now,
    });
    let gathered = reservation.gathered();
    (
        gathered.trail.calls,
        ledger.peek(window(0), now),
        ledger.peek(window(30 * 86_400), now),
        gathered.labels.taint.contains("mail.read"),
    )
}

#[test]
fn a_long_task_is_not_outwaited_and_not_restarted_away() {
    let root = tempfile::tempdir().unwrap();
    let world = world(30);
    let store = open(root.path());
    record(&store, (0..5).map(call));
    // Entries of days after that have nothing to do with it.
    fill(&store, 10, 600);
    let later = NOW.plus_secs(20 * DAY_SECS);
    let ledger = recovered(&store);
    ledger.forget(&world, later);
    ledger.forget(&world, later.plus_secs(DAY_SECS));
    assert_eq!(state(&ledger, &world, later), (5, 5, 5, true));
    store.close();
    let store = open(root.path());
    assert_eq!(state(&recovered(&store), &world, later), (5, 5, 5, true));
    // The month passes for the window, and never for the task.
    let much_later = NOW.plus_secs(40 * DAY_SECS);
    assert_eq!(state(&recovered(&store), &world, much_later), (5, 5, 0, true));
}

#[test]
fn every_entry_counts_however_many_there_are() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    record(&store, (0..1500).map(call));
    let wanted = (1500, 1500, 1500, true);
    assert_eq!(state(&recovered(&store), &world(1), NOW), wanted);
    // From files as from rows.
    until(|| store.health().sealed >= 1024);
    assert_eq!(state(&recovered(&store), &world(1), NOW), wanted);
}

#[test]
fn a_snapshot_and_the_entries_after_it_are_the_whole_log() {
    let root = tempfile::tempdir().unwrap();
    let world = world(30);
    let store = open(root.path());
    record(&store, (0..300).map(call));
    assert!(store.is_ledger_due());
    store.keep_ledger(&world, NOW.plus_secs(DAY_SECS)).unwrap();
    assert!(!store.is_ledger_due());
    record(&store, (300..400).map(call));
    assert_eq!(state(&recovered(&store), &world, NOW), (400, 400, 400, true));
    store.close();

    let file = || {
        let mut files = std::fs::read_dir(root.path().join("data/ledger")).unwrap();
        files.next().unwrap().unwrap().path()
    };
    assert!(file().ends_with("00000000000000000300.ledger"));
    // It is believed without its entries: these, altered by somebody else, are not.
    let good = std::fs::read(file()).unwrap();
    let text = String::from_utf8_lossy(&good[120..]).replace("mail.read", "mail.dead");
    let mut bad = good[..120].to_vec();
    bad.extend_from_slice(text.as_bytes());
    std::fs::write(file(), bad).unwrap();
    let store = open(root.path());
    assert_eq!(state(&recovered(&store), &world, NOW), (400, 400, 400, true));
    store.close();
    std::fs::remove_file(file()).unwrap();
    let store = open(root.path());
    assert_eq!(state(&recovered(&store), &world, NOW), (400, 400, 400, true));
}

#[test]
fn a_snapshot_of_more_entries_than_there_are_is_a_rollback() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let longer = open(one.path());
    record(&longer, (0..10).map(call));
    longer.keep_ledger(&world(1), NOW).unwrap();
    let shorter = open(other.path());
    record(&shorter, (0..3).map(call));
    let place = |root: &Path| root.join("data/ledger/00000000000000000010.ledger");
    std::fs::copy(place(one.path()), place(other.path())).unwrap();
    let refused = Ledger::default().recover(&shorter).unwrap_err();
    assert!(
        matches!(refused, RecoverError::RolledBack { held: 10, own: 3 }),
        "{refused}"
    );
}

#[test]
fn what_a_node_agent_says_it_has_seen_is_no_count() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let mut refusal = event(1);
    refusal.kind = EventKind::RunRefused;
    refusal
        .detail
        .insert("seen".into(), "a shell, \"taken\" from nowhere".into());
    record(&store, [refusal, call(2)].into_iter());
    assert_eq!(state(&recovered(&store), &world(1), NOW), (1, 1, 1, true));
}

//! What was there is there again.

use super::*;

fn grow(store: &Store, orgs: std::ops::Range<u64>) {
    for receipt in wait(join_all(orgs.map(|n| {
        let (change, event) = org(n);
        store.write(Revision(u64::MAX), vec![], vec![change, revoke(n, None)], event)
    }))) {
        receipt.unwrap();
    }
}

fn snapshots(root: &Path) -> Vec<std::path::PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(root.join("data/world"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

#[test]
fn the_world_is_the_same_from_a_snapshot_from_an_older_one_and_from_all_changes() {
    let root = tempfile::tempdir().unwrap();
    let mut wanted = None;
    for step in 0..3 {
        let store = open(root.path());
        grow(&store, step * 100..step * 100 + 100);
        wanted = Some(facts(&store.world()));
    }
    let wanted = wanted.unwrap();
    assert_eq!(wanted.0, Revision(300));
    assert_eq!(snapshots(root.path()).len(), 2);
    assert_eq!(facts(&open(root.path()).world()), wanted);
    let newest = snapshots(root.path()).pop().unwrap();
    let mut bytes = std::fs::read(&newest).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&newest, bytes).unwrap();
    assert_eq!(
        facts(&open(root.path()).world()),
        wanted,
        "from the older snapshot"
    );
    for path in snapshots(root.path()) {
        std::fs::remove_file(path).unwrap();
    }
    assert_eq!(facts(&open(root.path()).world()), wanted, "from all Changes");
}

#[test]
fn a_snapshot_signed_by_another_key_is_not_believed() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    grow(&store, 0..3);
    let wanted = facts(&store.world());
    let (forged, _) = org(66);
    let world = store.world().apply(&[forged], Revision(3));
    drop(store);
    for path in snapshots(root.path()) {
        std::fs::remove_file(path).unwrap();
    }
    let thief = crate::log_key::LogKey::new(Arc::new(TestKey::new(9))).unwrap();
    crate::snapshot::write(&root.path().join("data/world"), &world, &thief).unwrap();
    assert_eq!(facts(&open(root.path()).world()), wanted);
}

#[test]
fn a_snapshot_is_written_while_running() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    grow(&store, 0..4_096);
    until(|| !snapshots(root.path()).is_empty());
}

#[test]
fn the_log_goes_on_where_it_ended() {
    let root = tempfile::tempdir().unwrap();
    let mut size = 0;
    for step in [3, 250, 10, 300, 0, 1] {
        let store = open(root.path());
        assert_eq!(store.log().size(), size);
        fill(&store, size, step);
        size += step;
    }
    let store = open(root.path());
    until(|| store.health().published == size);
    let report = log::verify(root.path().join("data/log"));
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.entries, 564);
}

#[test]
fn everything_is_private_to_its_owner() {
    use std::os::unix::fs::PermissionsExt as _;
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    fill(&store, 0, 300);
    until(|| store.health().published == 300);
    let mut open = vec![root.path().join("data")];
    while let Some(path) = open.pop() {
        let metadata = std::fs::metadata(&path).unwrap();
        let wanted = if metadata.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(
            metadata.permissions().mode() & 0o777,
            wanted,
            "{}",
            path.display()
        );
        if metadata.is_dir() {
            open.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
}

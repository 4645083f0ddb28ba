//! Whoever can write the files cannot change what was recorded without being noticed.

use super::*;
use crate::{CommitError, OpenError};
use std::fs;
use std::process::Command;

/// 300 entries and five Changes, published and closed.
fn made() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    fill(&store, 0, 295);
    for n in 0..5 {
        let (change, event) = org(n);
        wait(store.write(Revision(0), vec![], vec![change], event)).unwrap();
    }
    until(|| store.health().sealed == 256);
    store.close();
    root
}

/// The same without snapshots: every Change is read again.
fn made_without_snapshots() -> tempfile::TempDir {
    let root = made();
    fs::remove_dir_all(root.path().join("data/world")).unwrap();
    root
}

fn sql(root: &Path, statement: &str) {
    let database = rusqlite::Connection::open(root.join("data/store.db")).unwrap();
    assert_ne!(
        database.execute(statement, []).unwrap(),
        0,
        "{statement} altered nothing"
    );
}

fn refusal(root: &Path) -> OpenError {
    Store::open(&settings(root)).expect_err("opened")
}

fn forged(root: &Path, statement: &str, row: &str) {
    sql(root, statement);
    match refusal(root) {
        OpenError::Forged { row: found, .. } => assert!(found.contains(row), "{statement}: {found}"),
        other => panic!("{statement}: {other}"),
    }
}

fn copy(from: &Path, to: &Path) {
    if to.is_dir() {
        fs::remove_dir_all(to).unwrap();
    }
    assert!(
        Command::new("cp")
            .arg("-a")
            .args([from, to])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn an_edited_deleted_or_added_entry_is_found_at_the_start() {
    let edit = "UPDATE entries SET body = CAST(replace(CAST(body AS TEXT), '\"n\":', '\"m\":') AS BLOB) WHERE idx = 280";
    forged(made().path(), edit, "entry");
    forged(made().path(), "DELETE FROM entries WHERE idx = 270", "entry 270");
    forged(made().path(), "DELETE FROM entries WHERE idx = 299", "entry 299");
    forged(
        made().path(),
        "INSERT INTO entries SELECT 300, body FROM entries WHERE idx = 299",
        "entry 300",
    );
}

#[test]
fn an_edited_deleted_added_or_moved_change_is_found_before_it_is_applied() {
    let edit = "UPDATE changes SET body = CAST(replace(CAST(body AS TEXT), 'org-', 'gro-') AS BLOB) WHERE revision = 2";
    forged(made_without_snapshots().path(), edit, "Change");
    forged(
        made_without_snapshots().path(),
        "DELETE FROM changes WHERE revision = 3",
        "revision 3",
    );
    forged(
        made_without_snapshots().path(),
        "DELETE FROM changes WHERE revision = 5",
        "revision 5",
    );
    let add = "INSERT INTO changes SELECT 6, body FROM changes WHERE revision = 5";
    forged(made_without_snapshots().path(), add, "after revision 5");
    let swap = "UPDATE changes SET body = (SELECT body FROM changes WHERE revision = 1) WHERE revision = 2";
    forged(made_without_snapshots().path(), swap, "Change");
}

#[test]
fn an_edited_deleted_or_unsigned_batch_is_found() {
    let of_change = "(SELECT first FROM batches WHERE revision_last = 3 AND revision_first = 2)";
    let delete = format!("DELETE FROM batches WHERE first = {of_change}");
    forged(made_without_snapshots().path(), &delete, "batch");
    let widen = format!("UPDATE batches SET revision_last = 4 WHERE first = {of_change}");
    forged(made_without_snapshots().path(), &widen, "batch");
    let unsign = "UPDATE batches SET signature = zeroblob(64) WHERE revision_last = 5";
    forged(made().path(), unsign, "batch");
    forged(
        made().path(),
        "DELETE FROM batches WHERE first = (SELECT max(first) FROM batches)",
        "",
    );
}

#[test]
fn a_change_together_with_its_batch_cannot_be_taken_out() {
    let root = made_without_snapshots();
    sql(root.path(), "DELETE FROM batches WHERE revision_last = 3");
    forged(
        root.path(),
        "DELETE FROM changes WHERE revision = 3",
        "after revision 2",
    );
    let root = made_without_snapshots();
    sql(root.path(), "DELETE FROM changes WHERE revision > 3");
    forged(root.path(), "DELETE FROM batches WHERE revision_last > 3", "");
}

#[test]
fn an_entry_edited_while_the_store_runs_is_never_sealed_or_published() {
    let root = tempfile::tempdir().unwrap();
    let mut slow = settings(root.path());
    slow.publish_every = Duration::from_hours(1);
    let store = Store::open(&slow).unwrap();
    fill(&store, 0, 10);
    sql(
        root.path(),
        "UPDATE entries SET body = CAST('{}' AS BLOB) WHERE idx = 4",
    );
    store.close();
    assert!(!root.path().join("data/log/checkpoint").exists());
    assert!(matches!(refusal(root.path()), OpenError::Forged { .. }));
}

#[test]
fn a_data_directory_put_back_to_an_older_state_is_refused() {
    let root = made();
    copy(&root.path().join("data"), &root.path().join("older"));
    let store = open(root.path());
    fill(&store, 300, 5);
    store.close();
    copy(&root.path().join("older"), &root.path().join("data"));
    match refusal(root.path()) {
        OpenError::RolledBack {
            witness,
            held: 305,
            own: 300,
        } => assert!(witness.contains("outside")),
        other => panic!("{other}"),
    }
}

#[test]
fn a_database_put_back_to_an_older_state_is_refused_even_without_a_copy_outside() {
    let root = made();
    copy(&root.path().join("data/store.db"), &root.path().join("older"));
    let store = open(root.path());
    fill(&store, 300, 5);
    store.close();
    copy(&root.path().join("older"), &root.path().join("data/store.db"));
    let mut alone = settings(root.path());
    alone.checkpoint_outside = None;
    assert!(matches!(
        Store::open(&alone),
        Err(OpenError::RolledBack {
            held: 305,
            own: 300,
            ..
        })
    ));
}

#[test]
fn a_truncated_wal_is_noticed() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    for n in 0..50 {
        fill(&store, n, 1);
    }
    until(|| store.health().published == 50);
    let crashed = tempfile::tempdir().unwrap();
    copy(&root.path().join("data"), &crashed.path().join("data"));
    copy(&root.path().join("outside"), &crashed.path().join("outside"));
    let wal = crashed.path().join("data/store.db-wal");
    let length = fs::metadata(&wal).unwrap().len();
    assert_eq!(
        open(crashed.path()).log().size(),
        50,
        "the copy of a running store opens"
    );
    copy(&root.path().join("data"), &crashed.path().join("data"));
    fs::OpenOptions::new()
        .write(true)
        .open(&wal)
        .unwrap()
        .set_len(length * 2 / 3)
        .unwrap();
    fs::remove_file(crashed.path().join("data/store.db-shm")).unwrap();
    assert!(matches!(
        refusal(crashed.path()),
        OpenError::RolledBack { held: 50, .. }
    ));
}

#[test]
fn another_history_under_the_same_key_is_a_fork() {
    let (one, two) = (made(), tempfile::tempdir().unwrap());
    let store = open(two.path());
    fill(&store, 1_000, 400);
    store.close();
    copy(
        &one.path().join("outside/checkpoint"),
        &two.path().join("outside/checkpoint"),
    );
    assert!(matches!(refusal(two.path()), OpenError::Forked { size: 300, .. }));
    let small = tempfile::tempdir().unwrap();
    let store = open(small.path());
    fill(&store, 0, 10);
    store.close();
    copy(
        &small.path().join("outside/checkpoint"),
        &two.path().join("outside/checkpoint"),
    );
    assert!(
        matches!(refusal(two.path()), OpenError::Forked { size: 10, .. }),
        "also below the sealed size"
    );
}

#[test]
fn a_checkpoint_that_is_missing_or_not_ours_is_refused() {
    let root = made();
    let path = root.path().join("data/log/checkpoint");
    let note = fs::read(&path).unwrap();
    fs::write(
        &path,
        String::from_utf8(note).unwrap().replace("\n300\n", "\n299\n"),
    )
    .unwrap();
    assert!(matches!(refusal(root.path()), OpenError::BadCheckpoint { .. }));
    fs::remove_file(&path).unwrap();
    fs::remove_file(root.path().join("outside/checkpoint")).unwrap();
    assert!(matches!(
        refusal(root.path()),
        OpenError::NoCheckpoint { sealed: 256, .. }
    ));
}

#[test]
fn an_altered_sealed_edge_or_tile_is_found() {
    let root = made();
    sql(
        root.path(),
        "UPDATE meta SET value = CAST(x'0000000000000100' || zeroblob(32) AS BLOB) WHERE name = 'sealed'",
    );
    assert!(matches!(refusal(root.path()), OpenError::Forged { .. }));
    let root = made();
    let tile = root.path().join("data/log/tile/1/000.p/1");
    fs::write(tile, [9; 32]).unwrap();
    assert!(matches!(refusal(root.path()), OpenError::Forged { .. }));
}

#[test]
fn a_second_process_or_another_key_does_not_get_in() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    assert!(matches!(refusal(root.path()), OpenError::InUse { .. }));
    drop(store);
    let mut other = settings(root.path());
    other.signer = Arc::new(TestKey::new(2));
    assert!(matches!(Store::open(&other), Err(OpenError::OtherKey { .. })));
    let store = open(root.path());
    fill(&store, 0, 1);
}

#[test]
fn a_newer_format_is_refused() {
    let root = made();
    let database = rusqlite::Connection::open(root.path().join("data/store.db")).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    let message = refusal(root.path()).to_string();
    assert!(
        message.contains("format 99") && message.contains("newer version"),
        "{message}"
    );
}

#[test]
fn a_store_whose_write_failed_refuses_everything_until_it_is_opened_again() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    fill(&store, 0, 5);
    // The next index is taken: the commit fails as it would on a broken disk.
    sql(
        root.path(),
        "INSERT INTO entries SELECT 5, body FROM entries WHERE idx = 4",
    );
    let poisoned = |n| {
        matches!(
            wait(store.write(Revision(0), vec![], vec![], event(n))),
            Err(CommitError::Poisoned(_))
        )
    };
    assert!(poisoned(5));
    sql(root.path(), "DELETE FROM entries WHERE idx = 5");
    assert!(poisoned(6), "it does not try again");
    assert!(store.health().stopped.is_some());
    assert_eq!((store.log().size(), store.world().revision()), (5, Revision(0)));
    drop(store);
    let store = open(root.path());
    fill(&store, 5, 1);
}

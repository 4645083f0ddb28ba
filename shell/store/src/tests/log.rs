//! The log as files: complete, verifiable offline, and the same wherever an entry is.

use super::*;
use crate::log::LogFiles;
use audit::note::NoteKey;
use audit::tile::TileSource;
use audit::verify::{Report, Verifier};
use std::path::PathBuf;

pub(super) fn verify(directory: PathBuf) -> Report {
    let key = NoteKey::of(&TestKey::new(1)).unwrap();
    Verifier::new(key, LOG).verify(&LogFiles::at(directory))
}

fn published(store: &Store) {
    until(|| store.health().published == store.health().size);
}

#[test]
fn every_published_state_verifies_offline_as_the_log_grows() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let mut size = 0;
    for step in [1, 1, 253, 1, 1, 255, 300, 900] {
        fill(&store, size, step);
        size += step;
        published(&store);
        let report = verify(root.path().join("data/log"));
        assert!(report.is_sound(), "{report:?}");
        assert_eq!(report.entries, size);
    }
    assert_eq!(
        std::fs::read(root.path().join("outside/checkpoint")).unwrap(),
        std::fs::read(root.path().join("data/log/checkpoint")).unwrap()
    );
}

#[test]
fn entries_read_the_same_before_and_after_they_are_sealed() {
    let root = tempfile::tempdir().unwrap();
    let mut slow = settings(root.path());
    slow.publish_every = Duration::from_hours(1);
    let store = Store::open(&slow).unwrap();
    fill(&store, 0, 1_000);
    let before: Vec<_> = (0..1_000)
        .map(|index| store.log().entry(index).unwrap())
        .collect();
    drop(store);
    let store = open(root.path());
    until(|| store.health().sealed == 768);
    let after: Vec<_> = (0..1_000)
        .map(|index| store.log().entry(index).unwrap())
        .collect();
    assert!(before == after);
    let some = store.log().entries(700..800).unwrap();
    assert_eq!(some, before[700..768]);
    assert_eq!(store.log().entries(768..2_000).unwrap(), before[768..]);
    assert!(store.log().entry(1_000).is_err());
}

#[test]
fn sealed_rows_leave_the_database() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    fill(&store, 0, 2_600);
    published(&store);
    until(|| store.health().sealed == 2_560);
    let rows = || {
        let database = rusqlite::Connection::open(root.path().join("data/store.db")).unwrap();
        database
            .query_row("SELECT count(*) FROM entries", [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    until(|| rows() == 40);
}

#[test]
fn an_export_is_complete_and_verifies_and_needs_an_empty_place() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let to = root.path().join("export");
    assert!(matches!(
        store.export(&to, &(0..u64::MAX)),
        Err(crate::ExportError::NothingPublished)
    ));
    fill(&store, 0, 1_234);
    published(&store);
    assert_eq!(store.export(&to, &(0..u64::MAX)).unwrap(), 1_234);
    let report = verify(to.clone());
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.entries, 1_234);
    assert!(matches!(
        store.export(&to, &(0..1)),
        Err(crate::ExportError::NotEmpty(_))
    ));
    let part = root.path().join("part");
    store.export(&part, &(300..301)).unwrap();
    let bundles = std::fs::read_dir(part.join("tile/entries")).unwrap().count();
    assert_eq!(bundles, 1);
}

#[test]
fn a_path_cannot_climb_out_of_the_log() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let files = LogFiles::at(store.log_directory().to_path_buf());
    for path in [
        "../lock",
        "tile/../../lock",
        "/etc/passwd",
        "tile/0/000/../../../../lock",
    ] {
        assert!(TileSource::read(&files, path).is_err(), "{path}");
    }
}

//! The suite every backend passes. A new one adds a line to [`each`].

use super::*;
use crate::backend::sqlite::Sqlite;
use crate::backend::{Backend, BackendError, BatchRow, ChangeRow, Group, OnceKey, Sealed, Spent, Tidy};
use audit::{EntryBytes, WriterStamp};

/// Runs `test` against a new, empty backend of each kind.
fn each(test: impl Fn(&mut dyn Backend)) {
    let root = tempfile::tempdir().unwrap();
    test(&mut Sqlite::open(&root.path().join("store.db")).unwrap());
}

fn entry(index: u64) -> EntryBytes {
    let stamp = WriterStamp {
        epoch: 0,
        index,
        log: LOG,
        revision: Revision(0),
    };
    event(index).encode().unwrap().seal(stamp)
}

fn group(first: u64, count: u64, revision: u64, changes: u64) -> Group {
    Group {
        entries: (first..first + count).map(entry).collect(),
        changes: (1..=changes)
            .map(|n| ChangeRow {
                revision: Revision(revision + n),
                body: format!("change {}", revision + n).into(),
            })
            .collect(),
        spent: vec![],
        batch: BatchRow {
            first,
            count,
            revision_first: Revision(revision),
            revision_last: Revision(revision + changes),
            body: format!("batch {first}").into(),
            signature: vec![1],
        },
    }
}

fn key(n: u8, until: UnixTime) -> Spent {
    Spent {
        key: OnceKey {
            kind: 2,
            key: [n; 32],
        },
        until,
    }
}

#[test]
fn what_was_committed_is_read_back_in_order() {
    each(|backend| {
        let (one, two) = (group(0, 3, 0, 1), group(3, 2, 1, 2));
        backend.commit(&one).unwrap();
        backend.commit(&two).unwrap();
        let rows = backend.reader().unwrap();
        let entries: Vec<_> = rows.entries(1, 3).unwrap();
        assert_eq!(entries.iter().map(|row| row.index).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(entries[0].body, entry(1).as_slice());
        assert_eq!(
            rows.changes(Revision(0), Revision(2)).unwrap(),
            [&one.changes[0], &two.changes[0]].map(Clone::clone)
        );
        assert_eq!(rows.last_batch().unwrap(), Some(two.batch.clone()));
        assert_eq!(
            rows.batches_with_changes(Revision(1), 10).unwrap(),
            std::slice::from_ref(&two.batch)
        );
        assert_eq!(
            rows.batches_with_changes(Revision(0), 1).unwrap(),
            std::slice::from_ref(&one.batch)
        );
        assert_eq!(rows.batches_from(2).unwrap(), [one.batch, two.batch.clone()]);
        assert_eq!(rows.batches_from(3).unwrap(), [two.batch]);
        assert_eq!(rows.batches_from(5).unwrap(), []);
        assert_eq!(rows.oldest_entry().unwrap(), Some(0));
    });
}

#[test]
fn a_group_that_fails_leaves_nothing() {
    each(|backend| {
        backend.commit(&group(0, 2, 0, 1)).unwrap();
        let mut bad = group(2, 2, 1, 1);
        bad.changes[0].revision = Revision(1); // taken
        bad.spent.push(key(1, NOW));
        assert!(matches!(backend.commit(&bad), Err(BackendError::Sqlite(_))));
        let rows = backend.reader().unwrap();
        assert_eq!(rows.entries(0, 10).unwrap().len(), 2);
        assert_eq!(rows.spent().unwrap(), []);
        assert_eq!(rows.last_batch().unwrap().unwrap().first, 0);
    });
}

#[test]
fn an_index_a_revision_or_a_key_cannot_be_used_twice() {
    each(|backend| {
        let mut first = group(0, 1, 0, 1);
        first.spent.push(key(1, NOW));
        backend.commit(&first).unwrap();
        assert!(backend.commit(&group(0, 1, 1, 0)).is_err());
        assert!(backend.commit(&group(1, 1, 0, 1)).is_err());
        let mut spent = group(1, 1, 1, 0);
        spent.spent.push(key(1, NOW));
        assert!(backend.commit(&spent).is_err());
    });
}

#[test]
fn spent_keys_are_kept_until_they_are_forgotten_and_the_floor_stays() {
    each(|backend| {
        let mut first = group(0, 1, 0, 0);
        first.spent = vec![key(1, NOW), key(2, UnixTime::MAX)];
        backend.commit(&first).unwrap();
        let rows = backend.reader().unwrap();
        assert_eq!(rows.spent().unwrap().len(), 2);
        assert_eq!(rows.once_floor().unwrap(), UnixTime::default());
        let forgotten = vec![key(1, NOW)];
        backend
            .tidy(&Tidy {
                forgotten,
                once_floor: NOW,
                ..Tidy::default()
            })
            .unwrap();
        assert_eq!(
            rows.spent()
                .unwrap()
                .iter()
                .map(|spent| spent.key.key[0])
                .collect::<Vec<_>>(),
            [2]
        );
        assert_eq!(rows.once_floor().unwrap(), NOW);
    });
}

#[test]
fn tidying_drops_sealed_entries_but_no_change_its_batch_or_the_newest_batch() {
    each(|backend| {
        for (first, changes) in [(0, 0), (2, 1), (4, 0), (6, 0)] {
            backend
                .commit(&group(first, 2, u64::from(first > 2), changes))
                .unwrap();
        }
        let sealed = Sealed {
            size: 8,
            frontier: [&8_u64.to_be_bytes()[..], &[7; 32]].concat(),
        };
        let tidy = Tidy {
            sealed: Some(sealed.clone()),
            below: 8,
            ..Tidy::default()
        };
        backend.tidy(&tidy).unwrap();
        backend.tidy(&tidy).unwrap(); // again: nothing to do
        let rows = backend.reader().unwrap();
        assert_eq!(rows.sealed().unwrap(), sealed);
        assert_eq!(rows.entries(0, 10).unwrap(), []);
        assert_eq!(rows.oldest_entry().unwrap(), None);
        assert_eq!(rows.changes(Revision(0), Revision(9)).unwrap().len(), 1);
        assert_eq!(rows.batches_with_changes(Revision(0), 10).unwrap().len(), 1);
        assert_eq!(
            rows.batches_from(0)
                .unwrap()
                .iter()
                .map(|batch| batch.first)
                .collect::<Vec<_>>(),
            [2, 6]
        );
    });
}

#[test]
fn maintenance_between_commits_changes_nothing() {
    each(|backend| {
        for n in 0..50 {
            backend.commit(&group(n, 1, 0, 0)).unwrap();
            backend.maintain().unwrap();
        }
        assert_eq!(backend.reader().unwrap().entries(0, 100).unwrap().len(), 50);
    });
}

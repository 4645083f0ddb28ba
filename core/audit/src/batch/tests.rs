//! The frozen layout, and every way to cheat with a database.

use super::*;
use crate::test_key::TestKey;

const ENTRIES: [&[u8]; 3] = [b"one", b"two", b"three"];
const CHANGES: [&[u8]; 2] = [b"suspend", b"resume"];

fn key() -> TestKey {
    TestKey::new("dev.tabard/log/3", 1)
}

fn first() -> Batch {
    Batch {
        epoch: 1,
        log: LogId(3),
        first: 0,
        count: 3,
        revision_first: Revision(10),
        revision_last: Revision(12),
        entries_hash: hash_of(ENTRIES),
        changes_hash: hash_of(CHANGES),
        prev_hash: Digest::default(),
    }
}

fn second() -> Batch {
    Batch {
        first: 3,
        revision_first: Revision(12),
        revision_last: Revision(14),
        prev_hash: first().hash(),
        ..first()
    }
}

fn verify(batch: Batch, before: Option<&Batch>) -> Result<VerifiedBatch, BatchError> {
    batch
        .sign(&key())
        .verify(&key().public_key(), before, ENTRIES, CHANGES)
}

/// The hash was computed from the description in docs/reference/log.md by other code.
#[test]
fn the_layout_is_frozen() {
    assert_eq!(
        second().hash().hex(),
        "f478524665882f53fc29dca2025193b8801f605d17d83d86e3ce3351f9de59a7"
    );
    assert_eq!(Batch::from_bytes(&second().to_bytes()), Ok(second()));
    assert_eq!(
        Batch::from_bytes(&second().to_bytes()[1..]),
        Err(BatchError::Form)
    );
    let longer = [&second().to_bytes()[..], &[0]].concat();
    assert_eq!(Batch::from_bytes(&longer), Err(BatchError::Form));
}

#[test]
fn a_chain_of_batches_verifies() {
    let one = verify(first(), None).unwrap();
    let two = verify(second(), Some(one.get())).unwrap();
    assert_eq!((two.get().end(), *two.get()), (6, second()));
}

#[test]
fn an_edited_dropped_added_or_reordered_entry_is_found() {
    let signed = first().sign(&key());
    let tries: [&[&[u8]]; 5] = [
        &[b"one", b"two", b"tree"],
        &[b"one", b"two"],
        &[b"one", b"two", b"three", b"four"],
        &[b"two", b"one", b"three"],
        &[b"onetwo", b"", b"three"],
    ];
    for entries in tries {
        let found = signed.verify(&key().public_key(), None, entries.iter().copied(), CHANGES);
        assert_eq!(found, Err(BatchError::Entries { first: 0 }));
        let found = signed.verify(&key().public_key(), None, ENTRIES, entries.iter().copied());
        assert_eq!(found, Err(BatchError::Changes { first: 0 }));
    }
}

#[test]
fn another_writers_signature_or_a_changed_field_is_refused() {
    let other = TestKey::new("dev.tabard/log/3", 2);
    let forged = first().sign(&other);
    let why = PublicKeyError;
    assert_eq!(
        forged.verify(&key().public_key(), None, ENTRIES, CHANGES),
        Err(BatchError::Signature { first: 0, why })
    );
    let mut bytes = first().to_bytes();
    for place in 0..bytes.len() {
        bytes[place] ^= 0x10;
        if let Ok(batch) = Batch::from_bytes(&bytes) {
            let changed = SignedBatch {
                batch,
                ..first().sign(&key())
            };
            let verified = changed.verify(&key().public_key(), None, ENTRIES, CHANGES);
            assert!(
                matches!(verified, Err(BatchError::Signature { .. })),
                "byte {place}"
            );
        }
        bytes[place] ^= 0x10;
    }
}

#[test]
fn a_dropped_repeated_or_foreign_batch_does_not_chain() {
    let before = first();
    let cases = [
        (second(), None, "it is not the first of a log"),
        (first(), Some(&before), "entries are missing or twice"),
        (
            Batch { first: 4, ..second() },
            Some(&before),
            "entries are missing or twice",
        ),
        (
            Batch {
                prev_hash: second().hash(),
                ..second()
            },
            Some(&before),
            "it names another batch before it",
        ),
        (
            Batch {
                log: LogId(4),
                ..second()
            },
            Some(&before),
            "it is of another log",
        ),
        (
            Batch { epoch: 0, ..second() },
            Some(&before),
            "its epoch is older",
        ),
        (
            Batch {
                revision_first: Revision(11),
                ..second()
            },
            Some(&before),
            "its revision is older",
        ),
        (
            Batch {
                revision_last: Revision(11),
                ..second()
            },
            Some(&before),
            "its revisions run backwards",
        ),
        (Batch { count: 0, ..second() }, Some(&before), "it holds no entry"),
    ];
    for (batch, before, what) in cases {
        let first = batch.first;
        assert_eq!(verify(batch, before), Err(BatchError::Chain { first, what }));
    }
}

#[test]
fn no_note_can_be_read_as_a_batch() {
    assert!(LABEL.contains(&0));
    assert!(crate::note::SignedNote::sign("tabard batch v1\0\n".into(), &key()).is_err());
}

//! Every reader of this crate against arbitrary bytes and damaged genuine ones: it refuses, or reads exactly what was
//! written; it never panics.

use crate::batch::Batch;
use crate::checkpoint::Checkpoint;
use crate::merkle::Frontier;
use crate::note::{NoteKey, SignedNote};
use crate::receipt::Receipt;
use crate::test_key::TestKey;
use crate::tile::{TilePath, append_to_bundle, entries_of_bundle};
use crate::{Entry, Event, EventKind, WriterStamp};
use identity::{EventId, LogId, Revision, UnixTime};
use proptest::prelude::*;

/// Something genuine of each kind.
fn genuine() -> Vec<Vec<u8>> {
    let key = TestKey::new("dev.tabard/log/0", 1);
    let note = SignedNote::sign(
        "dev.tabard/log/0\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n".into(),
        &key,
    )
    .unwrap();
    let id = EventId::random(UnixTime::from_secs(1), LogId(0), 1);
    let stamp = WriterStamp {
        epoch: 0,
        index: 0,
        log: LogId(0),
        revision: Revision(0),
    };
    let entry = Event::new(id, UnixTime::from_secs(1), EventKind::LogOpened, Revision(0))
        .encode()
        .unwrap()
        .seal(stamp);
    let mut bundle = Vec::new();
    append_to_bundle(&mut bundle, entry.as_slice()).unwrap();
    let mut frontier = Frontier::new();
    frontier.push(entry.leaf_hash());
    vec![
        entry.as_slice().to_vec(),
        bundle,
        frontier.to_bytes(),
        note.to_string().into_bytes(),
        note.text_unverified().into(),
        key.vkey().to_string().into_bytes(),
        format!("c2sp.org/tlog-proof@v1\nindex 0\n\n{note}").into_bytes(),
        b"tile/entries/x001/234.p/7".to_vec(),
    ]
}

/// Reads the bytes as everything there is; what reads must write the same again.
fn read_all(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(entry) = Entry::parse(bytes) {
        prop_assert!(entry.encode().unwrap().as_slice() == bytes);
    }
    if let Ok(event) = Event::parse(bytes) {
        prop_assert!(event.encode().unwrap().as_slice() == bytes);
    }
    if let Ok(entries) = entries_of_bundle(bytes) {
        let mut again = Vec::new();
        for entry in entries {
            append_to_bundle(&mut again, entry).unwrap();
        }
        prop_assert_eq!(again, bytes);
    }
    if let Ok(frontier) = Frontier::from_bytes(bytes) {
        prop_assert_eq!(frontier.to_bytes(), bytes);
    }
    if let Ok(batch) = Batch::from_bytes(bytes) {
        prop_assert_eq!(&batch.to_bytes()[..], bytes);
    }
    if let Ok(note) = SignedNote::parse(bytes) {
        prop_assert!(note.to_string().as_bytes() == bytes);
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Ok(());
    };
    if let Ok(checkpoint) = text.parse::<Checkpoint>() {
        prop_assert_eq!(checkpoint.to_string(), text);
    }
    if let Ok(key) = text.parse::<NoteKey>() {
        prop_assert_eq!(key.to_string(), text);
    }
    if let Ok(receipt) = text.parse::<Receipt>() {
        prop_assert_eq!(receipt.to_string(), text);
    }
    if let Ok(path) = text.parse::<TilePath>() {
        prop_assert_eq!(path.to_string(), text);
    }
    Ok(())
}

#[test]
fn genuine_bytes_of_every_kind_are_read() {
    for bytes in genuine() {
        read_all(&bytes).unwrap();
    }
    let [entry, bundle, frontier, note, checkpoint, key, receipt, path] = genuine().try_into().unwrap();
    assert!(Entry::parse(&entry).is_ok() && entries_of_bundle(&bundle).is_ok());
    assert!(Frontier::from_bytes(&frontier).is_ok() && SignedNote::parse(&note).is_ok());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    assert!(text(checkpoint).parse::<Checkpoint>().is_ok() && text(key).parse::<NoteKey>().is_ok());
    assert!(text(receipt).parse::<Receipt>().is_ok() && text(path).parse::<TilePath>().is_ok());
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_a_reader(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read_all(&bytes)?;
    }

    #[test]
    fn damaged_bytes_are_refused_or_read_as_they_are(
        which in 0_usize..8, at in any::<prop::sample::Index>(), edit in 0..3, byte in any::<u8>(),
    ) {
        let mut bytes = genuine().swap_remove(which);
        let place = at.index(bytes.len());
        match edit {
            0 => bytes[place] = byte,
            1 => { bytes.remove(place); }
            _ => bytes.insert(place, byte),
        }
        read_all(&bytes)?;
    }
}

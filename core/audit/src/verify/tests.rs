//! An honest log, and everything that can be done to one.

use super::*;
use crate::checkpoint::Checkpoint;
use crate::event::Event;
use crate::test_key::TestKey;
use crate::tile::append_to_bundle;
use identity::{EventId, Revision, UnixTime};
use proptest::prelude::*;
use std::collections::BTreeMap;

const ORIGIN: &str = "dev.tabard/log/0";
const LOG: LogId = LogId(0);
const NOW: UnixTime = UnixTime::from_millis(1_795_324_183_120);

type Files = BTreeMap<String, Vec<u8>>;

fn key() -> TestKey {
    TestKey::new(ORIGIN, 1)
}

fn stamp(index: u64) -> WriterStamp {
    WriterStamp {
        epoch: 1 + index / 400,
        index,
        log: LOG,
        revision: Revision(index / 3),
    }
}

fn entry_at(n: u64, stamp: WriterStamp) -> Vec<u8> {
    let mut event = Event::new(
        EventId::random(NOW, LOG, n),
        NOW.plus_millis(n),
        EventKind::GatewayCall,
        Revision(n / 3),
    );
    event.detail.insert("n".into(), n.into());
    event.encode().unwrap().seal(stamp).as_slice().to_vec()
}

fn entries(size: u64) -> Vec<Vec<u8>> {
    (0..size).map(|n| entry_at(n, stamp(n))).collect()
}

/// The files of a log of these entries, signed.
fn export(entries: &[Vec<u8>], key: &TestKey) -> Files {
    let (mut files, mut builder) = (Files::new(), TileBuilder::new());
    for entry in entries {
        for (path, bytes) in builder.push(leaf_hash(entry)) {
            files.insert(path.to_string(), bytes);
        }
    }
    let size = builder.size();
    for (path, bytes) in builder.partial_tiles() {
        files.insert(path.to_string(), bytes);
    }
    for (path, chunk) in TilePath::bundles_of_tree(size).zip(entries.chunks(256)) {
        let mut bundle = Vec::new();
        for entry in chunk {
            append_to_bundle(&mut bundle, entry).unwrap();
        }
        files.insert(path.to_string(), bundle);
    }
    let head = Checkpoint {
        origin: ORIGIN.into(),
        size,
        root: builder.root(),
    };
    files.insert(
        CHECKPOINT_PATH.into(),
        head.sign(key).unwrap().to_string().into_bytes(),
    );
    files
}

fn honest(size: u64) -> Files {
    export(&entries(size), &key())
}

fn verifier() -> Verifier {
    Verifier::new(key().vkey(), LOG)
}

fn kept(files: &Files) -> VerifiedCheckpoint {
    verify_checkpoint(&files[CHECKPOINT_PATH], &key().vkey()).unwrap()
}

fn fault(files: &Files) -> Fault {
    verifier().verify(files).fault.unwrap()
}

#[test]
fn an_honest_log_of_any_size_is_sound() {
    for size in [0, 1, 2, 255, 256, 257, 700] {
        let report = verifier().verify(&honest(size));
        assert_eq!(report.fault, None);
        assert_eq!(
            (report.entries, report.tiles),
            (size, TilePath::of_tree(size).count() as u64)
        );
    }
}

#[test]
fn an_honest_log_continues_every_checkpoint_it_ever_signed() {
    let log = honest(600);
    for size in [1, 255, 256, 257, 599, 600] {
        let old = kept(&honest(size));
        let report = verifier().continuing(old.clone()).verify(&log);
        assert_eq!((report.fault.clone(), report.continues), (None, Some(size)));
        assert!(verify_growth(&old, &kept(&log), &log).is_ok());
    }
}

#[test]
fn the_report_says_what_was_checked_and_what_stays_open() {
    let log = honest(300);
    let report = verifier().continuing(kept(&honest(256))).verify(&log);
    insta::assert_snapshot!(report.to_string());
    let cut = honest(200);
    let report = verifier().continuing(kept(&log)).verify(&cut);
    assert!(
        report
            .to_string()
            .ends_with("FAULT: the log was cut: it has 200 entries, and you kept a checkpoint of 300\n")
    );
    assert!(report.limits().is_empty());
}

#[test]
fn a_changed_entry_is_named() {
    let mut files = honest(300);
    let bundle = files.get_mut("tile/entries/000").unwrap();
    let place = bundle.windows(7).position(|text| text == b"\"n\":136").unwrap();
    bundle[place + 6] = b'7';
    assert_eq!(
        fault(&files).to_string(),
        "entry 136 (tile/entries/000) does not match its level 0 tile (tile/0/000)"
    );
}

#[test]
fn an_entry_and_its_hash_changed_together_are_found_one_level_up() {
    let mut changed = entries(300);
    changed[136] = entry_at(999, stamp(136));
    let (mut files, forged) = (honest(300), export(&changed, &key()));
    for path in ["tile/entries/000", "tile/0/000"] {
        files.insert(path.into(), forged[path].clone());
    }
    assert_eq!(
        fault(&files).to_string(),
        "tile/1/000.p/1 does not match the tiles below it"
    );
    files.insert("tile/1/000.p/1".into(), forged["tile/1/000.p/1"].clone());
    assert_eq!(fault(&files), Fault::Root { size: 300 });
}

#[test]
fn a_forger_without_the_key_cannot_sign_the_rest() {
    let mut changed = entries(300);
    changed[136] = entry_at(999, stamp(136));
    let forged = export(&changed, &TestKey::new(ORIGIN, 2));
    assert!(matches!(fault(&forged), Fault::Checkpoint(_)));
}

/// The holder of the key can rewrite everything, but not what a verifier kept.
#[test]
fn a_rewritten_history_forks_from_the_kept_checkpoint() {
    let old = kept(&honest(200));
    let mut changed = entries(300);
    changed[136] = entry_at(999, stamp(136));
    let forged = export(&changed, &key());
    assert!(verifier().verify(&forged).is_sound());
    assert_eq!(
        verifier().continuing(old.clone()).verify(&forged).fault,
        Some(Fault::Fork { kept: 200 })
    );
    assert!(matches!(
        verify_growth(&old, &kept(&forged), &forged),
        Err(GrowthError::Proof(_))
    ));
}

#[test]
fn a_cut_log_is_shorter_than_the_kept_checkpoint() {
    let (old, cut) = (kept(&honest(300)), honest(256));
    let report = verifier().continuing(old.clone()).verify(&cut);
    assert_eq!(report.fault, Some(Fault::Truncated { kept: 300, size: 256 }));
    assert!(matches!(
        verify_growth(&old, &kept(&cut), &cut),
        Err(GrowthError::Proof(_))
    ));
}

#[test]
fn an_old_checkpoint_in_place_of_the_new_one_is_the_same_as_a_cut() {
    let (old, mut files) = (honest(256), honest(300));
    let newest = kept(&files);
    files.insert(CHECKPOINT_PATH.into(), old[CHECKPOINT_PATH].clone());
    files.insert("tile/1/000.p/1".into(), old["tile/1/000.p/1"].clone());
    assert!(verifier().verify(&files).is_sound());
    let report = verifier().continuing(newest).verify(&files);
    assert_eq!(report.fault, Some(Fault::Truncated { kept: 300, size: 256 }));
}

#[test]
fn entries_out_of_place_are_found_even_when_the_key_signed_them() {
    let mut swapped = entries(300);
    swapped.swap(10, 11);
    let place = |index, says| Fault::Place {
        index,
        says: identity::EntryRef {
            log: LOG,
            index: says,
        },
    };
    assert_eq!(fault(&export(&swapped, &key())), place(10, 11));

    let mut dropped = entries(300);
    dropped.remove(40);
    assert_eq!(fault(&export(&dropped, &key())), place(40, 41));

    let mut foreign = entries(300);
    foreign[7] = entry_at(
        7,
        WriterStamp {
            log: LogId(9),
            ..stamp(7)
        },
    );
    let says = identity::EntryRef {
        log: LogId(9),
        index: 7,
    };
    assert_eq!(fault(&export(&foreign, &key())), Fault::Place { index: 7, says });
}

#[test]
fn epochs_and_revisions_never_fall() {
    let mut backwards = entries(300);
    backwards[100] = entry_at(
        100,
        WriterStamp {
            revision: Revision(5),
            ..stamp(100)
        },
    );
    let found = fault(&export(&backwards, &key()));
    assert_eq!(
        found,
        Fault::Backwards {
            index: 100,
            what: "revision",
            from: 33,
            to: 5
        }
    );
    let mut backwards = entries(300);
    backwards[100] = entry_at(
        100,
        WriterStamp {
            epoch: 0,
            ..stamp(100)
        },
    );
    let found = fault(&export(&backwards, &key()));
    assert_eq!(
        found,
        Fault::Backwards {
            index: 100,
            what: "epoch",
            from: 1,
            to: 0
        }
    );
}

#[test]
fn bytes_that_are_no_event_are_found_even_when_the_key_signed_them() {
    let mut odd = entries(3);
    odd[1].extend_from_slice(b" ");
    assert!(matches!(
        fault(&export(&odd, &key())),
        Fault::NotAnEntry { index: 1, .. }
    ));
}

#[test]
fn a_missing_file_is_named() {
    for path in honest(600).keys() {
        let mut files = honest(600);
        files.remove(path);
        assert_eq!(fault(&files), Fault::Read(ReadError::Missing(path.clone())));
    }
}

#[test]
fn pruned_bundles_are_accepted_only_below_the_agreed_index() {
    let mut files = honest(600);
    files.remove("tile/entries/000");
    let report = verifier().pruned_below(256).verify(&files);
    assert_eq!(
        (report.fault.clone(), report.pruned, report.entries),
        (None, 256, 344)
    );
    assert!(report.limits().iter().any(|limit| limit.contains("256 entries")));
    for below in [0, 255] {
        let report = verifier().pruned_below(below).verify(&files);
        assert_eq!(
            report.fault,
            Some(Fault::Read(ReadError::Missing("tile/entries/000".into())))
        );
    }
    // What is left must still be right: pruning hides bytes, not hashes.
    files.get_mut("tile/0/000").unwrap()[5] ^= 1;
    assert!(!verifier().pruned_below(256).verify(&files).is_sound());
}

#[test]
fn full_tiles_may_stand_in_for_partial_ones() {
    let (mut files, longer) = (honest(300), honest(600));
    for (partial, full) in [
        ("tile/0/001.p/44", "tile/0/001"),
        ("tile/entries/001.p/44", "tile/entries/001"),
    ] {
        files.remove(partial);
        files.insert(full.into(), longer[full].clone());
    }
    assert_eq!(verifier().verify(&files).fault, None);
}

#[test]
fn entries_of_newer_writers_are_counted_not_refused() {
    let mut newer = entries(3);
    newer[1] = String::from_utf8(newer[1].clone())
        .unwrap()
        .replace("gateway.call", "agent.dreamed")
        .into_bytes();
    let report = verifier().verify(&export(&newer, &key()));
    assert_eq!((report.fault.clone(), report.unknown_kinds), (None, 1));
    assert!(
        report
            .limits()
            .iter()
            .any(|limit| limit.contains("newer than this verifier"))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_flipped_bit_of_any_file_is_found(file in any::<prop::sample::Index>(), byte in any::<prop::sample::Index>(), bit in 0..8) {
        let mut files = honest(270);
        let paths: Vec<String> = files.keys().cloned().collect();
        let content = files.get_mut(file.get(&paths)).unwrap();
        let place = byte.index(content.len());
        content[place] ^= 1_u8 << bit;
        prop_assert!(!verifier().verify(&files).is_sound());
    }

    #[test]
    fn any_cut_or_grown_file_is_found(file in any::<prop::sample::Index>(), len in any::<prop::sample::Index>(), grow in any::<bool>()) {
        let mut files = honest(270);
        let paths: Vec<String> = files.keys().cloned().collect();
        let content = files.get_mut(file.get(&paths)).unwrap();
        if grow { content.push(0) } else { content.truncate(len.index(content.len())) }
        prop_assert!(!verifier().verify(&files).is_sound());
    }

    #[test]
    fn any_edit_by_the_holder_of_the_key_is_found_against_a_kept_checkpoint(
        at in 0_usize..270, size in 1_u64..270, edit in 0..4,
    ) {
        let old = kept(&honest(size));
        let mut changed = entries(270);
        match edit {
            0 => { changed.remove(at); }
            1 => changed.insert(at, entry_at(1, stamp(at as u64))),
            2 => changed[at] = entry_at(999, stamp(at as u64)),
            _ => { let to = (at + 1) % 270; changed.swap(at, to); }
        }
        let forged = export(&changed, &key());
        let report = verifier().continuing(old).verify(&forged);
        // An entry after the kept checkpoint can be replaced, and the last one dropped: only a newer checkpoint shows it.
        let after = at as u64 >= size;
        prop_assert_eq!(report.is_sound(), after && (edit == 2 || edit == 0 && at == 269));
    }
}

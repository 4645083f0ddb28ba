//! The specification's example, and forgeries.

use super::*;
use crate::test_key::TestKey;

/// The example note of the signed-note specification (its key is not published, so it is only parsed).
const EXAMPLE: &str = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\n\
    ed è subito sera.\n\n— quasimodo.example/salvatore \
    NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";

#[test]
fn the_example_of_the_specification_reads_and_writes_as_it_is() {
    let note = SignedNote::parse(EXAMPLE.as_bytes()).unwrap();
    assert!(note.text_unverified().ends_with("sole:\n\ned è subito sera.\n"));
    let [line] = note.signatures() else {
        panic!("one signature")
    };
    assert_eq!(
        (line.name.as_str(), line.id, line.signature.len()),
        ("quasimodo.example/salvatore", 0x367b_a04b, 64)
    );
    assert_eq!(note.to_string(), EXAMPLE);
}

/// The verifier key of the Go checksum database, published in its source and documentation.
#[test]
fn a_published_verifier_key_reads_and_writes_as_it_is() {
    let text = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    let key: NoteKey = text.parse().unwrap();
    assert_eq!((key.name(), key.id()), ("sum.golang.org", 0x033d_e0ae));
    assert_eq!(key.to_string(), text);
    for (bad, why) in [
        (
            "sum.golang.com+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
            NoteKeyError::Id,
        ),
        (
            "sum.golang.org+033de0af+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
            NoteKeyError::Id,
        ),
        (
            "sum.golang.org+033DE0AE+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
            NoteKeyError::Id,
        ),
        (
            "sum.golang.org+033de0ae+As4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
            NoteKeyError::Type,
        ),
        (
            "sum golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
            NoteKeyError::Name,
        ),
        ("sum.golang.org+033de0ae", NoteKeyError::Form),
    ] {
        assert_eq!(bad.parse::<NoteKey>(), Err(why), "{bad}");
    }
}

#[test]
fn a_note_is_believed_only_with_the_key_known_beforehand() {
    let (ours, theirs) = (
        TestKey::new("dev.tabard/log/0", 1),
        TestKey::new("dev.tabard/log/0", 2),
    );
    let note = SignedNote::sign("text\n".into(), &ours).unwrap();
    let read = SignedNote::parse(note.to_string().as_bytes()).unwrap();
    assert_eq!(read.verify(&ours.vkey()).unwrap().as_str(), "text\n");
    assert_eq!(
        read.verify(&theirs.vkey()),
        Err(NoteError::Unsigned("dev.tabard/log/0".into()))
    );
}

#[test]
fn a_changed_text_or_signature_is_refused() {
    let key = TestKey::new("log", 1);
    let note = SignedNote::sign("size 12\n".into(), &key).unwrap().to_string();
    let changed = SignedNote::parse(note.replace("12", "13").as_bytes()).unwrap();
    assert_eq!(
        changed.verify(&key.vkey()),
        Err(NoteError::BadSignature("log".into()))
    );

    // A second line that claims the same key condemns the note, whichever of both is genuine.
    let mut doubled = SignedNote::parse(note.as_bytes()).unwrap();
    let line = NoteSignature {
        signature: vec![0; 64],
        ..doubled.signatures()[0].clone()
    };
    doubled.add(line).unwrap();
    assert_eq!(
        doubled.verify(&key.vkey()),
        Err(NoteError::BadSignature("log".into()))
    );
}

#[test]
fn lines_by_unknown_keys_are_ignored() {
    let (log, witness) = (TestKey::new("log", 1), TestKey::new("witness", 2));
    let mut note = SignedNote::sign("text\n".into(), &log).unwrap();
    note.add(SignedNote::sign("other\n".into(), &witness).unwrap().signatures()[0].clone())
        .unwrap();
    assert!(note.verify(&log.vkey()).is_ok());
    assert!(note.verify(&witness.vkey()).is_err());
}

#[test]
fn what_is_not_a_note_is_refused() {
    let long = format!("{}\n\n— a AAAAAAA=\n", "x".repeat(NOTE_BYTES_MAX));
    let many = format!("text\n\n{}", "— a AAAAAAA=\n".repeat(SIGNATURES_MAX + 1));
    for (bytes, why) in [
        (&b"text\n"[..], NoteError::Form),
        (b"text\n\n\xe2\x80\x94 a AAAAAAA=", NoteError::Form),
        (b"te\txt\n\n\xe2\x80\x94 a AAAAAAA=\n", NoteError::NotText),
        (b"te\xffxt\n\n\xe2\x80\x94 a AAAAAAA=\n", NoteError::NotText),
        (b"text\n\n- a AAAAAAA=\n", NoteError::SignatureLine),
        (b"text\n\n\xe2\x80\x94 a AAAAA\n", NoteError::SignatureLine),
        (b"text\n\n\xe2\x80\x94 a AAAAAA==\n", NoteError::SignatureLine),
        (long.as_bytes(), NoteError::TooLong),
        (many.as_bytes(), NoteError::TooManySignatures),
    ] {
        assert_eq!(SignedNote::parse(bytes), Err(why));
    }
}

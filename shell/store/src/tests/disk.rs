//! A full disk stops the store; what it acknowledged before is there.

use super::{crash, event, open, wait};
use crate::CommitError;
use audit::merkle::leaf_hash;
use identity::Revision;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// Set in the child: the directory to work in.
const CHILD: &str = "TABARD_DISK_CHILD";
/// Blocks of 512 bytes that any file may have: 2 MiB.
const BLOCKS: &str = "4096";

/// Not a test by itself: commits until the limit on file sizes stops it. Returns at once unless a parent asked.
#[test]
fn child() {
    let Ok(root) = std::env::var(CHILD) else {
        return;
    };
    let store = open(Path::new(&root));
    let refused = (0..100_000).find_map(|n| {
        let mut event = event(n);
        event.detail.insert("padding".into(), "x".repeat(2_000).into());
        match wait(store.write(Revision(0), vec![], vec![], event)) {
            Ok(receipt) => {
                let leaf = leaf_hash(&store.log().entry(receipt.entry.index).unwrap()).hex();
                let line = format!("ack {n} {} {} {leaf}\n", receipt.entry.index, receipt.revision);
                std::io::stdout().write_all(line.as_bytes()).unwrap();
                None
            }
            Err(error) => Some(error),
        }
    });
    assert!(matches!(refused, Some(CommitError::Poisoned(_))), "{refused:?}");
    let again = wait(store.write(Revision(0), vec![], vec![], event(0)));
    assert!(matches!(again, Err(CommitError::Poisoned(_))));
    assert!(store.health().stopped.is_some());
    std::io::stdout().write_all(b"stopped\n").unwrap();
}

#[test]
fn a_full_disk_stops_the_store_and_loses_nothing_that_was_acknowledged() {
    let root = tempfile::tempdir().unwrap();
    // The signal of the limit is ignored, so that a write fails as it does on a full disk.
    let script =
        format!("trap '' XFSZ; ulimit -f {BLOCKS}; exec \"$0\" --exact tests::disk::child --nocapture");
    let output = Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, root.path())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("stopped\n"),
        "{said} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let acknowledged = crash::by_number(&said);
    assert!(acknowledged.len() > 100);
    let store = open(root.path());
    for (n, index) in acknowledged {
        let entry = String::from_utf8(store.log().entry(index).unwrap()).unwrap();
        assert!(entry.contains(&format!("\"n\":{n},")), "{entry}");
    }
    wait(store.write(Revision(0), vec![], vec![], event(1))).unwrap();
}

//! A record that somebody changed, and a store that somebody put back.

use super::home::Ended;
use super::installation::Installation;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Longest wait for the next checkpoint.
const PUBLISHED: Duration = Duration::from_secs(20);

/// Exports all that was recorded so far.
fn export(dev: &Installation, name: &str) -> PathBuf {
    // Entries come under the published checkpoint about once a second.
    let log = || dev.json(&["status"])["log"].clone();
    let size = log()["size"].as_u64();
    let begun = Instant::now();
    while log()["published"].as_u64() < size {
        assert!(begun.elapsed() < PUBLISHED, "{:#}", log());
        std::thread::sleep(Duration::from_millis(100));
    }
    let folder = dev.home.path().join("w").join(name);
    dev.tabard(&["audit", "export", folder.to_str().unwrap()]).ok();
    folder
}

/// The file of the newest entries, each with its length before it in two bytes (C2SP tlog-tiles).
fn bundle(export: &Path) -> PathBuf {
    let partial = std::fs::read_dir(export.join("tile/entries/000.p"))
        .unwrap()
        .next()
        .unwrap();
    partial.unwrap().path()
}

fn split(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    while let [high, low, rest @ ..] = bytes {
        let (entry, more) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        entries.push(entry.to_vec());
        bytes = more;
    }
    entries
}

fn join(entries: &[Vec<u8>]) -> Vec<u8> {
    let framed = |entry: &Vec<u8>| [&u16::try_from(entry.len()).unwrap().to_be_bytes()[..], entry].concat();
    entries.iter().flat_map(framed).collect()
}

/// What is done to the entries.
type Forgery<'a> = dyn Fn(&mut Vec<Vec<u8>>) + 'a;

fn verify(dev: &Installation, folder: &Path) -> Ended {
    dev.tabard(&["-o", "json", "audit", "verify", folder.to_str().unwrap()])
}

#[test]
fn an_edited_shortened_reordered_or_withheld_record_is_not_sound() {
    let dev = Installation::start();
    dev.billing(&["curl", "-s", "http://payroll.demo/v1/salaries"])
        .ok();
    let old = export(&dev, "old");
    dev.billing(&["true"]).ok();
    let new = export(&dev, "new");
    assert!(verify(&dev, &new).ok().contains(r#""sound": true"#));

    let file = bundle(&new);
    let honest = split(&std::fs::read(&file).unwrap());
    assert!(honest.len() > 10);
    let denied = honest
        .iter()
        .position(|entry| String::from_utf8_lossy(entry).contains("ACTION_NOT_GRANTED"))
        .unwrap();
    let forge = |change: &Forgery<'_>| {
        let mut entries = honest.clone();
        change(&mut entries);
        // The owner of the file wrote over it.
        std::fs::write(&file, join(&entries)).unwrap();
        verify(&dev, &new)
    };
    let forgeries: [(&str, &Forgery<'_>); 5] = [
        ("one byte edited", &|entries| {
            *entries[denied].last_mut().unwrap() ^= 1;
        }),
        ("an entry deleted", &|entries| drop(entries.remove(denied))),
        ("an entry replaced by its neighbour", &|entries| {
            entries[denied] = entries[denied - 1].clone();
        }),
        ("two entries exchanged", &|entries| {
            entries.swap(denied, denied - 1);
        }),
        ("the end cut off", &|entries| entries.truncate(denied)),
    ];
    for (what, change) in forgeries {
        let ended = forge(change);
        assert_eq!(ended.code, Some(1), "{what}\n{}\n{}", ended.out, ended.err);
        let report: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
        assert_eq!(report["sound"], false, "{what}\n{report:#}");
        assert!(report["fault"].is_string(), "{what}\n{report:#}");
    }
    assert!(forge(&|_| ()).ok().contains(r#""sound": true"#));

    // Honest in itself, but shorter than what was kept when the newer one was verified.
    let withheld = verify(&dev, &old);
    assert_eq!(withheld.code, Some(1), "{}\n{}", withheld.out, withheld.err);
}

#[test]
fn a_data_directory_put_back_to_an_older_state_does_not_start() {
    let mut dev = Installation::start();
    dev.billing(&["true"]).ok();
    dev.stop();
    let (data, older) = (dev.data(), dev.home.path().join("older"));
    copy(&data, &older);
    dev.start_again();
    dev.billing(&["curl", "-s", "http://payroll.demo/v1/salaries"])
        .ok();
    dev.stop();
    std::fs::remove_dir_all(&data).unwrap();
    copy(&older, &data);

    let before = dev.log().len();
    let refused = dev.dev().wait_with_output().unwrap();
    let said = dev.log().split_off(before);
    assert!(!refused.status.success(), "{said}");
    assert!(said.contains("the store was rolled back"), "{said}");
}

/// With modes and owners.
fn copy(from: &Path, to: &Path) {
    assert!(
        Command::new("cp")
            .arg("-a")
            .arg(from)
            .arg(to)
            .status()
            .unwrap()
            .success()
    );
}

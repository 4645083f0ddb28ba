//! Nothing that was acknowledged is lost: a process that commits under load is killed at random, hundreds of times.
//!
//! In half of the rounds the directory is then replaced by what was fsynced ([`super::mirror`]): a power failure at
//! its worst. `TABARD_CRASH_ROUNDS` sets the number of rounds.

use super::{LOG, NOW, facts, log, mirror, name_of, once, open, org, permit, settings, wait};
use crate::{CommitError, Store};
use audit::merkle::leaf_hash;
use broker::World;
use identity::{Digest, OrgId, OrgScope, Revision};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Rounds unless the environment says otherwise.
const ROUNDS: u64 = 300;
/// Crashes that one directory goes through before a new one is taken.
const ROUNDS_A_DIRECTORY: u64 = 12;
/// Set in the child: the directory to work in.
const CHILD: &str = "TABARD_CRASH_CHILD";
/// Set in the child: where its numbers begin, so that no two rounds make the same org.
const FROM: &str = "TABARD_CRASH_FROM";

/// What the child was told by a commit.
#[derive(Debug)]
struct Ack {
    n: u64,
    index: u64,
    revision: u64,
    leaf: Digest,
}

/// Not a test by itself: the process that is killed. Returns at once unless a parent asked for it.
#[test]
fn child() {
    let (Ok(root), Ok(from)) = (std::env::var(CHILD), std::env::var(FROM)) else {
        return;
    };
    let from: u64 = from.parse().unwrap();
    let store = Arc::new(open(Path::new(&root)));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let work = |task: u64| {
        let store = store.clone();
        async move {
            for step in 0.. {
                let n = from + step * 8 + task;
                let (changes, event) = if changes(n) {
                    let (change, event) = org(n);
                    (vec![change], event)
                } else {
                    (vec![], permit(n, None))
                };
                let expect = if n.is_multiple_of(10) {
                    vec![once(n, 3600)]
                } else {
                    vec![]
                };
                let receipt = store
                    .write(Revision(u64::MAX), expect, changes, event)
                    .await
                    .unwrap();
                let leaf = leaf_hash(&store.log().entry(receipt.entry.index).unwrap()).hex();
                let line = format!("ack {n} {} {} {leaf}\n", receipt.entry.index, receipt.revision);
                std::io::stdout().write_all(line.as_bytes()).unwrap();
            }
        }
    };
    let tasks: Vec<_> = (0..8).map(|task| runtime.spawn(work(task))).collect();
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
}

fn changes(n: u64) -> bool {
    n % 7 == 3
}

/// Runs the child in `root` and kills it some time after its first acknowledgement.
fn crash(root: &Path, from: u64, after: Duration, environment: &[(&str, &Path)]) -> Vec<Ack> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "tests::crash::child",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(CHILD, root)
        .env(FROM, from.to_string())
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acks = Vec::new();
    for line in lines.by_ref() {
        if let Some(ack) = parse(&line.unwrap()) {
            acks.push(ack);
            break;
        }
    }
    let killer = std::thread::spawn(move || {
        std::thread::sleep(after);
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap()
    });
    acks.extend(lines.map_while(Result::ok).filter_map(|line| parse(&line)));
    assert_eq!(killer.join().unwrap().code(), None, "the child ended by itself");
    acks
}

fn parse(line: &str) -> Option<Ack> {
    let mut words = line.split(' ');
    if words.next() != Some("ack") {
        return None;
    }
    let mut number = || words.next()?.parse().ok();
    let (n, index, revision) = (number()?, number()?, number()?);
    // The last line may be cut.
    let leaf = format!("sha256:{}", words.next()?).parse().ok()?;
    Some(Ack {
        n,
        index,
        revision,
        leaf,
    })
}

/// What is wrong with a directory after a crash; nothing, it is hoped.
fn loss<'a>(root: &Path, acks: impl IntoIterator<Item = &'a Ack>) -> Option<String> {
    let store = match Store::open(&settings(root)) {
        Ok(store) => store,
        Err(error) => return Some(format!("does not open: {error}")),
    };
    let world = store.world();
    for ack in acks {
        match store.log().entry(ack.index) {
            Ok(entry) if leaf_hash(&entry) == ack.leaf => {}
            other => return Some(format!("{ack:?}: {:?}", other.map(|entry| leaf_hash(&entry)))),
        }
        let id = OrgId::mint(NOW, LOG, ack.n).at(Revision(ack.revision));
        if changes(ack.n)
            && world
                .org(OrgScope::Every, id)
                .is_none_or(|org| org.name.as_str() != name_of(ack.n))
        {
            return Some(format!("{ack:?}: its Change is lost"));
        }
        if ack.n.is_multiple_of(10) && ack.n % 3 == 0 {
            let again = wait(store.write(
                Revision(u64::MAX),
                vec![once(ack.n, 3600)],
                vec![],
                super::event(0),
            ));
            if !matches!(again, Err(CommitError::Conflict(_))) {
                return Some(format!("{ack:?}: its key can be spent again"));
            }
        }
    }
    let mut replayed = World::default();
    let mut feed = store.subscribe(Revision(0)).unwrap();
    while replayed.revision() < world.revision() {
        let delta = wait(feed.next()).unwrap();
        replayed = replayed.apply(&delta.changes, delta.revision);
    }
    if facts(&replayed) != facts(&world) {
        return Some("the World is not its history".into());
    }
    let size = store.log().size();
    store.close();
    let report = log::verify(root.join("data/log"));
    if !report.is_sound() || report.entries != size {
        return Some(format!("the published log does not verify: {report:?}"));
    }
    None
}

/// A delay of 0 to 40 ms that differs from round to round.
fn delay(round: u64) -> Duration {
    let mixed = (round + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Duration::from_micros((mixed >> 32) % 40_000)
}

fn rounds() -> u64 {
    std::env::var("TABARD_CRASH_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap())
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let (mut root, mut acknowledged, mut of_directory) = (tempfile::tempdir().unwrap(), 0, Vec::<Ack>::new());
    for round in 0..rounds() / 2 {
        if round % ROUNDS_A_DIRECTORY == 0 {
            root = tempfile::tempdir().unwrap();
            of_directory = Vec::new();
        }
        let acks = crash(root.path(), round * 1_000_000, delay(round), &[]);
        acknowledged += acks.len();
        assert_eq!(
            loss(root.path(), of_directory.iter().chain(&acks)),
            None,
            "round {round}"
        );
        of_directory.extend(acks.into_iter().step_by(20));
    }
    assert!(acknowledged as u64 >= rounds() / 2, "the child did work");
}

/// One power failure: the child in `root`, then `root` as the mirror has it.
fn power_failure(root: &Path, round: u64, ignore: bool) -> Vec<Ack> {
    let mirrored = tempfile::tempdir().unwrap();
    let mut environment = vec![
        ("LD_PRELOAD", mirror::shim()),
        ("DROPSYNC_DIR", root),
        ("DROPSYNC_MIRROR", mirrored.path()),
    ];
    if ignore {
        environment.push(("DROPSYNC_IGNORE", Path::new("1")));
    }
    let acks = crash(root, round * 1_000_000, delay(round), &environment);
    for entry in fs::read_dir(root).unwrap() {
        fs::remove_dir_all(entry.unwrap().path()).unwrap();
    }
    mirror::restore(mirrored.path(), root);
    acks
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_fails() {
    let (mut root, mut of_directory) = (tempfile::tempdir().unwrap(), Vec::<Ack>::new());
    for round in 0..rounds() / 2 {
        if round % ROUNDS_A_DIRECTORY == 0 {
            root = tempfile::tempdir().unwrap();
            of_directory = Vec::new();
        }
        let acks = power_failure(root.path(), round, false);
        assert_eq!(
            loss(root.path(), of_directory.iter().chain(&acks)),
            None,
            "round {round}"
        );
        of_directory.extend(acks.into_iter().step_by(20));
    }
}

/// The test above can fail: without fsync everything acknowledged is lost, and it says so.
#[test]
fn without_fsync_the_loss_is_noticed() {
    let root = tempfile::tempdir().unwrap();
    let acks = power_failure(root.path(), 1, true);
    assert!(loss(root.path(), &acks).is_some());
}

/// Acknowledgements by number, to tell what a disk kept.
pub(super) fn by_number(lines: &str) -> BTreeMap<u64, u64> {
    lines
        .lines()
        .filter_map(parse)
        .map(|ack| (ack.n, ack.index))
        .collect()
}

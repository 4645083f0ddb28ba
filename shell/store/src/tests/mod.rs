//! What every test here needs: a key, a directory, events and Changes that can be told apart.
//!
//! The tests live inside the crate because there is no public way to write without a plan, and there shall be none.

mod backend;
mod commit;
mod crash;
mod disk;
mod feed;
mod index;
mod ledger;
mod log;
mod mirror;
mod reopen;
mod tamper;

use crate::{OpenError, Settings, Store};
use audit::event::{Decision, Minted, Ruling};
use audit::note::{NoteSigner, PublicKey};
use audit::{Event, EventKind};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use broker::plan::{OnceKind, Precondition};
use broker::world::{Org, Revocation, Target};
use broker::{Change, World};
use identity::{EventId, LogId, OrgId, OrgScope, Revision, TaskId, UnixTime};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) const NOW: UnixTime = UnixTime::from_millis(1_795_324_183_120);
pub(super) const LOG: LogId = LogId(3);

/// A signing key made from one number.
pub(super) struct TestKey(Ed25519KeyPair);

impl TestKey {
    pub(super) fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }
}

impl NoteSigner for TestKey {
    fn name(&self) -> &'static str {
        "test.example/log/3"
    }
    fn public_key(&self) -> PublicKey {
        PublicKey::from_bytes(self.0.public_key().as_ref().try_into().unwrap())
    }
    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).as_ref().try_into().unwrap()
    }
}

/// Settings for `root/data` with a checkpoint in `root/outside`, publishing often.
pub(super) fn settings(root: &Path) -> Settings {
    let mut settings = Settings::new(root.join("data"), LOG, Arc::new(TestKey::new(1)));
    settings.checkpoint_outside = Some(root.join("outside/checkpoint"));
    settings.publish_every = Duration::from_millis(5);
    settings
}

/// A child that another test starts at this moment holds a lock that was just given back, until it executes its program.
pub(super) fn open(root: &Path) -> Store {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match Store::open(&settings(root)) {
            Err(OpenError::InUse { .. }) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            opened => return opened.unwrap(),
        }
    }
}

/// An event that only tells, about `n`.
pub(super) fn event(n: u64) -> Event {
    let mut event = Event::new(
        EventId::random(NOW, LOG, n),
        NOW,
        EventKind::LogHeartbeat,
        Revision(0),
    );
    event.detail.insert("n".into(), n.into());
    event
}

/// An event that gives somebody something in `org`.
pub(super) fn permit(n: u64, org: Option<OrgId>) -> Event {
    let mut event = event(n);
    event.kind = EventKind::TokenExchanged;
    event.org = org;
    event.decision = Some(Decision::new(
        identity::DecisionId::random(NOW, LOG, n),
        Ruling::Allow,
    ));
    event
}

/// An org that is made, and the event that says so.
pub(super) fn org(n: u64) -> (Change, Event) {
    let id = OrgId::mint(NOW, LOG, n);
    let mut event = event(n);
    event.kind = EventKind::OrgCreated;
    event.minted = Some(Minted::Org(id));
    event.org = Some(id);
    (
        Change::OrgCreated(Org {
            id,
            name: name_of(n).parse().unwrap(),
        }),
        event,
    )
}

pub(super) fn name_of(n: u64) -> String {
    format!("org-{n}")
}

/// A Change that narrows, in `org` or everywhere.
pub(super) fn revoke(n: u64, org: Option<OrgId>) -> Change {
    let target = Target::Task(TaskId::mint(NOW, LOG, n));
    Change::Revoked(Revocation {
        target,
        org,
        forget_at: NOW.plus_secs(3600),
    })
}

pub(super) fn once(n: u64, secs: u64) -> Precondition {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&n.to_be_bytes());
    Precondition::Unused {
        kind: OnceKind::DpopProof,
        key,
        until: NOW.plus_secs(secs),
    }
}

/// What two Worlds must agree on.
pub(super) fn facts(world: &World) -> (Revision, BTreeMap<String, OrgId>, usize) {
    let orgs = world
        .orgs(OrgScope::Every)
        .map(|org| (org.name.to_string(), org.id))
        .collect();
    (world.revision(), orgs, world.revocations(OrgScope::Every).count())
}

/// Waits until `done`, at most ten seconds.
pub(super) fn until(done: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("did not happen within ten seconds");
}

/// Runs a future to its end on this thread.
pub(super) fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// Commits `count` events, `of_each` of them at once.
pub(super) fn fill(store: &Store, from: u64, count: u64) {
    wait(async {
        let writes = (from..from + count).map(|n| store.write(Revision(0), vec![], vec![], event(n)));
        for receipt in join_all(writes).await {
            receipt.unwrap();
        }
    });
}

/// All of them, at the same time.
pub(super) async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut waiting = false;
        for (future, output) in &mut pending {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(ready) => *output = Some(ready),
                    std::task::Poll::Pending => waiting = true,
                }
            }
        }
        if waiting {
            std::task::Poll::Pending
        } else {
            std::task::Poll::Ready(())
        }
    })
    .await;
    pending.into_iter().filter_map(|(_, output)| output).collect()
}

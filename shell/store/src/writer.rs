//! The writer thread: the only one that writes, stamps and signs.
//!
//! It takes whatever waits, settles each plan ([`Ground`]), gives those that held their places in the log, and makes
//! them durable in one transaction. Only then does the World change, the head grow and anyone get an answer. What
//! nobody waits for rides along with what somebody does: alone it waits for company, so that it costs no commit of
//! its own and holds nobody up. After the first failed write it never writes again: what reached the disk is unknown
//! until the store is opened anew.

use crate::backend::{Backend, Group, Sealed, Tidy};
use crate::error::CommitError;
use crate::feed::Delta;
use crate::ground::Ground;
use crate::health::Poison;
use crate::history::Chain;
use crate::housekeeper::{Chore, SNAPSHOT_REVISIONS};
use crate::index::{Facets, Fresh};
use crate::inlet::Inlet;
use crate::log::Head;
use crate::queue::{Job, Message, Waiting};
use crate::recorded::Receipt;
use arc_swap::ArcSwap;
use audit::WriterStamp;
use audit::merkle::Frontier;
use broker::World;
use identity::{EntryRef, LogId, Revision, UnixTime};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc as chores};
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, mpsc};

/// Plans in one commit. At 500 bytes each, 1,024 take about 4 ms: no one waits long for a group that is not theirs.
const GROUP_PLANS_MAX: usize = 1_024;
/// Bytes in one commit: 1,024 of the largest entries would be 60 MB and end the promise about the WAL.
const GROUP_BYTES_MAX: usize = 4 << 20;
/// Entries dropped at once after sealing, so that dropping never holds up a commit for more than a millisecond.
const DROP_ENTRIES: u64 = 2_048;

/// How long plans that nobody waits for wait for one that somebody does.
const COMPANY: Duration = Duration::from_millis(10);
/// How long a commit waits for each plan that shared the one before it: under load a commit, half a millisecond of CPU
/// whatever it holds, is shared by more. Whoever is alone waits for nobody, and so do all below some 2,000 a second.
const PACE: Duration = Duration::from_micros(400);
/// But no longer than this.
const PACE_MAX: Duration = Duration::from_millis(2);
/// So many share a commit well enough.
const ENOUGH: usize = 64;

/// Expired keys are dropped after so many were spent, for dropping is a transaction of its own. Below
/// [`crate::once`]'s own limit a time, so that dropping keeps up with spending.
const FORGET_AFTER_KEYS: usize = 1_024;
/// Or after so many commits.
const FORGET_AFTER_COMMITS: u32 = 64;

/// The writer and all it needs.
pub(crate) struct Writer {
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) ground: Ground,
    pub(crate) chain: Chain,
    pub(crate) frontier: Frontier,
    pub(crate) log: LogId,
    pub(crate) world: Arc<ArcSwap<World>>,
    pub(crate) head: Arc<ArcSwap<Head>>,
    pub(crate) feed: broadcast::Sender<Delta>,
    pub(crate) fresh: Arc<Fresh>,
    pub(crate) poison: Poison,
    pub(crate) chores: chores::Sender<Chore>,
    /// Entries below this are in files and need not be kept as rows.
    pub(crate) sealed: Arc<AtomicU64>,
    /// Rows below this were dropped.
    pub(crate) dropped: u64,
    pub(crate) snapshot_at: Revision,
    /// Keys spent and commits made since expired keys were dropped.
    pub(crate) since_forgetting: (usize, u32),
    /// How long the next group waits for more.
    pub(crate) pace: Duration,
    /// The newest time any plan was judged at; see [`crate::once`].
    pub(crate) now: UnixTime,
}

/// What phase one leaves for phase two.
#[derive(Default)]
struct Settled {
    group: Group,
    /// A tree of the group's own entries: what its batch is signed over.
    leaves: Frontier,
    world: Option<Arc<World>>,
    deltas: Vec<Delta>,
    facets: Vec<Facets>,
    old: Vec<Arc<World>>,
    replies: Vec<(Waiting, Receipt)>,
}

impl Writer {
    /// Until every sender is gone.
    pub(crate) fn run(mut self, queue: mpsc::Receiver<Message>) {
        let mut queue = Inlet::new(queue);
        let mut jobs = Vec::new();
        loop {
            let idle = self.dropped >= self.sealed.load(Ordering::Acquire) || self.poison.get().is_some();
            let first = if idle { queue.wait() } else { queue.take() };
            if first.is_none() && queue.is_closed() {
                return self.close();
            }
            self.gather(first, &mut queue, &mut jobs);
            if !jobs.is_empty() {
                self.commit(jobs.drain(..));
            }
            self.tidy(None);
        }
    }

    /// Takes whatever waits, up to a full group. Plans that nobody waits for stay for a moment until one comes that
    /// somebody waits for.
    fn gather(&mut self, first: Option<Message>, queue: &mut Inlet, jobs: &mut Vec<Job>) {
        let (mut bytes, mut patience, mut paced) = (0, None, false);
        let mut next = first;
        loop {
            match next.take() {
                Some(Message::Commit(job)) => {
                    bytes += job.bytes();
                    jobs.push(*job);
                }
                Some(Message::Sealed(sealed)) => self.tidy(Some(sealed)),
                None => {
                    let awaited = jobs.is_empty() || jobs.iter().any(|job| job.waiting.is_some());
                    let waits = !paced && !self.pace.is_zero() && (1..ENOUGH).contains(&jobs.len());
                    if awaited && waits && !queue.is_closed() {
                        // Asleep, not listening: a wake-up for each that comes would cost more than it saves.
                        paced = true;
                        std::thread::sleep(self.pace);
                        next = queue.take();
                        continue;
                    }
                    let until = *patience.get_or_insert_with(|| Instant::now() + COMPANY);
                    if awaited || queue.is_closed() || Instant::now() >= until {
                        return;
                    }
                    next = queue.wait_until(until);
                    continue;
                }
            }
            if jobs.len() >= GROUP_PLANS_MAX || bytes >= GROUP_BYTES_MAX {
                return;
            }
            next = queue.take();
        }
    }

    /// The next start finds the World as it is now.
    fn close(&mut self) {
        if self.poison.get().is_some() {
            return;
        }
        let world = self.world.load_full();
        if world.revision() > self.snapshot_at {
            self.chore(Chore::Snapshot(world));
        }
        if let Err(error) = self.backend.close() {
            tracing::warn!(%error, "the database was not closed cleanly; the next start takes a little longer");
        }
    }

    fn commit(&mut self, jobs: impl Iterator<Item = Job>) {
        if let Some(why) = self.poison.get() {
            jobs.for_each(|job| answer(job.waiting, Err(CommitError::Poisoned(why.clone()))));
            return;
        }
        let mut frontier = self.frontier.clone();
        let before = self.ground.revision;
        let mut settled = Settled::default();
        for job in jobs {
            self.now = self.now.max(job.at);
            match self.ground.settle(&job) {
                Ok(spent) => {
                    settled.group.spent.extend(spent);
                    self.place(job, &mut settled, &mut frontier);
                }
                Err(refused) => answer(job.waiting, Err(refused)),
            }
        }
        if settled.group.entries.is_empty() {
            return;
        }
        let epoch = epoch_of(settled.world.as_deref().unwrap_or(&self.world.load()));
        let revisions = (before, self.ground.revision);
        settled.group.batch = self
            .chain
            .extend(epoch, revisions, &settled.leaves, &settled.group.changes);
        let sharing = settled
            .replies
            .iter()
            .filter(|(waiting, _)| waiting.is_some())
            .count();
        let others = u32::try_from(sharing.saturating_sub(1)).unwrap_or(u32::MAX);
        self.pace = PACE.saturating_mul(others).min(PACE_MAX);
        self.since_forgetting.0 += settled.group.spent.len();
        self.since_forgetting.1 += 1;
        match self.backend.commit(&settled.group) {
            Ok(()) => self.publish(settled, frontier),
            Err(error) => {
                let why = self.poison.set(&error.to_string());
                for (waiting, _) in settled.replies {
                    answer(waiting, Err(CommitError::Poisoned(why.clone())));
                }
            }
        }
    }

    /// Gives a settled plan its place: stamps it, and prepares everything that will be true once it is durable.
    fn place(&self, job: Job, settled: &mut Settled, frontier: &mut Frontier) {
        let index = frontier.size();
        let revision = self.ground.revision;
        let current = settled.world.clone().unwrap_or_else(|| self.world.load_full());
        let mut epoch = epoch_of(&current);
        if let Some(mut row) = job.row {
            let next = Arc::new(current.apply(&job.changes, revision));
            epoch = epoch_of(&next);
            settled.old.extend(settled.world.replace(next));
            row.revision = revision;
            settled.group.changes.push(row);
            let changes = job
                .changes
                .iter()
                .map(|change| change.clone().at(revision))
                .collect();
            settled.deltas.push(Delta { revision, changes });
        }
        let minted = job.draft.minted().map(|id| id.at(revision));
        let bytes = job.draft.seal(WriterStamp {
            epoch,
            index,
            log: self.log,
            revision,
        });
        // What was written is what is read: an entry that the index could not read is a fault of ours.
        let facets = job.facets.or_else(|| Facets::read(index, bytes.as_slice()).ok());
        settled.facets.extend(facets);
        let leaf = bytes.leaf_hash();
        frontier.push(leaf);
        settled.leaves.push(leaf);
        settled.group.entries.push(bytes);
        let entry = EntryRef { log: self.log, index };
        settled.replies.push((
            job.waiting,
            Receipt {
                entry,
                revision,
                minted,
            },
        ));
    }

    /// Everything of the group is durable: let it be seen, then answer.
    fn publish(&mut self, settled: Settled, frontier: Frontier) {
        self.frontier = frontier;
        let root = self.frontier.root();
        self.head.store(Arc::new(Head::new(self.frontier.size(), root)));
        let mut old = settled.old;
        if let Some(world) = settled.world {
            if world.revision().0 >= self.snapshot_at.0.saturating_add(SNAPSHOT_REVISIONS) {
                self.snapshot_at = world.revision();
                self.chore(Chore::Snapshot(world.clone()));
            }
            old.push(self.world.swap(world));
        }
        // One that is missing would shift the others: then the indexer reads the log.
        if settled.facets.len() == settled.group.entries.len() {
            self.fresh.add(settled.group.batch.first, settled.facets);
        }
        for delta in settled.deltas {
            // Nobody listens: fine, a follower that comes later reads the table.
            drop(self.feed.send(delta));
        }
        for (waiting, receipt) in settled.replies {
            answer(waiting, Ok(receipt));
        }
        if !old.is_empty() {
            self.chore(Chore::Drop(old));
        }
        if let Err(error) = self.backend.maintain() {
            self.poison.set(&error.to_string());
        }
    }

    /// Records what is sealed; drops some rows and keys that are not needed.
    fn tidy(&mut self, sealed: Option<Sealed>) {
        let size = sealed.as_ref().map(|sealed| sealed.size);
        let bound = self.sealed.load(Ordering::Acquire);
        let (keys, commits) = self.since_forgetting;
        let forgotten = if keys >= FORGET_AFTER_KEYS || commits >= FORGET_AFTER_COMMITS {
            self.since_forgetting = (0, 0);
            self.ground.once.forget(self.now)
        } else {
            Vec::new()
        };
        if self.poison.get().is_some() || size.is_none() && self.dropped >= bound && forgotten.is_empty() {
            return;
        }
        let below = self.dropped.saturating_add(DROP_ENTRIES).min(bound);
        let from = self.dropped.saturating_sub(GROUP_PLANS_MAX as u64);
        let tidy = Tidy {
            sealed,
            below,
            from,
            forgotten,
            once_floor: self.ground.once.floor(),
        };
        match self.backend.tidy(&tidy) {
            Ok(()) => {
                self.dropped = below;
                if let Some(size) = size {
                    self.sealed.store(size, Ordering::Release);
                }
            }
            Err(error) => {
                self.poison.set(&error.to_string());
            }
        }
    }

    fn chore(&self, chore: Chore) {
        if self.chores.send(chore).is_err() {
            tracing::error!("the housekeeper is gone: no snapshot of the World is written any more");
        }
    }
}

fn epoch_of(world: &World) -> u64 {
    world.founding().map_or(0, |founding| founding.epoch)
}

/// Whoever asked may have gone, or never waited; what was recorded stays recorded.
fn answer(waiting: Waiting, result: Result<Receipt, CommitError>) {
    if let Some(reply) = waiting {
        drop(reply.send(result));
    }
}

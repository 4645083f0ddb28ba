//! The store: the World, the log, and the one way to change either.

use crate::backend::Backend as _;
use crate::directory::Directory;
use crate::error::{CommitError, OpenError};
use crate::feed::{Delta, FEED_COMMITS, Feed, FeedError};
use crate::health::{Health, Poison};
use crate::history::{Chain, History};
use crate::housekeeper;
use crate::index::{Fresh, Index, Indexer};
use crate::ledger::Snapshots as LedgerSnapshots;
use crate::log::{ExportError, Head, LogFiles, LogReader, SealedTo, Sealer, export};
use crate::log_key::LogKey;
use crate::queue::{Job, Message, QUEUE_PLANS_MAX};
use crate::recorded::{Receipt, Recorded};
use crate::recovery::recover;
use crate::settings::Settings;
use crate::thread::{spawn, spawn_behind};
use crate::writer::Writer;
use arc_swap::ArcSwap;
use audit::Event;
use broker::plan::{Parts, Plan, Precondition};
use broker::{Change, World};
use identity::{Revision, UnixTime};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc as chores};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot};

/// An open store. Share it in an `Arc`; when the last one goes it writes what is left and closes, which can take
/// some milliseconds: off the async threads, or by [`Store::close`].
pub struct Store {
    world: Arc<ArcSwap<World>>,
    head: Arc<ArcSwap<Head>>,
    key: LogKey,
    /// Taken when the store closes: the writer ends when nobody can send to it.
    queue: Option<mpsc::Sender<Message>>,
    feed: broadcast::Sender<Delta>,
    history: Arc<History>,
    reader: Arc<LogReader>,
    index: Arc<Index>,
    ledgers: LedgerSnapshots,
    poison: Poison,
    published: Arc<AtomicU64>,
    sealed: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    threads: Threads,
    log: PathBuf,
    /// Its lock goes last, when every thread has ended.
    _directory: Directory,
}

#[derive(Default)]
struct Threads {
    writer: Option<JoinHandle<()>>,
    sealer: Option<JoinHandle<()>>,
    indexer: Option<JoinHandle<()>>,
    housekeeper: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens a directory, or makes one: checks everything that must hold before the first signature, then starts.
    /// Blocks for some milliseconds, longer after a crash.
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        let recovered = recover(settings)?;
        let not_started = |source: io::Error| OpenError::Io {
            what: "start threads for",
            path: settings.root.clone(),
            source,
        };
        let (directory, key) = (recovered.directory, recovered.key);
        let world = Arc::new(ArcSwap::from_pointee(recovered.world));
        let (head, sealed, poison) = (recovered.head, recovered.sealed, Poison::default());
        let (queue, waiting) = mpsc::channel(QUEUE_PLANS_MAX);
        let (feed, _) = broadcast::channel(FEED_COMMITS);
        let (todo, to_do) = chores::channel();
        let published = Arc::<AtomicU64>::default();
        let stop = Arc::<AtomicBool>::default();
        let mut threads = Threads::default();

        let files = LogFiles::at(directory.log());
        let sealer = Sealer {
            files: files.clone(),
            key: key.clone(),
            rows: recovered.backend.reader()?,
            tiles: recovered.tiles,
            frontier: recovered.sealed_frontier,
            head: head.clone(),
            published: published.clone(),
            outside: settings.checkpoint_outside.clone(),
            outside_is_new: false,
        };
        let reader_of_index =
            LogReader::new(recovered.backend.reader()?, files, head.clone(), sealed.clone());
        let reader = Arc::new(recovered.reader);
        let fresh = Arc::<Fresh>::default();
        let (index, indexer) = Index::open(&directory.index(), reader.clone(), fresh.clone())?;
        let writer = Writer {
            backend: Box::new(recovered.backend),
            ground: recovered.ground,
            chain: Chain::new(key.clone(), settings.log, recovered.last),
            frontier: recovered.frontier,
            log: settings.log,
            world: world.clone(),
            head: head.clone(),
            feed: feed.clone(),
            fresh,
            poison: poison.clone(),
            chores: todo,
            sealed: sealed.clone(),
            dropped: recovered.dropped,
            snapshot_at: recovered.snapshot_at,
            since_forgetting: (0, 0),
            pace: Duration::ZERO,
            now: UnixTime::default(),
        };

        let (snapshots, log_key) = (directory.snapshots(), key.clone());
        let keep = move || housekeeper::run(&to_do, &snapshots, &key);
        threads.housekeeper = Some(spawn_behind("store-keep", keep).map_err(not_started)?);
        let write = move || writer.run(waiting);
        threads.writer = Some(spawn("store-write", write).map_err(not_started)?);
        let seal = {
            let (queue, stop, poison, every) = (
                queue.downgrade(),
                stop.clone(),
                poison.clone(),
                settings.publish_every,
            );
            let tell = move |SealedTo(sealed): SealedTo| {
                if let Some(queue) = queue.upgrade() {
                    // A writer that is gone will hear it at the next start: sealing is idempotent.
                    drop(queue.blocking_send(Message::Sealed(sealed)));
                }
            };
            move || sealer.run(every, &stop, &poison, tell)
        };
        threads.sealer = Some(spawn_behind("store-seal", seal).map_err(not_started)?);
        let follow = {
            let stop = stop.clone();
            move || Indexer::run(indexer, &reader_of_index, &stop)
        };
        threads.indexer = Some(spawn_behind("store-index", follow).map_err(not_started)?);
        Ok(Self {
            world,
            head,
            ledgers: LedgerSnapshots::new(directory.ledgers(), log_key.clone()),
            key: log_key,
            queue: Some(queue),
            feed,
            history: Arc::new(recovered.history),
            reader,
            index: Arc::new(index),
            poison,
            published,
            sealed,
            stop,
            threads,
            log: directory.log(),
            _directory: directory,
        })
    }

    /// The World as of the last commit. One atomic load; never waits.
    pub fn world(&self) -> Arc<World> {
        self.world.load_full()
    }

    /// Records a plan: entry, Changes and spent keys, all or nothing, durable before this returns. Waits for room when
    /// the writer is behind. When the caller stops waiting the plan may still be recorded.
    pub async fn commit<P>(&self, plan: Plan<P>) -> Result<Recorded<P>, CommitError> {
        let Parts {
            decided_at,
            expect,
            changes,
            event,
            proof,
        } = plan.into_parts();
        let receipt = self.write(decided_at, expect, changes, event).await?;
        Ok(Recorded::new(proof, receipt))
    }

    /// The same without the proof.
    pub(crate) async fn write(
        &self,
        decided_at: Revision,
        expect: Vec<Precondition>,
        changes: Vec<Change>,
        event: Event,
    ) -> Result<Receipt, CommitError> {
        let (reply, answer) = oneshot::channel();
        let job = Job::new(decided_at, expect, changes, event, Some(reply))?;
        self.send(job).await?;
        answer.await.map_err(|_| CommitError::Unavailable)?
    }

    /// Records what nobody waits for, along with the next plan that somebody waits for, 10 ms later at most. Waits for
    /// room only. What was taken in is lost if the process dies before that commit, and if a write fails, which stops
    /// the store: [`Store::health`].
    pub async fn note(&self, plan: Plan<()>) -> Result<(), CommitError> {
        let Parts {
            decided_at,
            expect,
            changes,
            event,
            proof: (),
        } = plan.into_parts();
        self.write_along(decided_at, expect, changes, event).await
    }

    /// The same from its parts.
    pub(crate) async fn write_along(
        &self,
        decided_at: Revision,
        expect: Vec<Precondition>,
        changes: Vec<Change>,
        event: Event,
    ) -> Result<(), CommitError> {
        if let Some(why) = self.poison.get() {
            return Err(CommitError::Poisoned(why));
        }
        self.send(Job::new(decided_at, expect, changes, event, None)?)
            .await
    }

    async fn send(&self, job: Job) -> Result<(), CommitError> {
        let queue = self.queue.as_ref().ok_or(CommitError::Unavailable)?;
        queue
            .send(Message::Commit(Box::new(job)))
            .await
            .map_err(|_| CommitError::Unavailable)
    }

    /// Every commit with Changes after `after`, in order, without a gap. For a follower that has a World of that
    /// revision. May read the table: some milliseconds when it is far behind.
    pub fn subscribe(&self, after: Revision) -> Result<Feed, FeedError> {
        let live = self.feed.subscribe();
        let newest = self.world.load().revision();
        Feed::new(after, newest, live, self.history.clone())
    }

    /// Reads entries back by their index.
    pub fn log(&self) -> &Arc<LogReader> {
        &self.reader
    }

    /// Finds entries by agent, task, kind, reason, decision and time.
    pub fn index(&self) -> &Arc<Index> {
        &self.index
    }

    pub(crate) const fn ledgers(&self) -> &LedgerSnapshots {
        &self.ledgers
    }

    /// The directory of tiles, bundles and checkpoint, as any static server can serve it.
    pub fn log_directory(&self) -> &Path {
        &self.log
    }

    /// Copies the log, as far as its checkpoint is published, into the empty directory `to`: every tile, and the bundles
    /// of `entries`. Says how many entries the checkpoint is over. Blocks on files.
    pub fn export(&self, to: &Path, entries: &Range<u64>) -> Result<u64, ExportError> {
        export(&LogFiles::at(self.log.clone()), &self.reader, to, entries)
    }

    /// The newest signed checkpoint (C2SP signed note); `None` while the log is empty. It may be up to a second ahead
    /// of the published one.
    pub fn checkpoint(&self) -> Option<Arc<[u8]>> {
        match self.head.load().checkpoint(&self.key) {
            Ok(signed) => signed,
            Err(error) => {
                self.poison.set(&error.to_string());
                None
            }
        }
    }

    /// How it is doing.
    pub fn health(&self) -> Health {
        Health {
            stopped: self.poison.get(),
            size: self.head.load().size,
            revision: self.world.load().revision(),
            published: self.published.load(Ordering::Acquire),
            sealed: self.sealed.load(Ordering::Acquire),
            indexed: self.index.indexed(),
            waiting: self
                .queue
                .as_ref()
                .map_or(0, |queue| queue.max_capacity() - queue.capacity()),
        }
    }

    /// Writes what waits, publishes the log, snapshots the World, and gives the directory free. Blocks.
    pub fn close(self) {
        drop(self);
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.queue = None;
        join(self.threads.writer.take());
        self.stop.store(true, Ordering::Release);
        for thread in [self.threads.sealer.take(), self.threads.indexer.take()] {
            if let Some(thread) = &thread {
                thread.thread().unpark();
            }
            join(thread);
        }
        join(self.threads.housekeeper.take());
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if thread.is_some_and(|thread| thread.join().is_err()) {
        tracing::error!("a thread of the store panicked");
    }
}

//! The gateway as one value: its state, and the task that keeps it in step with the World.

use crate::authenticate::Doorkeeper;
use crate::home_finder::HomeFinder;
use crate::inject::Injectors;
use crate::judge::Judge;
use crate::live::{Calls, Cut};
use crate::metrics::Metrics;
use crate::parts::{Approvals, Clock, FeedHealth, GatewayParts, NameKeys, Random, Settings};
use crate::problem::Problem;
use crate::unidentified::{Unidentified, keep_counting};
use crate::view::{Reach, View};
use arc_swap::ArcSwap;
use audit::event::CommitmentKey;
use broker::{Draw, World};
use identity::{Revision, Secret};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use store::Store;
use store::ledger::Ledger;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

/// How long a token that is newer than our World waits for it, in milliseconds.
const BEHIND_MILLIS_MAX: u64 = 500;
/// How often health is looked at, and calls at most are swept, in milliseconds: a fifth of the time in which a
/// revoked stream is cut.
const TICK_MILLIS: u64 = 50;
/// Calls are swept this often anyway, in ticks: tasks and agents also end by the clock.
const SWEEP_TICKS: u32 = 20;
/// Idle counters are forgotten this often, in ticks.
const FORGET_TICKS: u32 = 1200;
/// How often it is looked whether the counts are written down, in ticks.
const KEEP_TICKS: u32 = 20;

/// Why a gateway does not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// No base URL at all.
    #[error("the gateway has no public URL: name at least one, such as http://127.0.0.1:7070")]
    NoPublicUrl,
    /// A base URL with a path, or none at all.
    #[error("the public URL {0:?} is not scheme, host and port only: write it like http://127.0.0.1:7070")]
    PublicUrl(String),
}

/// State that all requests share.
pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) view: ArcSwap<View>,
    revision: watch::Sender<Revision>,
    closed: AtomicBool,
    feed: watch::Receiver<FeedHealth>,
    pub(crate) calls: Arc<Calls>,
    pub(crate) doorkeeper: Doorkeeper,
    pub(crate) judge: Judge,
    pub(crate) injectors: Injectors,
    pub(crate) homes: HomeFinder,
    pub(crate) journal: Arc<Store>,
    pub(crate) approvals: Arc<dyn Approvals>,
    pub(crate) names: NameKeys,
    /// For entries that hold no name: nobody keeps it.
    pub(crate) no_names: CommitmentKey,
    pub(crate) unidentified: Unidentified,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) in_flight: Arc<Semaphore>,
    pub(crate) metrics: Metrics,
    reach: Reach,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// What one use case draws its ids from.
    pub(crate) fn draw<'k>(&self, names: &'k CommitmentKey) -> Draw<'k> {
        Draw::new((self.clock)(), self.settings.log, (self.random)(), names)
    }

    /// Whether every route is closed: nobody keeps the World current. Looked at anew for each request, because a process
    /// that was stopped and goes on may serve what waited for it before its keeper has noticed.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire) || self.feed.borrow().is_lost(Instant::now())
    }

    /// A view at least as new as `revision`; waits a moment for it. Unknown never means revoked or allowed.
    pub(crate) async fn view_at(&self, revision: Revision) -> Result<Arc<View>, Problem> {
        let view = self.view.load_full();
        if view.world.revision() >= revision {
            return Ok(view);
        }
        let mut newer = self.revision.subscribe();
        let wait = newer.wait_for(|known| *known >= revision);
        match tokio::time::timeout(Duration::from_millis(BEHIND_MILLIS_MAX), wait).await {
            Ok(Ok(_)) => Ok(self.view.load_full()),
            Ok(Err(_)) | Err(_) => Err(Problem::unavailable(
                "BEHIND",
                "The gateway has not yet heard of the state that this token was issued in.",
                "a token is judged on a state at least as new as its own",
            )),
        }
    }

    fn follow(&self, world: Arc<World>) {
        let next = View::of(world, Some(&self.view.load()), &self.reach);
        let revision = next.world.revision();
        self.view.store(Arc::new(next));
        self.revision.send_replace(revision);
    }

    /// Writes down what was counted, so that the next start need not read the whole journal.
    fn keep_ledger(&self) {
        let world = self.view.load().world.clone();
        if let Err(error) = self.journal.keep_ledger(&world, (self.clock)()) {
            tracing::warn!(%error, "the counts could not be written down: the next start takes longer");
        }
    }

    fn close(&self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            tracing::error!("nobody keeps the World current: every route is closed and every call is cut");
        }
        self.calls.cut_all(Cut::FeedLost);
    }
}

/// A gateway. Dropping it stops following the World; what it serves ends with its own shutdown.
#[derive(Debug)]
pub struct Gateway {
    pub(crate) inner: Arc<Inner>,
    keeper: JoinHandle<()>,
    counter: JoinHandle<()>,
}

impl Gateway {
    /// Starts to follow the World. Call it inside a tokio runtime.
    pub fn new(parts: GatewayParts) -> Result<Self, StartError> {
        let GatewayParts {
            settings,
            mut worlds,
            feed,
            journal,
            secrets,
            approvals,
            homes,
            names,
            upstream_tls,
            clock,
            random,
        } = parts;
        if settings.public_urls.is_empty() {
            return Err(StartError::NoPublicUrl);
        }
        for url in &settings.public_urls {
            let authority = url
                .strip_prefix("http://")
                .or_else(|| url.strip_prefix("https://"));
            if authority.is_none_or(|text| text.is_empty() || text.contains(['/', '?', '#', '@'])) {
                return Err(StartError::PublicUrl(url.clone()));
            }
        }
        let connect_timeout = Duration::from_millis(settings.connect_timeout_ms);
        let reach = Reach {
            tls: upstream_tls,
            connect_timeout,
        };
        let world = worlds.borrow_and_update().clone();
        let view = View::of(world, None, &reach);
        let (revision, _) = watch::channel(view.world.revision());
        let lost = feed.borrow().is_lost(Instant::now());
        let inner = Arc::new(Inner {
            view: ArcSwap::from_pointee(view),
            revision,
            closed: AtomicBool::new(lost),
            feed: feed.clone(),
            calls: Arc::default(),
            doorkeeper: Doorkeeper::default(),
            judge: Judge::default(),
            injectors: Injectors::new(secrets, Duration::from_millis(settings.upstream_timeout_ms)),
            homes: HomeFinder::new(homes),
            journal,
            approvals,
            names,
            no_names: CommitmentKey::new(Secret::new(random())),
            unidentified: Unidentified::default(),
            clock,
            random,
            in_flight: Arc::new(Semaphore::new(settings.in_flight_max)),
            metrics: Metrics::default(),
            reach,
            settings,
        });
        let keeper = tokio::spawn(keep(inner.clone(), worlds, feed));
        let counter = tokio::spawn(keep_counting(inner.clone()));
        Ok(Self {
            inner,
            keeper,
            counter,
        })
    }

    /// Takes in what the journal's entries say was taken and seen: after a restart, before serving.
    pub fn recover(&self) -> Result<(), store::ledger::RecoverError> {
        self.inner.judge.ledger.recover(&self.inner.journal)
    }

    /// What it counted and saw.
    pub fn ledger(&self) -> Arc<Ledger> {
        self.inner.judge.ledger.clone()
    }

    /// The revision of the World that it judges by.
    pub fn revision(&self) -> watch::Receiver<Revision> {
        self.inner.revision.subscribe()
    }

    /// Its counters.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// How many calls are in flight.
    pub fn in_flight(&self) -> usize {
        self.inner.calls.count()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.keeper.abort();
        self.counter.abort();
    }
}

/// Follows the World, sweeps calls, and closes every route when nobody is heard any more.
async fn keep(inner: Arc<Inner>, mut worlds: watch::Receiver<Arc<World>>, feed: watch::Receiver<FeedHealth>) {
    let mut ticks = tokio::time::interval(Duration::from_millis(TICK_MILLIS));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut count, mut unswept) = (0_u32, false);
    let mut swept_at = Instant::now();
    loop {
        tokio::select! {
            changed = worlds.changed() => {
                if changed.is_err() {
                    inner.close();
                    return;
                }
                let world = worlds.borrow_and_update().clone();
                inner.follow(world);
                unswept = true;
                if swept_at.elapsed() < Duration::from_millis(TICK_MILLIS) {
                    continue;
                }
            }
            _ = ticks.tick() => {
                count = count.wrapping_add(1);
                if feed.borrow().is_lost(Instant::now()) {
                    inner.close();
                } else {
                    inner.closed.store(false, Ordering::Release);
                }
                if count % FORGET_TICKS == 0 {
                    inner.judge.ledger.forget(&inner.view.load().world, (inner.clock)());
                }
                if count % KEEP_TICKS == 0 && inner.journal.is_ledger_due() {
                    let inner = inner.clone();
                    tokio::task::spawn_blocking(move || inner.keep_ledger());
                }
            }
        }
        if unswept || count % SWEEP_TICKS == 0 {
            inner.calls.sweep(&inner.view.load().world, (inner.clock)());
            (unswept, swept_at) = (false, Instant::now());
        }
    }
}

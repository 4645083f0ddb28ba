//! Calls in flight, and how each is cut the moment it may not go on.

use broker::World;
use broker::enforce::alive;
use credential::AccessTokenClaims;
use futures_util::task::AtomicWaker;
use identity::UnixTime;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

/// Shards: registering a call rarely waits for another.
const SHARDS: usize = 16;

/// Why a call was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Its token was revoked, its agent stopped, or its task ended.
    Revoked,
    /// Nobody keeps the World current any more.
    FeedLost,
}

impl Cut {
    /// The class of error in the call's outcome.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "cut_by_revocation",
            Self::FeedLost => "cut_by_feed_loss",
        }
    }
}

/// One call in flight.
#[derive(Debug)]
struct Live {
    token: Arc<AccessTokenClaims>,
    cut: AtomicU8,
    waker: AtomicWaker,
}

impl Live {
    fn state(&self) -> Option<Cut> {
        match self.cut.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Cut::Revoked),
            _ => Some(Cut::FeedLost),
        }
    }
    fn cut(&self, why: Cut) {
        let code = match why {
            Cut::Revoked => 1,
            Cut::FeedLost => 2,
        };
        // The first reason stays.
        if self
            .cut
            .compare_exchange(0, code, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
        {
            self.waker.wake();
        }
    }
}

type Shard = Mutex<HashMap<u64, Arc<Live>>>;

/// Every call in flight.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    shards: [Shard; SHARDS],
    next: AtomicU64,
}

impl Calls {
    fn shard(&self, id: u64) -> &Shard {
        let [zero, ..] = &self.shards;
        usize::try_from(id)
            .ok()
            .and_then(|id| self.shards.get(id % SHARDS))
            .unwrap_or(zero)
    }

    /// Registers a call; it is in flight until the place is dropped.
    pub(crate) fn enter(self: &Arc<Self>, token: Arc<AccessTokenClaims>) -> Place {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let live = Arc::new(Live {
            token,
            cut: AtomicU8::new(0),
            waker: AtomicWaker::new(),
        });
        self.shard(id)
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, live.clone());
        Place {
            id,
            live,
            calls: self.clone(),
        }
    }

    /// Cuts every call whose token is not alive by `world`.
    pub(crate) fn sweep(&self, world: &World, now: UnixTime) {
        self.each(|live| {
            if live.state().is_none() && alive(world, &live.token, now).is_err() {
                live.cut(Cut::Revoked);
            }
        });
    }

    /// Cuts every call.
    pub(crate) fn cut_all(&self, why: Cut) {
        self.each(|live| live.cut(why));
    }

    fn each(&self, mut act: impl FnMut(&Live)) {
        for shard in &self.shards {
            let lives: Vec<Arc<Live>> = shard
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .values()
                .cloned()
                .collect();
            for live in &lives {
                act(live);
            }
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len())
            .sum()
    }
}

/// A call's place among those in flight.
#[derive(Debug)]
pub(crate) struct Place {
    id: u64,
    live: Arc<Live>,
    calls: Arc<Calls>,
}

impl Place {
    /// Ready once it is cut. One task at a time waits.
    pub(crate) fn poll_cut(&self, cx: &mut Context<'_>) -> Poll<Cut> {
        if let Some(cut) = self.live.state() {
            return Poll::Ready(cut);
        }
        self.live.waker.register(cx.waker());
        self.live.state().map_or(Poll::Pending, Poll::Ready)
    }
    pub(crate) async fn cut(&self) -> Cut {
        std::future::poll_fn(|cx| self.poll_cut(cx)).await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.calls
            .shard(self.id)
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
    }
}

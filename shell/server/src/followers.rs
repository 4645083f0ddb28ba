//! Who follows the feed, and how far each of them is: what "dead now" rests on after a revocation.

use identity::{NodeId, Revision};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A follower that has said nothing for this long is silent: it answers each heartbeat, four a second.
const SILENT_AFTER: Duration = Duration::from_secs(3);

/// The followers that are connected now.
#[derive(Debug, Default)]
pub struct Followers {
    connected: Mutex<HashMap<NodeId, Follower>>,
    moved: watch::Sender<u64>,
    feeds: AtomicU64,
}

#[derive(Debug, Clone)]
struct Follower {
    /// Which of its feeds spoke last: one that is on its way out must not take the next one with it.
    feed: u64,
    have: Revision,
    checkpoint: String,
    heard: Instant,
}

/// What is known of a connected follower.
#[derive(Debug, Clone)]
pub struct Following {
    /// Which member.
    pub member: NodeId,
    /// The revision it has.
    pub have: Revision,
    /// The newest checkpoint of its own log.
    pub checkpoint: String,
    /// It holds its connection and says nothing: stopped, or cut off without a sign.
    pub silent: bool,
}

/// How a revision spread.
#[derive(Debug, Clone, Default)]
pub struct Spread {
    /// Followers that have it.
    pub confirmed: Vec<NodeId>,
    /// Followers that were connected and have not said so in time.
    pub missing: Vec<NodeId>,
}

impl Followers {
    /// The number of a new feed.
    pub fn arrive(&self) -> u64 {
        self.feeds.fetch_add(1, Ordering::Relaxed)
    }
    /// A follower said where it is.
    pub fn heard(&self, member: NodeId, feed: u64, have: Revision, checkpoint: String) {
        let follower = Follower {
            feed,
            have,
            checkpoint,
            heard: Instant::now(),
        };
        self.connected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(member, follower);
        self.moved.send_modify(|count| *count = count.wrapping_add(1));
    }
    /// That feed of it ended.
    pub fn left(&self, member: NodeId, feed: u64) {
        let mut connected = self.connected.lock().unwrap_or_else(PoisonError::into_inner);
        if connected.get(&member).is_some_and(|known| known.feed == feed) {
            connected.remove(&member);
        }
        drop(connected);
        self.moved.send_modify(|count| *count = count.wrapping_add(1));
    }
    /// The connected followers.
    pub fn list(&self) -> Vec<Following> {
        let connected = self.connected.lock().unwrap_or_else(PoisonError::into_inner);
        connected
            .iter()
            .map(|(id, it)| Following {
                member: *id,
                have: it.have,
                checkpoint: it.checkpoint.clone(),
                silent: it.heard.elapsed() > SILENT_AFTER,
            })
            .collect()
    }
    /// Waits until every connected follower has `revision`, or `limit` has passed.
    pub async fn reached(&self, revision: Revision, limit: Duration) -> Spread {
        let mut moved = self.moved.subscribe();
        let waiting = async {
            while self.list().iter().any(|it| it.have < revision) {
                if moved.changed().await.is_err() {
                    return;
                }
            }
        };
        // Out of time is an answer, too: the list below says who is missing.
        let in_time = tokio::time::timeout(limit, waiting).await.is_ok();
        tracing::debug!(%revision, in_time, "a revision spread");
        let mut spread = Spread::default();
        for it in self.list() {
            if it.have >= revision {
                spread.confirmed.push(it.member);
            } else {
                spread.missing.push(it.member);
            }
        }
        spread
    }
}

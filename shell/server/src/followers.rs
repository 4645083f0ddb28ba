//! Who follows the feed, and how far each of them is: what "dead now" rests on after a revocation.

use identity::{NodeId, Revision};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// The followers that are connected now.
#[derive(Debug, Default)]
pub struct Followers {
    connected: Mutex<HashMap<NodeId, Follower>>,
    moved: watch::Sender<u64>,
}

#[derive(Debug, Clone)]
struct Follower {
    have: Revision,
    checkpoint: String,
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
    /// A follower said where it is.
    pub fn heard(&self, member: NodeId, have: Revision, checkpoint: String) {
        let follower = Follower { have, checkpoint };
        self.connected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(member, follower);
        self.moved.send_modify(|count| *count = count.wrapping_add(1));
    }
    /// Its feed ended.
    pub fn left(&self, member: NodeId) {
        self.connected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&member);
        self.moved.send_modify(|count| *count = count.wrapping_add(1));
    }
    /// The connected followers, with the revision each has and the newest checkpoint of its own log.
    pub fn list(&self) -> Vec<(NodeId, Revision, String)> {
        let connected = self.connected.lock().unwrap_or_else(PoisonError::into_inner);
        connected
            .iter()
            .map(|(id, it)| (*id, it.have, it.checkpoint.clone()))
            .collect()
    }
    /// Waits until every connected follower has `revision`, or `limit` has passed.
    pub async fn reached(&self, revision: Revision, limit: Duration) -> Spread {
        let mut moved = self.moved.subscribe();
        let waiting = async {
            while self.list().iter().any(|(_, have, _)| *have < revision) {
                if moved.changed().await.is_err() {
                    return;
                }
            }
        };
        // Out of time is an answer, too: the list below says who is missing.
        let in_time = tokio::time::timeout(limit, waiting).await.is_ok();
        tracing::debug!(%revision, in_time, "a revision spread");
        let mut spread = Spread::default();
        for (id, have, _) in self.list() {
            if have >= revision {
                spread.confirmed.push(id);
            } else {
                spread.missing.push(id);
            }
        }
        spread
    }
}

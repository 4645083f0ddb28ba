//! Who follows the feed, and how far each of them is: what "dead now" rests on after a revocation. And what a gateway among
//! them counted, for an administrator who asks.

use identity::{NodeId, Revision};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use sync::proto::{Look, Looked};
use tokio::sync::{mpsc, oneshot, watch};

/// A follower that has said nothing for this long is silent: it answers each heartbeat, four a second.
const SILENT_AFTER: Duration = Duration::from_secs(3);

/// How long an administrator waits for what a gateway counted: it answers between two heartbeats.
const LOOK_WAIT: Duration = Duration::from_secs(1);
/// Looks under way to one gateway.
const LOOKS_MAX: usize = 16;

/// A look under way: whom it was sent to, and who waits for the answer.
type UnderWay = (NodeId, oneshot::Sender<Vec<u8>>);

/// The followers that are connected now.
#[derive(Debug, Default)]
pub struct Followers {
    connected: Mutex<HashMap<NodeId, Follower>>,
    moved: watch::Sender<u64>,
    feeds: AtomicU64,
    /// The way to the feed of each member, newest feed.
    asking: Mutex<HashMap<NodeId, (u64, mpsc::Sender<Look>)>>,
    /// Looks under way: whom each was sent to, and who waits for it.
    looks: Mutex<HashMap<u64, UnderWay>>,
    looked: AtomicU64,
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
    /// The number of a new feed, and what is to be sent on it besides.
    pub fn arrive(&self, member: NodeId) -> (u64, mpsc::Receiver<Look>) {
        let feed = self.feeds.fetch_add(1, Ordering::Relaxed);
        let (ask, asked) = mpsc::channel(LOOKS_MAX);
        lock(&self.asking).insert(member, (feed, ask));
        (feed, asked)
    }
    /// Asks a gateway what it counted and saw. `None` where it does not follow, or says nothing in time.
    pub async fn look(&self, member: NodeId, look: Vec<u8>) -> Option<Vec<u8>> {
        let ask = lock(&self.asking).get(&member).map(|(_, ask)| ask.clone())?;
        let id = self.looked.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        lock(&self.looks).insert(id, (member, answer));
        let found = match ask.try_send(Look { id, look }) {
            Ok(()) => tokio::time::timeout(LOOK_WAIT, answered).await.ok(),
            Err(_) => None,
        };
        lock(&self.looks).remove(&id);
        found?.ok()
    }
    /// A member answered. Only whoever was asked is heard.
    pub fn answered(&self, member: NodeId, looked: Looked) {
        let mut looks = lock(&self.looks);
        if looks.get(&looked.id).is_some_and(|(asked, _)| *asked == member)
            && let Some((_, waiting)) = looks.remove(&looked.id)
            && waiting.send(looked.looked).is_err()
        {
            tracing::debug!(%member, "nobody waits for its answer any more");
        }
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
        let mut asking = lock(&self.asking);
        if asking.get(&member).is_some_and(|(known, _)| *known == feed) {
            asking.remove(&member);
        }
        drop(asking);
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

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(n: u128) -> NodeId {
        NodeId::from_u128(n)
    }

    #[tokio::test]
    async fn only_who_was_asked_answers_and_only_what_was_asked() {
        let followers = Followers::default();
        let (_, mut asked) = followers.arrive(member(1));
        let (_, mut others) = followers.arrive(member(2));
        let (found, ()) = tokio::join!(followers.look(member(1), b"look".to_vec()), async {
            let look = asked.recv().await.unwrap();
            assert_eq!(look.look, b"look");
            let looked = |id: u64, looked: &[u8]| Looked {
                id,
                looked: looked.to_vec(),
            };
            followers.answered(member(2), looked(look.id, b"a lie"));
            followers.answered(member(1), looked(look.id + 1, b"of another question"));
            followers.answered(member(1), looked(look.id, b"the truth"));
            followers.answered(member(1), looked(look.id, b"too late"));
        });
        assert_eq!(found.as_deref(), Some(&b"the truth"[..]));
        assert!(others.try_recv().is_err(), "nobody else was asked");
        assert!(lock(&followers.looks).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_away_or_silent_gives_no_answer() {
        let followers = Followers::default();
        assert_eq!(followers.look(member(1), Vec::new()).await, None);
        let (feed, asked) = followers.arrive(member(1));
        assert_eq!(followers.look(member(1), Vec::new()).await, None, "silent");
        // A newer feed is asked; the end of the older one changes nothing.
        let (_, mut newer) = followers.arrive(member(1));
        drop(asked);
        followers.left(member(1), feed);
        assert_eq!(followers.look(member(1), Vec::new()).await, None);
        assert!(newer.try_recv().is_ok());
        assert!(lock(&followers.looks).is_empty());
    }
}

//! A follower's copy of the World, and how fresh it is.

use crate::change::{WireError, decode_change, decode_world};
use crate::proto::{Delta, Frame, Snapshot, frame};
use broker::World;
use identity::Revision;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Format of the World in a snapshot. Raised whenever its fields change.
pub const SNAPSHOT_FORMAT: u32 = 11;
/// Without a heartbeat for this long the copy is stale, and what depends on it closes.
pub const STALE_AFTER: Duration = Duration::from_secs(3);
/// How often a server says that it is alive.
pub const HEARTBEAT_EVERY: Duration = Duration::from_millis(250);
/// How long a request waits for a revision that it heard of elsewhere.
pub const CATCH_UP: Duration = Duration::from_millis(500);

/// Whether the copy can be relied on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FeedHealth {
    /// Heard from the server within [`STALE_AFTER`].
    Fresh,
    /// Not heard from it for longer, or never.
    Stale,
}

/// A copy of the World that a feed keeps current. Cheap to clone; all clones share it.
#[derive(Clone, Debug)]
pub struct Replica {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    world: watch::Sender<Arc<World>>,
    revision: watch::Sender<Revision>,
    health: watch::Sender<FeedHealth>,
    heard: watch::Sender<Option<Instant>>,
    checkpoint: watch::Sender<String>,
}

impl Default for Replica {
    fn default() -> Self {
        Self::new()
    }
}

impl Replica {
    /// An empty, stale copy.
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                world: watch::Sender::new(Arc::default()),
                revision: watch::Sender::new(Revision::default()),
                health: watch::Sender::new(FeedHealth::Stale),
                heard: watch::Sender::new(None),
                checkpoint: watch::Sender::new(String::new()),
            }),
        }
    }

    /// The newest version that has arrived. Load it once per request.
    pub fn world(&self) -> Arc<World> {
        self.shared.world.borrow().clone()
    }
    /// Every version as it arrives.
    pub fn worlds(&self) -> watch::Receiver<Arc<World>> {
        self.shared.world.subscribe()
    }
    /// When the server was last heard; `None` before it ever was.
    pub fn heard_at(&self) -> watch::Receiver<Option<Instant>> {
        self.shared.heard.subscribe()
    }
    /// Told whenever a newer version has arrived.
    pub fn revisions(&self) -> watch::Receiver<Revision> {
        self.shared.revision.subscribe()
    }
    /// Told whenever the copy becomes fresh or stale.
    pub fn health(&self) -> watch::Receiver<FeedHealth> {
        self.shared.health.subscribe()
    }
    /// The newest checkpoint of the server's log that was heard of: a head held elsewhere.
    pub fn checkpoint(&self) -> String {
        self.shared.checkpoint.borrow().clone()
    }

    /// Waits until the copy has `revision`, at most [`CATCH_UP`]. `false` when it has not arrived by then.
    pub async fn has(&self, revision: Revision) -> bool {
        let mut seen = self.shared.revision.subscribe();
        tokio::time::timeout(CATCH_UP, seen.wait_for(|have| *have >= revision))
            .await
            .is_ok_and(|r| r.is_ok())
    }

    /// Takes one frame in. Only a heartbeat makes the copy fresh: a Change does not say when it was sent, and one that
    /// waited in a buffer may have a revocation behind it. An error means: stop following, the copy cannot be continued.
    pub fn take(&self, frame: Frame) -> Result<(), TakeError> {
        match frame.body {
            Some(frame::Body::Snapshot(snapshot)) => self.replace(&snapshot)?,
            Some(frame::Body::Delta(delta)) => self.advance(&delta)?,
            Some(frame::Body::Heartbeat(beat)) => {
                if Revision(beat.revision) > self.world().revision() {
                    return Err(TakeError::Gap {
                        have: self.world().revision(),
                        got: Revision(beat.revision),
                    });
                }
                if !beat.checkpoint.is_empty() {
                    self.shared.checkpoint.send_replace(beat.checkpoint);
                }
                self.hear(Instant::now());
            }
            // No part of the World: for whoever speaks for the member itself.
            Some(frame::Body::Look(_)) | None => {}
        }
        Ok(())
    }

    fn replace(&self, snapshot: &Snapshot) -> Result<(), TakeError> {
        let world = decode_world(snapshot.format, &snapshot.world)?;
        if world.revision() < self.world().revision() {
            return Err(TakeError::RolledBack {
                have: self.world().revision(),
                got: world.revision(),
            });
        }
        self.publish(world);
        Ok(())
    }

    fn advance(&self, delta: &Delta) -> Result<(), TakeError> {
        let have = self.world().revision();
        let got = Revision(delta.revision);
        if got <= have {
            return Ok(()); // heard before, on an earlier connection
        }
        if got != have.next() {
            return Err(TakeError::Gap { have, got });
        }
        let changes = delta
            .changes
            .iter()
            .map(|bytes| decode_change(bytes))
            .collect::<Result<Vec<_>, _>>()?;
        self.publish(self.world().apply(&changes, got));
        Ok(())
    }

    fn publish(&self, world: World) {
        let revision = world.revision();
        self.shared.world.send_replace(Arc::new(world));
        self.shared.revision.send_replace(revision);
    }

    fn hear(&self, at: Instant) {
        self.shared.heard.send_replace(Some(at));
        self.shared
            .health
            .send_if_modified(|health| std::mem::replace(health, FeedHealth::Fresh) == FeedHealth::Stale);
    }

    /// Turns the copy stale when nothing was heard for [`STALE_AFTER`]. Runs until dropped.
    pub async fn watch_freshness(&self) {
        let mut heard = self.shared.heard.subscribe();
        loop {
            let last = *heard.borrow_and_update();
            let quiet_for = last.map_or(STALE_AFTER, |last| last.elapsed());
            let left = STALE_AFTER.saturating_sub(quiet_for);
            if left.is_zero() {
                self.shared.health.send_if_modified(|health| {
                    std::mem::replace(health, FeedHealth::Stale) == FeedHealth::Fresh
                });
                if heard.changed().await.is_err() {
                    return;
                }
            } else {
                tokio::time::sleep(left).await;
            }
        }
    }
}

/// Why a frame could not be taken in.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// Bytes that this version cannot read.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A commit is missing in between: follow anew from a snapshot.
    #[error("revision {got} arrived after {have}: the feed has a gap")]
    Gap {
        /// The copy's revision.
        have: Revision,
        /// What arrived.
        got: Revision,
    },
    /// The server's World is older than what it once said. It was rolled back, and must not be followed.
    #[error(
        "the server is at revision {got} and was at {have} before: it was rolled back; restore it properly"
    )]
    RolledBack {
        /// The copy's revision.
        have: Revision,
        /// What arrived.
        got: Revision,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{encode_change, encode_world};
    use broker::Change;
    use identity::UnixTime;

    fn beat() -> Frame {
        Frame {
            body: Some(frame::Body::Heartbeat(crate::proto::Heartbeat::default())),
        }
    }

    fn delta(revision: u64) -> Frame {
        let change = Change::RevocationsForgotten {
            until: UnixTime::from_secs(1),
        };
        Frame {
            body: Some(frame::Body::Delta(Delta {
                revision,
                changes: vec![encode_change(&change)],
            })),
        }
    }

    #[test]
    fn a_gap_and_a_rollback_end_the_feed() {
        let replica = Replica::new();
        replica.take(delta(1)).unwrap();
        replica.take(delta(2)).unwrap();
        replica.take(delta(2)).unwrap();
        assert!(matches!(replica.take(delta(4)), Err(TakeError::Gap { .. })));
        let old = Snapshot {
            revision: 0,
            format: SNAPSHOT_FORMAT,
            world: encode_world(&World::default()),
        };
        let old = Frame {
            body: Some(frame::Body::Snapshot(old)),
        };
        assert!(matches!(replica.take(old), Err(TakeError::RolledBack { .. })));
        assert_eq!(replica.world().revision(), Revision(2));
    }

    #[test]
    fn a_snapshot_of_another_format_is_refused() {
        let frame = Snapshot {
            revision: 9,
            format: SNAPSHOT_FORMAT + 1,
            world: Vec::new(),
        };
        let error = Replica::new()
            .take(Frame {
                body: Some(frame::Body::Snapshot(frame)),
            })
            .unwrap_err();
        assert!(error.to_string().contains("upgrade"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn silence_makes_the_copy_stale_and_a_word_makes_it_fresh() {
        let replica = Replica::new();
        let mut health = replica.health();
        assert_eq!(*health.borrow_and_update(), FeedHealth::Stale);
        replica.take(delta(1)).unwrap();
        assert_eq!(*health.borrow_and_update(), FeedHealth::Stale);
        replica.take(beat()).unwrap();
        assert_eq!(*health.borrow_and_update(), FeedHealth::Fresh);
        assert!(replica.has(Revision(1)).await);
        assert!(!replica.has(Revision(2)).await);
        let watched = replica.clone();
        let watcher = tokio::spawn(async move { watched.watch_freshness().await });
        tokio::time::sleep(STALE_AFTER).await;
        health
            .wait_for(|health| *health == FeedHealth::Stale)
            .await
            .unwrap();
        replica.take(beat()).unwrap();
        assert_eq!(*health.borrow_and_update(), FeedHealth::Fresh);
        watcher.abort();
    }
}

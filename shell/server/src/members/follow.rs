//! Follow: the World once, then every commit, with heartbeats in between.

use super::{Frames, member};
use crate::installation::Installation;
use broker::Change;
use broker::world::NodeRecord;
use identity::{NodeId, OrgScope, Revision};
use std::sync::Arc;
use store::{Feed, FeedError};
use sync::SNAPSHOT_FORMAT;
use sync::change::{encode_change, encode_world};
use sync::proto::{Delta, Frame, Head, Heartbeat, Look, Snapshot, frame};
use sync::replica::HEARTBEAT_EVERY;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

/// Frames under way to one follower; a slower one is disconnected and starts from a snapshot.
const BACKLOG: usize = 256;

pub(super) async fn follow(
    installation: Arc<Installation>,
    follower: Arc<NodeRecord>,
    mut heads: Streaming<Head>,
) -> Result<Frames, Status> {
    let first = heads
        .message()
        .await?
        .ok_or_else(|| Status::invalid_argument("the first head is missing"))?;
    let scope = follower.org.map_or(OrgScope::Every, OrgScope::Only);
    let (frames, out) = mpsc::channel(BACKLOG);
    let feed = begin(&installation, scope, Revision(first.have_revision), &frames).await?;
    // Removed since it was let in: what the feed holds from here on would not say so.
    if installation.store.world().node(follower.id).is_none() {
        return Err(member::removed());
    }
    let (here, asked) = Here::arrive(installation.clone(), follower.id);
    here.heard(first);
    let listener = {
        let here = here.clone();
        tokio::spawn(async move {
            while let Ok(Some(head)) = heads.message().await {
                here.heard(head);
            }
        })
    };
    tokio::spawn(async move {
        if let Err(status) = feed_to(&installation, feed, scope, follower.id, asked, &frames).await
            && frames.send(Err(status)).await.is_err()
        {
            tracing::debug!("a follower left before it was told why");
        }
        listener.abort();
        drop(here);
    });
    Ok(Box::pin(ReceiverStream::new(out)))
}

/// Sends a snapshot if the follower needs one, and gives the feed that continues it.
async fn begin(
    installation: &Installation,
    scope: OrgScope,
    have: Revision,
    frames: &mpsc::Sender<Result<Frame, Status>>,
) -> Result<Feed, Status> {
    if have > Revision(0) {
        match installation.store.subscribe(have) {
            Ok(feed) => return Ok(feed),
            Err(FeedError::TooOld { .. }) => {}
            // The follower was told things that this store does not know: it must not be continued from here.
            Err(error @ FeedError::Ahead { .. }) => {
                return Err(Status::failed_precondition(error.to_string()));
            }
            Err(error) => return Err(Status::unavailable(error.to_string())),
        }
    }
    let world = installation.store.world();
    let feed = installation
        .store
        .subscribe(world.revision())
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let snapshot = Snapshot {
        revision: world.revision().0,
        format: SNAPSHOT_FORMAT,
        world: encode_world(&world.within(scope)),
    };
    send(frames, frame::Body::Snapshot(snapshot)).await?;
    Ok(feed)
}

async fn feed_to(
    installation: &Installation,
    mut feed: Feed,
    scope: OrgScope,
    follower: NodeId,
    mut asked: mpsc::Receiver<Look>,
    frames: &mpsc::Sender<Result<Frame, Status>>,
) -> Result<(), Status> {
    let mut beat = tokio::time::interval(HEARTBEAT_EVERY);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            delta = feed.next() => {
                let delta = delta.map_err(|error| Status::unavailable(error.to_string()))?;
                let removes = |change: &Change| matches!(change, Change::NodeRemoved { node } if *node == follower);
                if delta.changes.iter().any(removes) {
                    return Err(member::removed());
                }
                let visible = delta.changes.iter().filter(|change| change.is_for(scope));
                let changes = visible.map(encode_change).collect();
                // A commit of which nothing is visible is still sent: revisions stay dense.
                send(frames, frame::Body::Delta(Delta { revision: delta.revision.0, changes })).await?;
            }
            Some(look) = asked.recv() => {
                send(frames, frame::Body::Look(look)).await?;
            }
            _ = beat.tick() => {
                // Alive means able to record: a poisoned store falls silent, and whoever follows it closes.
                if installation.store.health().stopped.is_some() {
                    return Err(Status::unavailable("the server cannot record any more"));
                }
                let checkpoint = installation.store.checkpoint();
                let checkpoint = checkpoint.map(|it| String::from_utf8_lossy(&it).into_owned()).unwrap_or_default();
                let at = installation.clock.now().millis();
                send(frames, frame::Body::Heartbeat(Heartbeat { revision: feed.at().0, at, checkpoint })).await?;
            }
        }
    }
}

async fn send(frames: &mpsc::Sender<Result<Frame, Status>>, body: frame::Body) -> Result<(), Status> {
    frames
        .send(Ok(Frame { body: Some(body) }))
        .await
        .map_err(|_| Status::cancelled("the follower left"))
}

/// Presence in the list of followers; ends when dropped.
struct Here {
    installation: Arc<Installation>,
    member: NodeId,
    feed: u64,
}

impl Here {
    fn arrive(installation: Arc<Installation>, member: NodeId) -> (Arc<Self>, mpsc::Receiver<Look>) {
        let (feed, asked) = installation.followers.arrive(member);
        let here = Self {
            installation,
            member,
            feed,
        };
        (Arc::new(here), asked)
    }
    fn heard(&self, head: Head) {
        let followers = &self.installation.followers;
        for looked in head.looked {
            followers.answered(self.member, looked);
        }
        followers.heard(
            self.member,
            self.feed,
            Revision(head.have_revision),
            head.checkpoint,
        );
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        self.installation.followers.left(self.member, self.feed);
    }
}

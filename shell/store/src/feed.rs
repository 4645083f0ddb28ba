//! The change feed: every committed Change, in revision order, from any revision on, without a gap.
//!
//! Live Changes come from the writer over a bounded channel. A follower that starts in the past, or falls behind the
//! channel, is caught up from the table; one that is too far behind is told to take a snapshot instead. Changes that
//! come from the table are checked against the writer's signature first.

use crate::error::ReadError;
use crate::history::History;
use broker::Change;
use identity::Revision;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Commits a follower may be behind the writer before it is caught up from the table.
pub(crate) const FEED_COMMITS: usize = 1_024;
/// Revisions a follower may be behind at all. A World of 100k agents is a smaller message than so many Changes.
pub const FEED_BACKLOG_MAX: u64 = 100_000;
/// Rows read at once, so that no read transaction is long.
const CATCH_UP_ROWS: usize = 512;

/// The Changes of one commit. Ids that they make are stamped.
#[derive(Clone, Debug, PartialEq)]
pub struct Delta {
    /// The revision they made.
    pub revision: Revision,
    /// In the order they apply.
    pub changes: Arc<[Change]>,
}

/// Why a follower cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// Too far behind.
    #[error(
        "{behind} revisions behind, at most 100000 are fed: take a snapshot of the World and follow from there"
    )]
    TooOld {
        /// How many revisions.
        behind: u64,
    },
    /// The follower claims to be ahead.
    #[error("the follower is at revision {follower}, the store at {store}: one of them was rolled back")]
    Ahead {
        /// What it says.
        follower: Revision,
        /// What is.
        store: Revision,
    },
    /// The table could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store closed.
    #[error("the store is closed")]
    Closed,
}

/// A place in the feed.
#[derive(Debug)]
pub struct Feed {
    at: Revision,
    caught_up: VecDeque<Delta>,
    live: broadcast::Receiver<Delta>,
    history: Arc<History>,
}

impl Feed {
    /// Follows from `after` on; `newest` was read after `live` was made, so nothing falls in between.
    pub(crate) fn new(
        after: Revision,
        newest: Revision,
        live: broadcast::Receiver<Delta>,
        history: Arc<History>,
    ) -> Result<Self, FeedError> {
        if after > newest {
            return Err(FeedError::Ahead {
                follower: after,
                store: newest,
            });
        }
        let behind = newest.0 - after.0;
        if behind > FEED_BACKLOG_MAX {
            return Err(FeedError::TooOld { behind });
        }
        let mut it = Self {
            at: after,
            caught_up: VecDeque::new(),
            live,
            history,
        };
        if behind > 0 {
            it.catch_up()?;
        }
        Ok(it)
    }

    /// The revision of the last Delta it gave.
    pub const fn at(&self) -> Revision {
        self.at
    }

    /// The next commit with Changes; waits for one. Cancel-safe.
    pub async fn next(&mut self) -> Result<Delta, FeedError> {
        loop {
            if let Some(delta) = self.caught_up.pop_front() {
                self.at = delta.revision;
                return Ok(delta);
            }
            match self.live.recv().await {
                Ok(delta) if delta.revision <= self.at => {}
                Ok(delta) if delta.revision == self.at.next() => {
                    self.at = delta.revision;
                    return Ok(delta);
                }
                // What lies between is in the table: it was committed before it was sent.
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => self.catch_up()?,
                Err(broadcast::error::RecvError::Closed) => return Err(FeedError::Closed),
            }
        }
    }

    /// A few rows in one read of at most some milliseconds; the rest when those were taken.
    fn catch_up(&mut self) -> Result<(), FeedError> {
        let mut at = self.at;
        for delta in self.history.deltas(at, CATCH_UP_ROWS)? {
            if delta.revision != at.next() {
                return Err(FeedError::TooOld {
                    behind: delta.revision.0 - at.0,
                });
            }
            at = delta.revision;
            self.caught_up.push_back(delta);
        }
        Ok(())
    }
}

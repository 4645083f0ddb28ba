//! What waits for the writer.

use crate::backend::{ChangeRow, Sealed};
use crate::error::CommitError;
use crate::index::Facets;
use crate::recorded::Receipt;
use crate::staleness::gives_authority;
use audit::{Draft, Event};
use aws_lc_rs::digest::{SHA256, digest};
use broker::Change;
use broker::plan::Precondition;
use identity::{Digest, OrgId, Revision, UnixTime};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Plans that may wait. More callers wait for room: with 20,000 plans a second this is 0.2 s.
pub(crate) const QUEUE_PLANS_MAX: usize = 4_096;

/// A message to the writer.
pub(crate) enum Message {
    /// Record this.
    Commit(Box<Job>),
    /// So much of the log is in files.
    Sealed(Sealed),
}

/// One plan without its proof, encoded as far as it can be before its place is known.
pub(crate) struct Job {
    pub(crate) decided_at: Revision,
    pub(crate) expect: Vec<Precondition>,
    pub(crate) changes: Arc<[Change]>,
    /// The Changes as they are kept; the revision is the writer's to fill in.
    pub(crate) row: Option<ChangeRow>,
    pub(crate) draft: Draft,
    /// What the index keeps of it; `None` where an id is stamped at the commit.
    pub(crate) facets: Option<Facets>,
    pub(crate) org: Option<OrgId>,
    pub(crate) at: UnixTime,
    pub(crate) gives_authority: bool,
    pub(crate) waiting: Waiting,
}

/// Who waits for the answer, if anybody.
pub(crate) type Waiting = Option<oneshot::Sender<Result<Receipt, CommitError>>>;

impl Job {
    /// Encodes on the caller's thread: the writer is the one thing that cannot be had twice.
    pub(crate) fn new(
        decided_at: Revision,
        expect: Vec<Precondition>,
        changes: Vec<Change>,
        mut event: Event,
        waiting: Waiting,
    ) -> Result<Self, CommitError> {
        let unrecordable = |error| CommitError::Unrecordable(Arc::new(error));
        let row = if changes.is_empty() {
            None
        } else {
            let body = serde_json::to_vec(&changes).map_err(|error| unrecordable(error.into()))?;
            event.changes = Some(digest_of(&body));
            Some(ChangeRow {
                revision: Revision(0),
                body,
            })
        };
        Ok(Self {
            decided_at,
            expect,
            row,
            org: event.org,
            at: event.at,
            gives_authority: gives_authority(&event, &changes),
            facets: event.minted.is_none().then(|| Facets::of(&event)),
            draft: event.encode().map_err(unrecordable)?,
            changes: changes.into(),
            waiting,
        })
    }

    /// About how many bytes it adds to its group.
    pub(crate) fn bytes(&self) -> usize {
        self.draft.as_slice().len() + self.row.as_ref().map_or(0, |row| row.body.len())
    }
}

/// What an entry says about the Changes that were committed with it: SHA-256 of the bytes that are kept.
pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    let mut hash = [0; 32];
    for (slot, byte) in hash.iter_mut().zip(digest(&SHA256, bytes).as_ref()) {
        *slot = *byte;
    }
    Digest::from_bytes(hash)
}

//! The history of the World, believed only as far as its writer signed it.
//!
//! Each group commit leaves a batch: signed, and chained to the one before. The signature covers the Changes, the root
//! of the entries and the revisions before and after. So a Change that was edited, added, dropped or moved in the
//! database is found before it is applied, and a batch that was dropped leaves a gap in the revisions. Batches without
//! Changes go when their entries are sealed, so the chain of hashes is checked where two neighbours still exist.

use crate::backend::{BackendError, BatchRow, ChangeRow, Rows};
use crate::error::{OpenError, ReadError};
use crate::feed::Delta;
use crate::log_key::LogKey;
use audit::batch::{Batch, hash_of};
use audit::merkle::{Frontier, leaf_hash};
use broker::Change;
use identity::{Digest, LogId, Revision};
use std::sync::{Mutex, PoisonError};

/// Batches looked at in one read.
const BATCHES: usize = 512;

/// The end of the chain of batches: where the next one goes.
pub(crate) struct Chain {
    key: LogKey,
    log: LogId,
    last: Option<Batch>,
}

impl Chain {
    pub(crate) const fn new(key: LogKey, log: LogId, last: Option<Batch>) -> Self {
        Self { key, log, last }
    }

    /// Signs the next batch. `leaves` is a tree of its entries alone.
    pub(crate) fn extend(
        &mut self,
        epoch: u64,
        (before, after): (Revision, Revision),
        leaves: &Frontier,
        changes: &[ChangeRow],
    ) -> BatchRow {
        let batch = Batch {
            epoch,
            log: self.log,
            first: self.last.as_ref().map_or(0, Batch::end),
            count: u32::try_from(leaves.size()).unwrap_or(u32::MAX),
            revision_first: before,
            revision_last: after,
            entries_hash: leaves.root(),
            changes_hash: hash_of(changes.iter().map(|row| row.body.as_slice())),
            prev_hash: self.last.as_ref().map_or_else(Digest::default, Batch::hash),
        };
        self.last = Some(batch);
        let signed = self.key.sign_batch(batch);
        BatchRow {
            first: batch.first,
            count: u64::from(batch.count),
            revision_first: before,
            revision_last: after,
            body: batch.to_bytes().to_vec(),
            signature: signed.signature.to_vec(),
        }
    }
}

/// Why the history is not believed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HistoryError {
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error("{row} was altered after it was written: {why}")]
    Forged { row: String, why: &'static str },
    #[error("the Change at revision {revision} is unreadable: {source}")]
    UnknownChange {
        revision: Revision,
        source: serde_json::Error,
    },
}

/// Reads Changes and batches back.
pub(crate) struct History {
    rows: Mutex<Box<dyn Rows>>,
    key: LogKey,
    log: LogId,
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History")
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

impl History {
    pub(crate) fn new(rows: Box<dyn Rows>, key: LogKey, log: LogId) -> Self {
        Self {
            rows: Mutex::new(rows),
            key,
            log,
        }
    }

    /// Changes after a revision, in order, ids unstamped; those of some batches. Empty when there are none.
    pub(crate) fn changes_after(
        &self,
        after: Revision,
    ) -> Result<Vec<(Revision, Vec<Change>)>, HistoryError> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        let mut at = after;
        let batches = rows.batches_with_changes(after, BATCHES)?;
        let (Some(first), Some(last)) = (batches.first(), batches.last()) else {
            return Ok(found);
        };
        let from = first.revision_first.min(after);
        let mut changes = rows.changes(from, last.revision_last)?.into_iter().peekable();
        drop(rows);
        for row in &batches {
            let batch = self.authentic(row)?;
            if batch.revision_first > at {
                return Err(forged(format!("the batch after revision {at}"), "it is missing"));
            }
            let of_batch: Vec<_> =
                std::iter::from_fn(|| changes.next_if(|change| change.revision <= batch.revision_last))
                    .filter(|change| change.revision > batch.revision_first)
                    .collect();
            check_changes(&batch, &of_batch)?;
            for change in of_batch.into_iter().filter(|change| change.revision > after) {
                let revision = change.revision;
                let parsed = serde_json::from_slice(&change.body)
                    .map_err(|source| HistoryError::UnknownChange { revision, source })?;
                found.push((revision, parsed));
            }
            at = batch.revision_last;
        }
        Ok(found)
    }

    /// The same for followers: ids stamped, at most about `limit` commits.
    pub(crate) fn deltas(&self, after: Revision, limit: usize) -> Result<Vec<Delta>, ReadError> {
        let mut changes = self.changes_after(after)?;
        changes.truncate(limit);
        let delta = |(revision, changes): (Revision, Vec<Change>)| Delta {
            revision,
            changes: changes.into_iter().map(|change| change.at(revision)).collect(),
        };
        Ok(changes.into_iter().map(delta).collect())
    }

    /// The newest batch.
    pub(crate) fn last(&self) -> Result<Option<Batch>, HistoryError> {
        let row = self
            .rows
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .last_batch()?;
        row.map(|row| self.authentic(&row)).transpose()
    }

    /// Checks that the entries from `sealed` on are those that their batches were signed over; `entry` reads one.
    pub(crate) fn check_tail<E: From<HistoryError>>(
        &self,
        sealed: u64,
        mut entry: impl FnMut(u64) -> Result<Vec<u8>, E>,
    ) -> Result<(), E> {
        let rows = self
            .rows
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .batches_from(sealed);
        let mut before: Option<Batch> = None;
        for row in rows.map_err(HistoryError::from)? {
            let batch = self.authentic(&row)?;
            let name = || format!("the batch at entry {}", batch.first);
            let follows = match &before {
                Some(before) => batch.prev_hash == before.hash() && batch.first == before.end(),
                None => batch.first <= sealed,
            };
            if !follows {
                return Err(forged(name(), "it does not follow the batch before it").into());
            }
            let mut leaves = Frontier::new();
            for index in batch.first..batch.end() {
                leaves.push(leaf_hash(&entry(index)?));
            }
            if leaves.root() != batch.entries_hash {
                let row = format!(
                    "an entry between {} and {}",
                    batch.first,
                    batch.end().saturating_sub(1)
                );
                return Err(forged(row, "its batch was signed over another").into());
            }
            before = Some(batch);
        }
        Ok(())
    }

    /// A batch row whose signature holds and whose numbers are those that were signed.
    fn authentic(&self, row: &BatchRow) -> Result<Batch, HistoryError> {
        let name = || format!("the batch at entry {}", row.first);
        if !self.key.verifies(&row.body, &row.signature) {
            return Err(forged(name(), "the log's key did not sign it"));
        }
        let batch = Batch::from_bytes(&row.body).map_err(|_| forged(name(), "it is not a batch"))?;
        let told = (row.first, row.count, row.revision_first, row.revision_last);
        let signed = (
            batch.first,
            u64::from(batch.count),
            batch.revision_first,
            batch.revision_last,
        );
        if told != signed || batch.log != self.log {
            return Err(forged(name(), "its row says something else than what was signed"));
        }
        Ok(batch)
    }
}

/// Dense revisions, and the bytes that were signed.
fn check_changes(batch: &Batch, changes: &[ChangeRow]) -> Result<(), HistoryError> {
    let mut revision = batch.revision_first;
    for change in changes {
        revision = revision.next();
        if change.revision != revision {
            return Err(forged(
                format!("the Change at revision {revision}"),
                "it is missing",
            ));
        }
    }
    if revision != batch.revision_last {
        return Err(forged(
            format!("the Change at revision {}", revision.next()),
            "it is missing",
        ));
    }
    if hash_of(changes.iter().map(|change| change.body.as_slice())) == batch.changes_hash {
        return Ok(());
    }
    let row = format!(
        "a Change between revision {} and {revision}",
        batch.revision_first.next()
    );
    Err(forged(row, "its batch was signed over another"))
}

const fn forged(row: String, why: &'static str) -> HistoryError {
    HistoryError::Forged { row, why }
}

impl From<HistoryError> for OpenError {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Backend(error) => error.into(),
            HistoryError::Forged { row, why } => Self::Forged { row, why },
            HistoryError::UnknownChange { revision, source } => Self::UnknownChange { revision, source },
        }
    }
}

impl From<HistoryError> for ReadError {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Backend(error) => error.into(),
            HistoryError::Forged { row, why } => Self::Forged { row, why },
            HistoryError::UnknownChange { revision, source } => Self::Change { revision, source },
        }
    }
}

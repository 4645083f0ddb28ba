//! The reading side: point reads and short ranges, each its own transaction, so that none keeps the WAL from
//! restarting.

use super::{connect, from_sql, to_sql};
use crate::backend::{BackendError, BatchRow, ChangeRow, EntryRow, OnceKey, Rows, Sealed, Spent};
use identity::{Revision, UnixTime};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row};
use std::path::Path;

pub(super) struct Reader(Connection);

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self, BackendError> {
        connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map(Self)
    }
    fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, BackendError> {
        let sql = "SELECT value FROM meta WHERE name = ?1";
        Ok(self
            .0
            .prepare_cached(sql)?
            .query_row([name], |row| row.get(0))
            .optional()?)
    }
}

const BATCH: &str = "first, count, revision_first, revision_last, body, signature";

type RawBatch = (i64, i64, i64, i64, Vec<u8>, Vec<u8>);

fn raw_batch(row: &Row<'_>) -> rusqlite::Result<RawBatch> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
        row.get(5)?,
    ))
}

fn batch(
    (first, count, revision_first, revision_last, body, signature): RawBatch,
) -> Result<BatchRow, BackendError> {
    Ok(BatchRow {
        first: from_sql(first, "batch")?,
        count: from_sql(count, "batch")?,
        revision_first: Revision(from_sql(revision_first, "revision")?),
        revision_last: Revision(from_sql(revision_last, "revision")?),
        body,
        signature,
    })
}

impl Rows for Reader {
    fn entries(&self, from: u64, limit: usize) -> Result<Vec<EntryRow>, BackendError> {
        let mut select = self
            .0
            .prepare_cached("SELECT idx, body FROM entries WHERE idx >= ?1 ORDER BY idx LIMIT ?2")?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = select.query_map((to_sql(from, "entry")?, limit), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        rows.map(|row| {
            let (index, body): (i64, _) = row?;
            Ok(EntryRow {
                index: from_sql(index, "entry")?,
                body,
            })
        })
        .collect()
    }

    fn oldest_entry(&self) -> Result<Option<u64>, BackendError> {
        let oldest: Option<i64> = self
            .0
            .query_row("SELECT min(idx) FROM entries", [], |row| row.get(0))?;
        oldest.map(|index| from_sql(index, "entry")).transpose()
    }

    fn changes(&self, after: Revision, to: Revision) -> Result<Vec<ChangeRow>, BackendError> {
        let mut select = self.0.prepare_cached(
            "SELECT revision, body FROM changes WHERE revision > ?1 AND revision <= ?2 ORDER BY revision",
        )?;
        let (after, to) = (to_sql(after.0, "revision")?, to_sql(to.0, "revision")?);
        let rows = select.query_map((after, to), |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.map(|row| {
            let (revision, body): (i64, _) = row?;
            Ok(ChangeRow {
                revision: Revision(from_sql(revision, "revision")?),
                body,
            })
        })
        .collect()
    }

    fn batches_with_changes(&self, after: Revision, limit: usize) -> Result<Vec<BatchRow>, BackendError> {
        let mut select = self.0.prepare_cached(&format!(
            "SELECT {BATCH} FROM batches WHERE revision_last > ?1 AND revision_last > revision_first
             ORDER BY revision_last LIMIT ?2"
        ))?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = select.query_map((to_sql(after.0, "revision")?, limit), raw_batch)?;
        rows.map(|row| batch(row?)).collect()
    }

    fn batches_from(&self, index: u64) -> Result<Vec<BatchRow>, BackendError> {
        // Batches neither overlap nor leave gaps: the one that holds `index` is the last that begins at or before it.
        let mut select = self.0.prepare_cached(&format!(
            "SELECT {BATCH} FROM batches
             WHERE first >= (SELECT coalesce(max(first), 0) FROM batches WHERE first <= ?1) ORDER BY first"
        ))?;
        let rows = select.query_map([to_sql(index, "entry")?], raw_batch)?;
        let all: Result<Vec<_>, BackendError> = rows.map(|row| batch(row?)).collect();
        Ok(all?
            .into_iter()
            .filter(|batch| batch.first.saturating_add(batch.count) > index)
            .collect())
    }

    fn last_batch(&self) -> Result<Option<BatchRow>, BackendError> {
        let sql = format!("SELECT {BATCH} FROM batches ORDER BY first DESC LIMIT 1");
        self.0
            .query_row(&sql, [], raw_batch)
            .optional()?
            .map(batch)
            .transpose()
    }

    fn spent(&self) -> Result<Vec<Spent>, BackendError> {
        let mut select = self.0.prepare("SELECT kind, key, until FROM once")?;
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        rows.map(|row| {
            let (kind, key, until): (u8, [u8; 32], i64) = row?;
            let until = UnixTime::from_millis(from_sql(until, "once")?);
            Ok(Spent {
                key: OnceKey { kind, key },
                until,
            })
        })
        .collect()
    }

    fn once_floor(&self) -> Result<UnixTime, BackendError> {
        let Some(bytes) = self.meta("once_floor")? else {
            return Ok(UnixTime::default());
        };
        let bytes = bytes.try_into().map_err(|_| BackendError::Number("once_floor"))?;
        Ok(UnixTime::from_millis(u64::from_be_bytes(bytes)))
    }

    fn sealed(&self) -> Result<Sealed, BackendError> {
        let frontier = self.meta("sealed")?.unwrap_or_default();
        if frontier.is_empty() {
            return Ok(Sealed::default());
        }
        let size = frontier.first_chunk().ok_or(BackendError::Number("sealed"))?;
        Ok(Sealed {
            size: u64::from_be_bytes(*size),
            frontier,
        })
    }
}

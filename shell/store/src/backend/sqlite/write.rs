//! The writing side: a group is one transaction, tidying is another.

use super::rows::Reader;
use super::{Sqlite, to_sql};
use crate::backend::{Backend, BackendError, Group, Rows, Spent, Tidy};

impl Backend for Sqlite {
    fn commit(&mut self, group: &Group) -> Result<(), BackendError> {
        let transaction = self.connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO entries (idx, body) VALUES (?1, ?2)")?;
            for (index, entry) in (group.batch.first..).zip(&group.entries) {
                insert.execute((to_sql(index, "entry")?, entry.as_slice()))?;
            }
            let mut insert =
                transaction.prepare_cached("INSERT INTO changes (revision, body) VALUES (?1, ?2)")?;
            for change in &group.changes {
                insert.execute((to_sql(change.revision.0, "revision")?, &change.body))?;
            }
            let mut insert =
                transaction.prepare_cached("INSERT INTO once (kind, key, until) VALUES (?1, ?2, ?3)")?;
            for spent in &group.spent {
                insert.execute((spent.key.kind, spent.key.key.as_slice(), end(spent)))?;
            }
            let batch = &group.batch;
            transaction
                .prepare_cached(
                    "INSERT INTO batches (first, count, revision_first, revision_last, body, signature)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute((
                    to_sql(batch.first, "batch")?,
                    to_sql(batch.count, "batch")?,
                    to_sql(batch.revision_first.0, "revision")?,
                    to_sql(batch.revision_last.0, "revision")?,
                    &batch.body,
                    &batch.signature,
                ))?;
        }
        transaction.commit()?;
        Ok(())
    }

    fn tidy(&mut self, tidy: &Tidy) -> Result<(), BackendError> {
        let transaction = self.connection.transaction()?;
        {
            let mut set =
                transaction.prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)")?;
            if let Some(sealed) = &tidy.sealed {
                set.execute(("sealed", &sealed.frontier))?;
            }
            if !tidy.forgotten.is_empty() {
                set.execute(("once_floor", tidy.once_floor.millis().to_be_bytes().as_slice()))?;
                let mut delete = transaction
                    .prepare_cached("DELETE FROM once WHERE until = ?1 AND kind = ?2 AND key = ?3")?;
                for spent in &tidy.forgotten {
                    delete.execute((end(spent), spent.key.kind, spent.key.key.as_slice()))?;
                }
            }
            let (from, below) = (to_sql(tidy.from, "entry")?, to_sql(tidy.below, "entry")?);
            transaction
                .prepare_cached("DELETE FROM entries WHERE idx < ?1")?
                .execute([below])?;
            // A batch with Changes is what makes them believed; it stays as long as they do. So does the newest.
            transaction
                .prepare_cached(
                    "DELETE FROM batches WHERE first >= ?1 AND first + count <= ?2 AND first < ?2
                     AND revision_last = revision_first AND first < (SELECT max(first) FROM batches)",
                )?
                .execute((from, below))?;
        }
        transaction.commit()?;
        Ok(())
    }

    fn maintain(&mut self) -> Result<(), BackendError> {
        self.checkpointer.finish(&self.connection)
    }

    fn close(&mut self) -> Result<(), BackendError> {
        // One file, without a WAL, is easier to copy.
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))?;
        Ok(())
    }

    fn reader(&self) -> Result<Box<dyn Rows>, BackendError> {
        Ok(Box::new(Reader::open(&self.path)?))
    }
}

/// When a key dies. A time beyond the signed range is "never"; it must not make a commit fail.
fn end(spent: &Spent) -> i64 {
    i64::try_from(spent.until.millis()).unwrap_or(i64::MAX)
}

//! The index as tables.

use super::query::{Facets, Query, UserKey};
use crate::backend::BackendError;
use crate::directory::create_private;
use identity::{Id, Kind, OrgScope};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params_from_iter};
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

/// Raise it when the tables change: an index of another format is built again.
const FORMAT: u32 = 2;
/// Identifies a boot of this machine. What was written without fsync in an earlier one may be torn.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

const TABLES: &str = "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID, STRICT;
    CREATE TABLE entries (
        idx INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL,
        org BLOB, agent BLOB, task BLOB, decision BLOB, user BLOB
    ) STRICT;
    CREATE TABLE reasons (reason TEXT NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (reason, idx)) WITHOUT ROWID, STRICT;
    CREATE INDEX by_agent ON entries (agent, idx) WHERE agent IS NOT NULL;
    CREATE INDEX by_task ON entries (task, idx) WHERE task IS NOT NULL;
    CREATE INDEX by_user ON entries (user, agent, idx) WHERE user IS NOT NULL;
    CREATE INDEX by_decision ON entries (decision) WHERE decision IS NOT NULL;
    CREATE INDEX by_kind ON entries (kind, idx);
    CREATE INDEX by_time ON entries (at);
";

/// One connection to the index.
#[derive(Debug)]
pub(super) struct Table(Connection);

impl Table {
    /// A reading and a writing connection. `size` is the log's: an index of a longer log is not of this one.
    pub(super) fn open(path: &Path, size: u64) -> Result<(Self, Self), BackendError> {
        let boot = fs::read_to_string(BOOT_ID).unwrap_or_default();
        let writer = match Self::reopen(path, size, &boot) {
            Ok(writer) => writer,
            Err(why) => {
                tracing::info!(%why, "the index is built anew");
                Self::create(path)?
            }
        };
        writer.set("boot", boot.trim())?;
        Ok((Self(connect(path)?), writer))
    }

    fn reopen(path: &Path, size: u64, boot: &str) -> Result<Self, String> {
        if !path.exists() {
            return Err("there is none yet".into());
        }
        let table = connect(path).map(Self).map_err(|error| error.to_string())?;
        let format: u32 = table
            .0
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(|error| error.to_string())?;
        let same_boot = table.get("boot").map_err(|error| error.to_string())?.as_deref() == Some(boot.trim());
        let closed = table.get("closed").map_err(|error| error.to_string())?.is_some();
        let next = table.next().map_err(|error| error.to_string())?;
        if format != FORMAT {
            return Err(format!("it has format {format}"));
        }
        if !same_boot && !closed {
            return Err("the machine stopped while it was written".into());
        }
        if next > size {
            return Err("it is of another log".into());
        }
        table
            .0
            .execute("DELETE FROM meta WHERE name = 'closed'", [])
            .map_err(|error| error.to_string())?;
        Ok(table)
    }

    fn create(path: &Path) -> Result<Self, BackendError> {
        for suffix in ["", "-wal", "-shm"] {
            let mut name = path.as_os_str().to_os_string();
            name.push(suffix);
            match fs::remove_file(&name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        create_private(path)?;
        let connection = connect(path)?;
        connection.execute_batch(&format!(
            "BEGIN; {TABLES} PRAGMA user_version = {FORMAT}; COMMIT;"
        ))?;
        Ok(Self(connection))
    }

    /// The first entry that is not indexed.
    pub(super) fn next(&self) -> Result<u64, BackendError> {
        let newest: Option<i64> = self
            .0
            .query_row("SELECT max(idx) FROM entries", [], |row| row.get(0))?;
        Ok(newest.map_or(0, |index| index.unsigned_abs().saturating_add(1)))
    }

    pub(super) fn add(&mut self, first: u64, entries: &[Facets]) -> Result<(), BackendError> {
        let transaction = self.0.transaction()?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO entries (idx, at, kind, org, agent, task, decision, user)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?;
            let mut why =
                transaction.prepare_cached("INSERT OR IGNORE INTO reasons (reason, idx) VALUES (?1, ?2)")?;
            for (index, it) in (first..).zip(entries) {
                let (index, at) = (number(index), number(it.at.millis()));
                let ids = (
                    it.org.map(bits),
                    it.agent.map(bits),
                    it.task.map(bits),
                    it.decision.map(bits),
                    it.user.map(UserKey::bytes),
                );
                insert.execute((index, at, it.kind.as_str(), ids.0, ids.1, ids.2, ids.3, ids.4))?;
                for reason in &it.reasons {
                    why.execute((reason, index))?;
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// Indexes below `end` that match, newest first.
    pub(super) fn find(&self, query: &Query, end: u64, limit: usize) -> Result<Vec<u64>, BackendError> {
        let mut terms = vec!["idx < ?".to_owned()];
        let mut values = vec![Value::Integer(number(end))];
        let mut term = |sql: &str, value: Value| {
            terms.push(sql.to_owned());
            values.push(value);
        };
        if let OrgScope::Only(org) = query.scope {
            term("org = ?", bits(org).to_vec().into());
        }
        if let Some(agent) = query.agent {
            term("agent = ?", bits(agent).to_vec().into());
        }
        if let Some(task) = query.task {
            term("task = ?", bits(task).to_vec().into());
        }
        if let Some(user) = query.user {
            term("user = ?", user.bytes().to_vec().into());
        }
        if let Some(decision) = query.decision {
            term("decision = ?", bits(decision).to_vec().into());
        }
        if let Some(kind) = &query.kind {
            term("kind = ?", kind.as_str().to_owned().into());
        }
        if let Some(reason) = &query.reason {
            term(
                "idx IN (SELECT idx FROM reasons WHERE reason = ?)",
                reason.clone().into(),
            );
        }
        if let Some(since) = query.since {
            term("at >= ?", number(since.millis()).into());
        }
        if let Some(until) = query.until {
            term("at < ?", number(until.millis()).into());
        }
        let sql = format!(
            "SELECT idx FROM entries WHERE {} ORDER BY idx DESC LIMIT {limit}",
            terms.join(" AND ")
        );
        let mut select = self.0.prepare_cached(&sql)?;
        let rows = select.query_map(params_from_iter(values), |row| row.get::<_, i64>(0))?;
        rows.map(|index| Ok(index?.unsigned_abs())).collect()
    }

    /// Everything is written: after a reboot the index can be used as it is.
    pub(super) fn close(&self) -> Result<(), BackendError> {
        self.set("closed", "1")?;
        self.0.pragma_update(None, "synchronous", "full")?;
        let busy: i64 = self
            .0
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy == 0 {
            Ok(())
        } else {
            Err(BackendError::Number("checkpoint"))
        }
    }

    fn set(&self, name: &str, value: &str) -> Result<(), BackendError> {
        self.0.execute(
            "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)",
            (name, value),
        )?;
        Ok(())
    }
    fn get(&self, name: &str) -> Result<Option<String>, BackendError> {
        let sql = "SELECT value FROM meta WHERE name = ?1";
        Ok(self.0.query_row(sql, [name], |row| row.get(0)).optional()?)
    }
}

fn connect(path: &Path) -> Result<Connection, BackendError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "off")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

const fn bits<K: Kind>(id: Id<K>) -> [u8; 16] {
    id.as_u128().to_be_bytes()
}

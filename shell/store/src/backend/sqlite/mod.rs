//! SQLite: one writer connection, WAL, `synchronous=FULL`.
//!
//! FULL fsyncs the WAL at every commit; that fsync is the whole durability of a record. A checkpoint copies the WAL
//! into the database elsewhere ([`checkpointer`]), because the automatic one stalls a commit for 10 ms and more.

mod checkpointer;
mod rows;
mod schema;
mod write;

use super::BackendError;
use crate::directory::create_private;
use checkpointer::Checkpointer;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a connection waits for another one's lock. Ours never collide for long: there is one writer.
const BUSY_MILLIS: u64 = 5_000;
/// Page cache of the writer: 64 MiB, so that a steady load finds its right-most pages in memory.
const CACHE_KIB: i64 = 65_536;

/// The writer's connection, and the thread that copies its WAL.
pub(crate) struct Sqlite {
    path: PathBuf,
    connection: Connection,
    checkpointer: Checkpointer,
}

impl Sqlite {
    /// Opens or creates the database and brings its schema up to date.
    pub(crate) fn open(path: &Path) -> Result<Self, BackendError> {
        create_private(path)?;
        let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        schema::ready(&connection)?;
        let checkpointer = Checkpointer::start(path, &mut connection)?;
        Ok(Self {
            path: path.to_path_buf(),
            connection,
            checkpointer,
        })
    }

    /// The vkey of the log whose store this is, remembered by the first who asks.
    pub(crate) fn bind(&self, vkey: &str) -> Result<String, BackendError> {
        schema::bind(&self.connection, vkey)
    }
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, BackendError> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::from_millis(BUSY_MILLIS))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", checkpointer::KEEP_BYTES)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// SQLite's integers are signed; ours are counts and times.
fn to_sql(number: u64, what: &'static str) -> Result<i64, BackendError> {
    i64::try_from(number).map_err(|_| BackendError::Number(what))
}

fn from_sql(number: i64, what: &'static str) -> Result<u64, BackendError> {
    u64::try_from(number).map_err(|_| BackendError::Number(what))
}

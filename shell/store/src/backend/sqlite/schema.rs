//! The tables, and the version of their format. An older format is migrated step by step, a newer one refused.

use super::BackendError;
use rusqlite::{Connection, OptionalExtension as _};

/// The format this version writes. Raise it with a new step in [`STEPS`].
pub(super) const FORMAT: u32 = 2;

/// Step `n` brings format `n` to `n + 1`.
const STEPS: &[&str] = &[
    "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID, STRICT;
    CREATE TABLE entries (idx INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
    CREATE TABLE changes (revision INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
    CREATE TABLE batches (
        first INTEGER PRIMARY KEY, count INTEGER NOT NULL,
        revision_first INTEGER NOT NULL, revision_last INTEGER NOT NULL,
        body BLOB NOT NULL, signature BLOB NOT NULL
    ) STRICT;
    CREATE INDEX batches_with_changes ON batches (revision_last) WHERE revision_last > revision_first;
    CREATE TABLE once (
        kind INTEGER NOT NULL, key BLOB NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (kind, key)
    ) WITHOUT ROWID, STRICT;
",
    // By their end, not by their value: keys are digests, so each would be written to a page of its own, and a page is
    // what a commit writes. Whether one was spent is known in memory (`once.rs`), and that is filled from here.
    "
    ALTER TABLE once RENAME TO once_by_key;
    CREATE TABLE once (
        until INTEGER NOT NULL, kind INTEGER NOT NULL, key BLOB NOT NULL, PRIMARY KEY (until, kind, key)
    ) WITHOUT ROWID, STRICT;
    INSERT INTO once (until, kind, key) SELECT until, kind, key FROM once_by_key;
    DROP TABLE once_by_key;
",
];

/// Brings the schema to [`FORMAT`].
pub(super) fn ready(connection: &Connection) -> Result<(), BackendError> {
    let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > FORMAT {
        return Err(BackendError::NewerFormat { found, known: FORMAT });
    }
    for (step, sql) in (1..).zip(STEPS).skip(found as usize) {
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {sql} PRAGMA user_version = {step}; COMMIT;"
        ))?;
    }
    Ok(())
}

/// Reads the vkey the store was made for; writes `vkey` if it is new.
pub(super) fn bind(connection: &Connection, vkey: &str) -> Result<String, BackendError> {
    let sql = "INSERT INTO meta (name, value) VALUES ('vkey', ?1) ON CONFLICT DO NOTHING";
    connection.execute(sql, [vkey.as_bytes()])?;
    let kept: Option<Vec<u8>> = connection
        .query_row("SELECT value FROM meta WHERE name = 'vkey'", [], |row| row.get(0))
        .optional()?;
    Ok(String::from_utf8_lossy(&kept.unwrap_or_default()).into_owned())
}

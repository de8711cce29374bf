//! The tables, and how they came to be.

use std::path::Path;

use rusqlite::Connection;

use crate::OpenError;

/// One script per schema version, in order. Never edit one that was released: add the next.
const MIGRATIONS: &[&str] =
    &[include_str!("../migrations/0001_first.sql"), include_str!("../migrations/0002_nodes.sql")];

/// Pages of the write-ahead log after which a commit also checkpoints: late, because whoever commits then waits for it. The
/// writer checkpoints by itself when it has nothing else to do.
const CHECKPOINT: u32 = 8_000;

/// Opens the database for writing, and brings its schema up to date. Looks at its first pages, not at all of it.
pub(crate) fn open(file: &Path) -> Result<Connection, OpenError> {
    let failed = |error| OpenError::of(file, error);
    let mut connection = connect(file).map_err(failed)?;
    // SQLite opens what it may not write without a word, and would refuse each write instead.
    if connection.is_readonly("main").map_err(failed)? {
        return Err(OpenError::ReadOnly { path: file.to_owned() });
    }
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(failed)?;
    let known = MIGRATIONS.len() as u32;
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    if found > known {
        return Err(OpenError::Newer { found, known });
    }
    migrate(&mut connection, found).map_err(failed)?;
    Ok(connection)
}

pub(crate) fn connect(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "cache_size", -4_096)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn migrate(connection: &mut Connection, found: u32) -> rusqlite::Result<()> {
    for (index, script) in MIGRATIONS.iter().enumerate().skip(found as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(script)?;
        transaction.pragma_update(None, "user_version", index as u32 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_may_not_be_written_is_not_opened() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("stead.db");
        drop(open(&file).unwrap());
        // So that it is read-only for whichever user runs the test.
        let read_only = format!("file:{}?mode=ro", file.display());
        assert!(matches!(open(Path::new(&read_only)), Err(OpenError::ReadOnly { .. })));
        open(&file).unwrap();
    }

    #[test]
    fn leases_of_before_there_were_nodes_are_free() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("stead.db");
        let first = connect(&file).unwrap();
        first.execute_batch(MIGRATIONS[0]).unwrap();
        first.pragma_update(None, "user_version", 1).unwrap();
        let sql = "INSERT INTO sessions VALUES ('session', 'workspace', 1, 7, 'owner', 'running', 1, '{}')";
        first.execute(sql, []).unwrap();
        drop(first);
        let second = open(&file).unwrap();
        let sql = "SELECT lease_owner, epoch FROM sessions";
        let found: (Option<String>, u64) = second.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(found, (None, 7));
    }
}

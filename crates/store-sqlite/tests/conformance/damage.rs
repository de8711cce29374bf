//! A file that is damaged is told from one that is not, and nothing is made up in its place.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use store::{Catalog, Error, Kind, SystemClock, Transfer};
use store_sqlite::{OpenError, SqliteStore};
use wire::WorkspaceId;

use super::{open, own};

/// Writes over the first page of a table.
fn damage(file: &Path, table: &str) {
    let connection = rusqlite::Connection::open(file).unwrap();
    // Pages that are still in the write-ahead log would hide the damage.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let size: u64 = connection.pragma_query_value(None, "page_size", |row| row.get(0)).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?";
    let page: u64 = connection.query_row(sql, [table], |row| row.get(0)).unwrap();
    drop(connection);
    let garbage: Vec<u8> = (0..size).map(|_| 0xaa).collect();
    File::options().write(true).open(file).unwrap().write_all_at(&garbage, (page - 1) * size).unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("stead.db");
    let garbage = b"garbage ".repeat(2_000);
    std::fs::write(&file, &garbage).unwrap();
    let refused = SqliteStore::open(own(directory.path()), Arc::new(SystemClock)).err().unwrap();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    let told = refused.to_string();
    assert!(told.contains("stead.db is damaged: ") && told.contains("`stead db export`"), "{told}");
    assert_eq!(std::fs::read(&file).unwrap(), garbage, "whoever can repair it finds all of it");
}

#[tokio::test]
async fn a_damaged_page_is_found_and_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.set("name", "value").await.unwrap();
    assert_eq!(store.faults().await, Ok(Vec::new()), "a sound database has no faults");
    drop(store);

    damage(&directory.path().join("stead.db"), "documents");
    let store = open(directory.path());
    assert!(!store.faults().await.unwrap().is_empty(), "the damage is found");
    match store.get(WorkspaceId::from_bits(1), Kind::Agent, "agent").await {
        Err(Error::Failed(reason)) => assert!(reason.starts_with("the database is damaged: "), "{reason}"),
        other => unreachable!("a damaged table answers: {other:?}"),
    }
    assert_eq!(store.setting("name").await.unwrap().as_deref(), Some("value"), "what is sound is read");
}

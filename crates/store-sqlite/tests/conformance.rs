//! The embedded store keeps the law, and what it has acknowledged survives a process that ends without a word.

#![allow(clippy::unwrap_used, reason = "how a test fails")]

use std::cell::RefCell;
use std::sync::Arc;

use store::{Catalog, SystemClock, conformance};
use store_sqlite::{OpenError, SqliteStore};

fn open(directory: &tempfile::TempDir) -> SqliteStore {
    SqliteStore::open(directory.path(), Arc::new(SystemClock)).unwrap()
}

#[tokio::test]
async fn the_embedded_store_conforms() {
    let directories = RefCell::new(Vec::new());
    conformance::run(async || {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory);
        directories.borrow_mut().push(directory);
        store
    })
    .await;
}

#[tokio::test]
async fn what_was_written_is_there_when_the_store_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    store.set("name", "value").await.unwrap();
    drop(store);
    // The writer's thread ends by itself once nobody can write any more; its lock goes with the store.
    assert_eq!(open(&directory).setting("name").await.unwrap().as_deref(), Some("value"));
}

#[tokio::test]
async fn a_second_process_is_kept_out() {
    let directory = tempfile::tempdir().unwrap();
    let _store = open(&directory);
    let second = SqliteStore::open(directory.path(), Arc::new(SystemClock));
    assert!(matches!(second, Err(OpenError::Locked(_))));
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(&directory));
    let connection = rusqlite::Connection::open(directory.path().join("stead.db")).unwrap();
    connection.pragma_update(None, "user_version", 999).unwrap();
    drop(connection);
    let newer = SqliteStore::open(directory.path(), Arc::new(SystemClock));
    assert!(matches!(newer, Err(OpenError::Newer { found: 999, .. })));
}

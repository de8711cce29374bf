//! The embedded store keeps the law, and what it has acknowledged survives a process that ends without a word.

#![allow(clippy::unwrap_used, reason = "how a test fails")]

mod damage;
mod transfer;

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use store::{Catalog, Directory, SystemClock, SystemRng, conformance};
use store_sqlite::{OpenError, SqliteStore};

fn own(path: &Path) -> Arc<Directory> {
    Arc::new(Directory::own(path, &SystemRng).unwrap())
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(own(path), Arc::new(SystemClock)).unwrap()
}

#[tokio::test]
async fn the_embedded_store_conforms() {
    let directories = RefCell::new(Vec::new());
    conformance::run(async || {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        directories.borrow_mut().push(directory);
        store
    })
    .await;
}

#[tokio::test]
async fn what_was_written_is_there_when_the_store_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.set("name", "value").await.unwrap();
    drop(store);
    // The writer's thread ends by itself once nobody can write any more; the directory's lock goes with the store.
    assert_eq!(open(directory.path()).setting("name").await.unwrap().as_deref(), Some("value"));
}

#[tokio::test]
async fn the_directory_is_owned_for_as_long_as_the_store_lives() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let copy = store.clone();
    drop(store);
    assert!(Directory::own_if_abandoned(directory.path()).is_none(), "a copy of the store keeps the lock");
    drop(copy);
    assert!(Directory::own_if_abandoned(directory.path()).is_some(), "the last one gives it back");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    let connection = rusqlite::Connection::open(directory.path().join("stead.db")).unwrap();
    connection.pragma_update(None, "user_version", 999).unwrap();
    drop(connection);
    let newer = SqliteStore::open(own(directory.path()), Arc::new(SystemClock));
    assert!(matches!(newer, Err(OpenError::Newer { found: 999, .. })));
}

//! The embedded store: SQLite in write-ahead mode, one writer with group commit, a few readers.
//!
//! rusqlite on plain threads, not an asynchronous wrapper: a commit group is dozens of small statements, and a channel hop
//! for each would cost more than the statement. One process owns the data directory; [`SqliteStore::open`] takes its lock.

mod blobs;
mod catalog;
mod lock;
mod log;
mod pool;
mod row;
mod schema;
mod writer;

pub use lock::Locked;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use store::{Clock, Error};

/// The data directory's store. Cheap to clone.
#[derive(Clone)]
pub struct SqliteStore {
    writer: writer::Writer,
    readers: Arc<pool::Readers>,
    blobs: PathBuf,
    _lock: Arc<lock::Lock>,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Locked(#[from] Locked),
    #[error("the data directory {path} cannot be used: {source}")]
    Directory { path: PathBuf, source: std::io::Error },
    #[error("the database cannot be opened: {0}")]
    Database(#[from] rusqlite::Error),
    #[error(
        "the database is of schema {found}, newer than the {known} of this version of Stead: use the version that wrote it, or a later one"
    )]
    Newer { found: u32, known: u32 },
}

impl SqliteStore {
    /// Opens the store below `data_dir`, which is made if need be, and brings its schema up to date.
    pub fn open(data_dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let blobs = data_dir.join("blobs");
        std::fs::create_dir_all(&blobs).map_err(|source| OpenError::Directory { path: data_dir.to_owned(), source })?;
        let lock = lock::Lock::take(data_dir)?;
        let file = data_dir.join("stead.db");
        let mut connection = schema::connect(&file)?;
        schema::migrate(&mut connection)?;
        let writer = writer::Writer::start(connection, clock);
        let readers = Arc::new(pool::Readers::new(file));
        Ok(Self { writer, readers, blobs, _lock: Arc::new(lock) })
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> store::Result<T> {
        self.readers.run(query).await
    }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Failed(error.to_string())
}

//! The embedded store: SQLite in write-ahead mode, one writer with group commit, a few readers.
//!
//! rusqlite on plain threads, not an asynchronous wrapper: a commit group is dozens of small statements, and a channel hop
//! for each would cost more than the statement. One process owns the data directory; the store keeps its lock.

mod answers;
mod blobs;
mod catalog;
mod failure;
mod faults;
mod list;
mod log;
mod nodes;
mod pool;
mod queue;
mod row;
mod schema;
mod snapshots;
mod transfer;
mod writer;

pub use failure::OpenError;
pub(crate) use failure::failed;

use std::path::PathBuf;
use std::sync::Arc;

use store::{Clock, Directory};

/// The data directory's store. Cheap to clone.
#[derive(Clone)]
pub struct SqliteStore {
    writer: writer::Writer,
    readers: Arc<pool::Readers>,
    clock: Arc<dyn Clock>,
    blobs: PathBuf,
    /// Nobody else's for as long as the store lives.
    _directory: Arc<Directory>,
}

impl SqliteStore {
    /// Opens the store of the data directory, which is made if it is not there, and brings its schema up to date.
    pub fn open(directory: Arc<Directory>, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let path = directory.path();
        let blobs = path.join("blobs");
        std::fs::create_dir_all(&blobs).map_err(|source| OpenError::Directory { path: path.to_owned(), source })?;
        blobs::sweep(&blobs);
        let file = path.join("stead.db");
        let connection = schema::open(&file)?;
        let writer = writer::Writer::start(connection, clock.clone());
        let readers = Arc::new(pool::Readers::new(file));
        Ok(Self { writer, readers, clock, blobs, _directory: directory })
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> store::Result<T> {
        self.readers.run(query).await
    }
}

//! Readers: a few connections, each used by one blocking task at a time.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;
use store::Result;
use tokio::sync::Semaphore;

use crate::{failed, schema};

/// More would only contend for the two or four cores of the machines this store is meant for.
const READERS: usize = 4;

/// The most bytes of rows that are read at once, give or take one row.
pub(crate) const MOST_BYTES: usize = 8 << 20;

pub(crate) struct Readers {
    file: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(crate) fn new(file: PathBuf) -> Self {
        Self { file, idle: Mutex::new(Vec::new()), permits: Arc::new(Semaphore::new(READERS)) }
    }

    /// Runs one query. The connection is never held across an await of the caller.
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = self.permits.clone().acquire_owned().await.map_err(failed)?;
        let readers = self.clone();
        let work = move || {
            // Held by the work, not by the caller, who may stop waiting for it.
            let _permit = permit;
            let idle = readers.idle.lock().pop();
            let connection = match idle {
                Some(connection) => connection,
                None => schema::connect(&readers.file)?,
            };
            let outcome = query(&connection);
            readers.idle.lock().push(connection);
            outcome
        };
        tokio::task::spawn_blocking(work).await.map_err(failed)?.map_err(failed)
    }
}

//! The one writer: a thread that owns the writing connection and commits whatever has queued up as one group.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use rusqlite::{Connection, Transaction};
use store::{Clock, Result};
use tokio::sync::oneshot;

use crate::failed;

/// The most writes in one group. Bounds how long the first of them waits for the last.
const GROUP: usize = 256;

/// A pause this long is used to checkpoint.
const IDLE: Duration = Duration::from_millis(500);

/// A write, as a closure over the open transaction. It runs inside a savepoint of its own: its failure is its own.
type Work = Box<dyn FnOnce(&Transaction<'_>, i64) -> Pending + Send>;

/// Tells the caller, once the group's fate is known.
type Tell = Box<dyn FnOnce(Result<()>) + Send>;

/// What a write leaves to be told once its group is durable.
enum Pending {
    Done(Tell),
    /// Nothing was written, and the caller has been told why.
    Refused,
}

#[derive(Clone)]
pub(crate) struct Writer {
    queue: Sender<Work>,
}

impl Writer {
    pub(crate) fn start(connection: Connection, clock: Arc<dyn Clock>) -> Self {
        let (queue, work) = channel();
        // Ends by itself when the last sender is dropped. If it cannot start, every write fails with a closed queue.
        let started =
            std::thread::Builder::new().name("sqlite-writer".into()).spawn(move || run(connection, &work, &*clock));
        if let Err(error) = started {
            tracing::error!(%error, "the database's writer thread did not start");
        }
        Self { queue }
    }

    /// Runs `write` in the next group, and returns when that group is on disk.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Transaction<'_>, i64) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (tell, told) = oneshot::channel();
        let work: Work = Box::new(move |transaction, now| match write(transaction, now) {
            Ok(value) => Pending::Done(Box::new(move |committed: Result<()>| {
                let _ = tell.send(committed.map(|()| value));
            })),
            Err(error) => {
                let _ = tell.send(Err(error));
                Pending::Refused
            }
        });
        self.queue.send(work).map_err(|_| failed("the database's writer has stopped"))?;
        told.await.map_err(|_| failed("the database's writer dropped the write"))?
    }
}

fn run(mut connection: Connection, work: &Receiver<Work>, clock: &dyn Clock) {
    let mut checkpointed = true;
    loop {
        let first = match work.recv_timeout(if checkpointed { Duration::MAX } else { IDLE }) {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => {
                // Not all of it if readers are busy; the next pause does the rest.
                let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
                checkpointed = true;
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        checkpointed = false;
        let group: Vec<Work> = std::iter::once(first).chain(work.try_iter().take(GROUP - 1)).collect();
        commit(&mut connection, group, clock.now().millis());
    }
}

fn commit(connection: &mut Connection, group: Vec<Work>, now: i64) {
    let mut pending = Vec::with_capacity(group.len());
    let outcome = write_group(connection, group, now, &mut pending);
    for tell in pending {
        tell(outcome.clone());
    }
}

fn write_group(connection: &mut Connection, group: Vec<Work>, now: i64, pending: &mut Vec<Tell>) -> Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(failed)?;
    for write in group {
        execute(&transaction, "SAVEPOINT one")?;
        // A panic in one write must not take the others, or the writer, with it.
        let done = catch_unwind(AssertUnwindSafe(|| write(&transaction, now)));
        match done {
            Ok(Pending::Done(tell)) => {
                execute(&transaction, "RELEASE one")?;
                pending.push(tell);
            }
            Ok(Pending::Refused) | Err(_) => {
                execute(&transaction, "ROLLBACK TO one")?;
                execute(&transaction, "RELEASE one")?;
            }
        }
    }
    transaction.commit().map_err(failed)
}

fn execute(transaction: &Transaction<'_>, sql: &str) -> Result<()> {
    transaction.prepare_cached(sql).and_then(|mut statement| statement.execute([])).map(|_| ()).map_err(failed)
}

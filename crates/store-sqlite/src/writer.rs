//! The one writer: a thread that owns the writing connection and commits whatever has queued up as one group.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use store::{Clock, Result};
use tokio::sync::oneshot;

use crate::failed;

/// The most writes in one group. Bounds how long the first of them waits for the last.
const GROUP: usize = 256;

/// A pause this long is used to checkpoint.
const IDLE: Duration = Duration::from_millis(500);

/// A write that waits for its group. It runs inside a savepoint of its own: its failure is its own.
trait Work: Send {
    /// Returns how to tell the caller, once the group's fate is known. A caller whose write is refused is told at once.
    fn run(self: Box<Self>, transaction: &Transaction<'_>, now: i64) -> Result<Tell>;
    /// Tells the caller that the group has failed before it came to this write.
    fn refuse(self: Box<Self>, error: store::Error);
}

/// Tells the caller whether the group is durable.
type Tell = Box<dyn FnOnce(Result<()>) + Send>;

struct Write<F, T> {
    write: F,
    tell: oneshot::Sender<Result<T>>,
}

impl<F, T> Work for Write<F, T>
where
    F: FnOnce(&Transaction<'_>, i64) -> Result<T> + Send + 'static,
    T: Send + 'static,
{
    fn run(self: Box<Self>, transaction: &Transaction<'_>, now: i64) -> Result<Tell> {
        let Self { write, tell } = *self;
        // A panic in one write must not take the others, or the writer, with it.
        let done = catch_unwind(AssertUnwindSafe(|| write(transaction, now)));
        match done.unwrap_or_else(|_| Err(failed("the write panicked"))) {
            Ok(value) => Ok(Box::new(move |committed: Result<()>| {
                let _ = tell.send(committed.map(|()| value));
            })),
            Err(error) => {
                let _ = tell.send(Err(error.clone()));
                Err(error)
            }
        }
    }

    fn refuse(self: Box<Self>, error: store::Error) {
        let _ = self.tell.send(Err(error));
    }
}

fn prepare<F, T>(write: F) -> (Box<dyn Work>, oneshot::Receiver<Result<T>>)
where
    F: FnOnce(&Transaction<'_>, i64) -> Result<T> + Send + 'static,
    T: Send + 'static,
{
    let (tell, told) = oneshot::channel();
    (Box::new(Write { write, tell }), told)
}

#[derive(Clone)]
pub(crate) struct Writer {
    queue: Sender<Box<dyn Work>>,
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

    /// Runs `write` in the next group, with the time of the store's clock, and returns when that group is on disk. A write
    /// ends at its first statement that fails: the database may have ended the transaction, and another statement would
    /// stand alone.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Transaction<'_>, i64) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (work, told) = prepare(write);
        self.queue.send(work).map_err(|_| failed("the database's writer has stopped"))?;
        told.await.map_err(|_| failed("the database's writer has stopped"))?
    }
}

/// The moment that is this much after `now`, in milliseconds.
pub(crate) fn later(now: i64, by: Duration) -> i64 {
    now.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX))
}

fn run(mut connection: Connection, work: &Receiver<Box<dyn Work>>, clock: &dyn Clock) {
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
        let group: Vec<_> = std::iter::once(first).chain(work.try_iter().take(GROUP - 1)).collect();
        commit(&mut connection, group, clock.now().millis());
    }
}

/// Writes a group, and tells every caller that has not been told yet: all of them the same.
fn commit(connection: &mut Connection, group: Vec<Box<dyn Work>>, now: i64) {
    let mut written = Vec::with_capacity(group.len());
    let mut group = group.into_iter();
    let outcome = write_group(connection, &mut group, now, &mut written);
    for tell in written {
        tell(outcome.clone());
    }
    if let Err(error) = outcome {
        group.for_each(|work| work.refuse(error.clone()));
    }
}

/// Nothing of the group is written if it fails, and the connection is ready for the next one.
fn write_group(
    connection: &mut Connection,
    group: &mut impl Iterator<Item = Box<dyn Work>>,
    now: i64,
    written: &mut Vec<Tell>,
) -> Result<()> {
    if !connection.is_autocommit() {
        // A roll back has failed before, and the next group has to begin with it.
        connection.execute_batch("ROLLBACK").map_err(failed)?;
    }
    // Rolled back when dropped, unless it was committed or the database has done so already.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    for work in group {
        if let Err(error) = execute(&transaction, "SAVEPOINT one") {
            work.refuse(error.clone());
            return Err(error);
        }
        match work.run(&transaction, now) {
            Ok(tell) => {
                // Before anything else can fail, so that the group's fate is told.
                written.push(tell);
                execute(&transaction, "RELEASE one")?;
            }
            // A disk that is full or broken ends the whole transaction, with what others have written in it.
            Err(error) if transaction.is_autocommit() => return Err(error),
            Err(_) => {
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

#[cfg(test)]
mod tests;

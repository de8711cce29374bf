//! The one way to the database. A statement is answered within a limit, or its connection is given up: a database that hangs
//! ends none, whatever it was told to do about those that take too long.

use std::time::Duration;

use futures::TryStreamExt;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{Execute, Executor, Postgres};
use store::{Error, Result};
use tokio::runtime::Handle;

use crate::PATIENCE;
use crate::failure::{failed, silent, unsettled};

/// A connection, for as long as one needs it. Dropped with an answer still to come, or in a transaction, it is closed: the
/// next to have it would find what is left over. Otherwise it goes back to its pool.
pub(crate) struct Line {
    connection: PoolConnection<Postgres>,
    /// For the answer to one statement.
    limit: Duration,
    is_waiting: bool,
    in_transaction: bool,
}

impl Line {
    pub(crate) async fn of(pool: &PgPool, limit: Duration) -> Result<Self> {
        let connection = pool.acquire().await.map_err(failed)?;
        Ok(Self { connection, limit, is_waiting: false, in_transaction: false })
    }

    /// Begins a transaction, for [`Line::end`] to end.
    pub(crate) async fn begin(mut self, how: &'static str) -> Result<Self> {
        self.in_transaction = true;
        self.execute(how).await?;
        Ok(self)
    }

    /// Commits if it was done, and takes everything back if not.
    pub(crate) async fn end<T>(mut self, done: Result<T>) -> Result<T> {
        self.in_transaction = false;
        match done {
            Ok(done) => self.execute("COMMIT").await.map(|_| done),
            Err(error) => {
                // Without an answer there is nobody to tell, and the connection's end takes everything back, too.
                if !self.is_waiting {
                    let _ = self.execute("ROLLBACK").await;
                }
                Err(error)
            }
        }
    }

    /// A statement that writes. Returns how many rows it has written.
    pub(crate) async fn execute<'q>(&mut self, sql: impl Execute<'q, Postgres> + 'q) -> Result<u64> {
        let done = answered(self.connection.execute(sql), self.limit, &mut self.is_waiting).await;
        done.map(|done| done.rows_affected()).map_err(|error| self.written(error))
    }

    /// A statement that writes, and tells of it.
    pub(crate) async fn returning<'q>(&mut self, sql: impl Execute<'q, Postgres> + 'q) -> Result<Vec<PgRow>> {
        let told = answered(self.connection.fetch_all(sql), self.limit, &mut self.is_waiting).await;
        told.map_err(|error| self.written(error))
    }

    pub(crate) async fn rows<'q>(&mut self, sql: impl Execute<'q, Postgres> + 'q) -> Result<Vec<PgRow>> {
        answered(self.connection.fetch_all(sql), self.limit, &mut self.is_waiting).await.map_err(failed)
    }

    /// The row of a statement that always has one.
    pub(crate) async fn only_row<'q>(&mut self, sql: impl Execute<'q, Postgres> + 'q) -> Result<PgRow> {
        answered(self.connection.fetch_one(sql), self.limit, &mut self.is_waiting).await.map_err(failed)
    }

    /// The row of a statement that may have one.
    pub(crate) async fn row<'q>(&mut self, sql: impl Execute<'q, Postgres> + 'q) -> Result<Option<PgRow>> {
        answered(self.connection.fetch_optional(sql), self.limit, &mut self.is_waiting).await.map_err(failed)
    }

    /// The first rows, up to the one with which they have more than `most` bytes.
    pub(crate) async fn rows_up_to<'q>(
        &mut self,
        sql: impl Execute<'q, Postgres> + 'q,
        most: usize,
        size: fn(&PgRow) -> usize,
    ) -> Result<Vec<PgRow>> {
        let mut found = self.connection.fetch(sql);
        let read = async {
            let (mut rows, mut bytes) = (Vec::new(), 0);
            while let Some(row) = found.try_next().await? {
                bytes += size(&row);
                rows.push(row);
                if bytes > most {
                    break;
                }
            }
            Ok::<_, sqlx::Error>(rows)
        };
        answered(read, self.limit, &mut self.is_waiting).await.map_err(failed)
    }

    /// What became of a write: in a transaction nothing, without one the statement commits by itself.
    fn written(&self, error: sqlx::Error) -> Error {
        if self.in_transaction { failed(error) } else { unsettled(error) }
    }
}

/// Waits for the answer, but not for ever.
async fn answered<T>(
    answer: impl Future<Output = sqlx::Result<T>>,
    limit: Duration,
    is_waiting: &mut bool,
) -> sqlx::Result<T> {
    *is_waiting = true;
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => {
            *is_waiting = false;
            answer
        }
        Err(_) => Err(silent()),
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // A pool tries what it takes back, for ever if nobody limits it. Dropped before that, the connection is closed at
        // once, without a farewell, which might hang as well.
        let back = self.connection.return_to_pool();
        if self.is_waiting || self.in_transaction {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { tokio::time::timeout(PATIENCE, back).await });
        }
    }
}

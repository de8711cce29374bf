//! Durable queues over the `items` table.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Transaction, params};
use store::{Error, Item, Queue, Result, Taken};

use crate::row::time;
use crate::writer::later;
use crate::{SqliteStore, failed};

pub(crate) fn enqueue(transaction: &Transaction<'_>, item: &Item) -> Result<()> {
    let sql = "INSERT INTO items (queue, id, due_at, attempt, body) VALUES (?, ?, ?, 0, ?)
               ON CONFLICT (queue, id) DO NOTHING";
    let values = params![item.queue, item.id, item.due_at.millis(), item.body];
    transaction.prepare_cached(sql).and_then(|mut statement| statement.execute(values)).map(|_| ()).map_err(failed)
}

/// Items that may be taken, with the attempt that taking them would be.
fn due(transaction: &Transaction<'_>, queue: &str, limit: usize, now: i64) -> rusqlite::Result<Vec<Taken>> {
    let sql = "SELECT id, due_at, attempt, body FROM items WHERE queue = ? AND due_at <= ? ORDER BY due_at, id LIMIT ?";
    let mut statement = transaction.prepare_cached(sql)?;
    let values = params![queue, now, i64::try_from(limit).unwrap_or(i64::MAX)];
    let due = statement.query_map(values, |row| {
        let item = Item { queue: queue.to_owned(), id: row.get(0)?, due_at: time(row, 1)?, body: row.get(3)? };
        Ok(Taken { item, attempt: row.get::<_, u32>(2)?.saturating_add(1) })
    })?;
    due.collect()
}

fn take(
    transaction: &Transaction<'_>,
    queue: &str,
    limit: usize,
    now: i64,
    hidden: Duration,
) -> rusqlite::Result<Vec<Taken>> {
    let taken = due(transaction, queue, limit, now)?;
    let sql = "UPDATE items SET attempt = ?, due_at = ? WHERE queue = ? AND id = ?";
    let mut statement = transaction.prepare_cached(sql)?;
    for Taken { item, attempt } in &taken {
        statement.execute(params![attempt, later(now, hidden), queue, item.id])?;
    }
    Ok(taken)
}

#[async_trait]
impl Queue for SqliteStore {
    async fn take(&self, queue: &str, limit: usize, hidden: Duration) -> Result<Vec<Taken>> {
        let queue = queue.to_owned();
        self.writer.write(move |transaction, now| take(transaction, &queue, limit, now, hidden).map_err(failed)).await
    }

    async fn finish(&self, queue: &str, id: &str, attempt: u32) -> Result<()> {
        let (queue, id) = (queue.to_owned(), id.to_owned());
        let write = move |transaction: &Transaction<'_>, _| {
            let sql = "DELETE FROM items WHERE queue = ? AND id = ? AND attempt = ?";
            let mut statement = transaction.prepare_cached(sql).map_err(failed)?;
            found(statement.execute(params![queue, id, attempt]).map_err(failed)?)
        };
        self.writer.write(write).await
    }

    async fn postpone(&self, queue: &str, id: &str, attempt: u32, delay: Duration) -> Result<()> {
        let (queue, id) = (queue.to_owned(), id.to_owned());
        let write = move |transaction: &Transaction<'_>, now| {
            let sql = "UPDATE items SET due_at = ? WHERE queue = ? AND id = ? AND attempt = ?";
            let mut statement = transaction.prepare_cached(sql).map_err(failed)?;
            found(statement.execute(params![later(now, delay), queue, id, attempt]).map_err(failed)?)
        };
        self.writer.write(write).await
    }
}

fn found(count: usize) -> Result<()> {
    match count {
        0 => Err(Error::NotFound),
        _ => Ok(()),
    }
}

//! Durable queues over the `items` table.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row;
use store::{Error, Item, Queue, Result, Taken};

use crate::line::Line;
use crate::row::{signed, text, time};
use crate::{PostgresStore, failed};

pub(crate) async fn enqueue(line: &mut Line, item: &Item) -> Result<()> {
    let sql = "INSERT INTO items (queue, id, due_at, attempt, body) VALUES ($1, $2, $3, 0, $4)
               ON CONFLICT (queue, id) DO NOTHING";
    let sql = sqlx::query(sql)
        .bind(item.queue.clone())
        .bind(item.id.clone())
        .bind(item.due_at.millis())
        .bind(item.body.clone());
    line.execute(sql).await.map(|_| ())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2)
}

fn number(attempt: u32) -> i32 {
    i32::try_from(attempt).unwrap_or(i32::MAX)
}

#[async_trait]
impl Queue for PostgresStore {
    async fn take(&self, queue: &str, limit: usize, hidden: Duration) -> Result<Vec<Taken>> {
        // Asked for once, the time bounds the index; with each row, all that is not due yet would be read too.
        let sql = "WITH due AS (
                     SELECT id, due_at FROM items WHERE queue = $1 AND due_at <= (SELECT stead_now())
                     ORDER BY due_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
                   )
                   UPDATE items SET attempt = attempt + 1, due_at = stead_now() + $3 FROM due
                   WHERE items.queue = $1 AND items.id = due.id
                   RETURNING items.id, due.due_at, attempt, body";
        let sql = sqlx::query(sql).bind(queue.to_owned()).bind(signed(limit as u64)).bind(millis(hidden));
        let rows = self.line().await?.returning(sql).await?;
        let taken = rows.iter().map(|row| {
            let item = Item { queue: queue.to_owned(), id: text(row, 0)?, due_at: time(row, 1)?, body: text(row, 3)? };
            let attempt: i32 = row.try_get(2).map_err(failed)?;
            Ok(Taken { item, attempt: attempt.unsigned_abs() })
        });
        let mut taken: Vec<Taken> = taken.collect::<Result<_>>()?;
        taken.sort_by(|one, other| (one.item.due_at, &one.item.id).cmp(&(other.item.due_at, &other.item.id)));
        Ok(taken)
    }

    async fn finish(&self, queue: &str, id: &str, attempt: u32) -> Result<()> {
        let sql = sqlx::query("DELETE FROM items WHERE queue = $1 AND id = $2 AND attempt = $3");
        let sql = sql.bind(queue.to_owned()).bind(id.to_owned()).bind(number(attempt));
        found(self.line().await?.execute(sql).await?)
    }

    async fn postpone(&self, queue: &str, id: &str, attempt: u32, delay: Duration) -> Result<()> {
        let sql = "UPDATE items SET due_at = stead_now() + $4 WHERE queue = $1 AND id = $2 AND attempt = $3";
        let sql = sqlx::query(sql).bind(queue.to_owned()).bind(id.to_owned()).bind(number(attempt)).bind(millis(delay));
        found(self.line().await?.execute(sql).await?)
    }
}

fn found(count: u64) -> Result<()> {
    match count {
        0 => Err(Error::NotFound),
        _ => Ok(()),
    }
}

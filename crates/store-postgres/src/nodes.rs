//! Nodes over the `nodes` table, and the leases that end with them. Time is the database's.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Row};
use store::{Dead, Error, Known, Node, Nodes, Result};

use crate::row::{number, signed, text};
use crate::{PostgresStore, failed};

/// How many sessions are locked at once, to take a dead owner's name off them.
const BATCH: u64 = 500;

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2)
}

#[async_trait]
impl Nodes for PostgresStore {
    async fn join(&self, node: Node, ttl: Duration) -> Result<()> {
        let sql = "INSERT INTO nodes (id, directory, machine, path, address, expires_at)
                   VALUES ($1, $2, $3, $4, $5, stead_now() + $6) ON CONFLICT (id) DO NOTHING";
        let Node { id, directory, machine, path, address } = node;
        let sql = sqlx::query(sql).bind(id).bind(directory).bind(machine).bind(path).bind(address).bind(millis(ttl));
        match self.beat_line().await?.execute(sql).await? {
            0 => Err(Error::Exists),
            _ => Ok(()),
        }
    }

    async fn beat(&self, id: &str, ttl: Duration) -> Result<()> {
        let sql = "UPDATE nodes SET expires_at = stead_now() + $2 WHERE id = $1 AND expires_at > stead_now()";
        let sql = sqlx::query(sql).bind(id.to_owned()).bind(millis(ttl));
        match self.beat_line().await?.execute(sql).await? {
            0 => Err(Error::NotFound),
            _ => Ok(()),
        }
    }

    async fn nodes(&self) -> Result<Vec<Known>> {
        let sql = "SELECT id, directory, machine, path, address, expires_at <= stead_now() FROM nodes ORDER BY id";
        let rows = self.beat_line().await?.rows(sqlx::query(sql)).await?;
        let known = rows.iter().map(|row| {
            let node = Node {
                id: text(row, 0)?,
                directory: text(row, 1)?,
                machine: text(row, 2)?,
                path: text(row, 3)?,
                address: row.try_get(4).map_err(failed)?,
            };
            Ok(Known { node, is_expired: row.try_get(5).map_err(failed)? })
        });
        known.collect()
    }

    async fn bury(&self, dead: Dead) -> Result<u64> {
        let which = match &dead {
            Dead::Expired => "expires_at <= stead_now()",
            Dead::Node(_) => "id = $1",
            Dead::Before { .. } => "directory = $1 AND id <> $2 AND EXISTS (SELECT 1 FROM nodes own WHERE own.id = $2)",
        };
        // It commits by itself, and with it the leases are free: who is no node owns nothing, whatever a session says.
        let sql = format!(
            "DELETE FROM nodes WHERE {which}
             RETURNING id, (SELECT count(*) FROM sessions WHERE lease_owner = nodes.id)"
        );
        let sql = sqlx::query(AssertSqlSafe(sql));
        let sql = match dead {
            Dead::Expired => sql,
            Dead::Node(id) => sql.bind(id),
            Dead::Before { directory, id } => sql.bind(directory).bind(id),
        };
        let rows = self.beat_line().await?.returning(sql).await?;
        let buried: Vec<String> = rows.iter().map(|row| text(row, 0)).collect::<Result<_>>()?;
        let freed = rows.iter().map(|row| number(row, 1)).sum::<Result<u64>>()?;
        if freed == 0 {
            return Ok(0);
        }
        // The rest is tidiness. Sessions that are locked are passed over: it may be the dead themselves who stand still in
        // the middle of a transaction.
        let sql = "WITH free AS (
                     SELECT id FROM sessions WHERE lease_owner = ANY($1) LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
                   )
                   UPDATE sessions SET lease_owner = NULL FROM free WHERE sessions.id = free.id";
        loop {
            // A connection for each batch: heartbeats come in between.
            let batch = sqlx::query(sql).bind(buried.clone()).bind(signed(BATCH));
            if self.beat_line().await?.execute(batch).await? < BATCH {
                return Ok(freed);
            }
        }
    }
}

//! Nodes over the `nodes` table, and the leases that end with them. Time is the database's.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row;
use store::{Dead, Error, Known, Node, Nodes, Result};

use crate::row::text;
use crate::{PostgresStore, failed};

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
        match sql.execute(&self.pool).await.map_err(failed)?.rows_affected() {
            0 => Err(Error::Exists),
            _ => Ok(()),
        }
    }

    async fn beat(&self, id: &str, ttl: Duration) -> Result<()> {
        let sql = "UPDATE nodes SET expires_at = stead_now() + $2 WHERE id = $1 AND expires_at > stead_now()";
        let sql = sqlx::query(sql).bind(id.to_owned()).bind(millis(ttl));
        match sql.execute(&self.pool).await.map_err(failed)?.rows_affected() {
            0 => Err(Error::NotFound),
            _ => Ok(()),
        }
    }

    async fn nodes(&self) -> Result<Vec<Known>> {
        let sql = "SELECT id, directory, machine, path, address, expires_at <= stead_now() FROM nodes ORDER BY id";
        let rows = sqlx::query(sql).fetch_all(&self.pool).await.map_err(failed)?;
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
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        // The registrations go first: an append that still counts on one waits for this, or was before it.
        let sql = match &dead {
            Dead::Expired => sqlx::query("DELETE FROM nodes WHERE expires_at <= stead_now() RETURNING id"),
            Dead::Node(id) => sqlx::query("DELETE FROM nodes WHERE id = $1 RETURNING id").bind(id.clone()),
            Dead::Before { directory, id } => {
                let sql = "DELETE FROM nodes WHERE directory = $1 AND id <> $2 RETURNING id";
                sqlx::query(sql).bind(directory.clone()).bind(id.clone())
            }
        };
        let rows = sql.fetch_all(&mut *transaction).await.map_err(failed)?;
        let buried: Vec<String> = rows.iter().map(|row| text(row, 0)).collect::<Result<_>>()?;
        let sql = sqlx::query("UPDATE sessions SET lease_owner = NULL WHERE lease_owner = ANY($1)").bind(buried);
        let freed = sql.execute(&mut *transaction).await.map_err(failed)?.rows_affected();
        transaction.commit().await.map_err(failed)?;
        Ok(freed)
    }
}

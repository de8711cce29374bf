//! Nodes over the `nodes` table, and the leases that end with them.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Transaction, params, params_from_iter};
use store::{Dead, Error, Known, Node, Nodes, Result};

use crate::writer::later;
use crate::{SqliteStore, failed};

/// Whether the node is registered and its time is not over. Every append of a brain asks.
pub(crate) fn lives(transaction: &Transaction<'_>, id: &str, now: i64) -> Result<bool> {
    let sql = "SELECT 1 FROM nodes WHERE id = ? AND expires_at > ?";
    let found = transaction.prepare_cached(sql).and_then(|mut statement| statement.exists(params![id, now]));
    found.map_err(failed)
}

fn join(transaction: &Transaction<'_>, node: &Node, expires_at: i64) -> Result<()> {
    let sql = "INSERT INTO nodes (id, directory, machine, path, address, expires_at) VALUES (?, ?, ?, ?, ?, ?)
               ON CONFLICT (id) DO NOTHING";
    let values = params![node.id, node.directory, node.machine, node.path, node.address, expires_at];
    match transaction.execute(sql, values).map_err(failed)? {
        0 => Err(Error::Exists),
        _ => Ok(()),
    }
}

fn bury(transaction: &Transaction<'_>, dead: Dead, now: i64) -> Result<u64> {
    let (are_dead, values) = match dead {
        Dead::Expired => ("expires_at <= ?", vec![Value::from(now)]),
        Dead::Node(id) => ("id = ?", vec![id.into()]),
        Dead::Before { directory, id } => {
            let others = "directory = ?1 AND id <> ?2 AND EXISTS (SELECT 1 FROM nodes own WHERE own.id = ?2)";
            (others, vec![directory.into(), id.into()])
        }
    };
    let sql =
        format!("UPDATE sessions SET lease_owner = NULL WHERE lease_owner IN (SELECT id FROM nodes WHERE {are_dead})");
    let freed = transaction.execute(&sql, params_from_iter(&values)).map_err(failed)?;
    let sql = format!("DELETE FROM nodes WHERE {are_dead}");
    transaction.execute(&sql, params_from_iter(&values)).map_err(failed)?;
    Ok(freed as u64)
}

#[async_trait]
impl Nodes for SqliteStore {
    async fn join(&self, node: Node, ttl: Duration) -> Result<()> {
        self.writer.write(move |transaction, now| join(transaction, &node, later(now, ttl))).await
    }

    async fn beat(&self, id: &str, ttl: Duration) -> Result<()> {
        let id = id.to_owned();
        let write = move |transaction: &Transaction<'_>, now| {
            let sql = "UPDATE nodes SET expires_at = ? WHERE id = ? AND expires_at > ?";
            let mut statement = transaction.prepare_cached(sql).map_err(failed)?;
            match statement.execute(params![later(now, ttl), id, now]).map_err(failed)? {
                0 => Err(Error::NotFound),
                _ => Ok(()),
            }
        };
        self.writer.write(write).await
    }

    async fn nodes(&self) -> Result<Vec<Known>> {
        let now = self.clock.now().millis();
        self.read(move |connection| {
            let sql = "SELECT id, directory, machine, path, address, expires_at FROM nodes ORDER BY id";
            let mut statement = connection.prepare_cached(sql)?;
            let known = statement.query_map([], |row| {
                let node = Node {
                    id: row.get(0)?,
                    directory: row.get(1)?,
                    machine: row.get(2)?,
                    path: row.get(3)?,
                    address: row.get(4)?,
                };
                Ok(Known { node, is_expired: row.get::<_, i64>(5)? <= now })
            })?;
            known.collect()
        })
        .await
    }

    async fn bury(&self, dead: Dead) -> Result<u64> {
        self.writer.write(move |transaction, now| bury(transaction, dead, now)).await
    }
}

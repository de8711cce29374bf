//! The session log over the `sessions` and `log` tables.

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Transaction, params, params_from_iter};
use session::Stored;
use store::{Append, Appended, Error, Lease, Page, Read, Result, SessionHead, SessionLog, Shown};
use wire::{SessionId, WorkspaceId};

use crate::row::{parsed, stored, summary, time, visibility_columns};
use crate::{SqliteStore, catalog, failed};

struct Header {
    head: u64,
    epoch: u64,
    owner: Option<String>,
}

fn header(transaction: &Transaction<'_>, session: &str) -> Result<Header> {
    let sql = "SELECT head, epoch, lease_owner FROM sessions WHERE id = ?";
    let mut statement = transaction.prepare_cached(sql).map_err(failed)?;
    let found =
        statement.query_row([session], |row| Ok(Header { head: row.get(0)?, epoch: row.get(1)?, owner: row.get(2)? }));
    found.optional().map_err(failed)?.ok_or(Error::NotFound)
}

fn append(transaction: &Transaction<'_>, append: Append) -> Result<Appended> {
    let session = append.session.to_string();
    let Header { head, epoch, owner } = header(transaction, &session)?;
    let (epoch, owner) = match append.lease {
        Lease::None => (epoch, owner),
        Lease::Claim { owner: claimant } => match owner {
            Some(owner) if owner != claimant => return Err(Error::Fenced { epoch }),
            _ => (epoch + 1, Some(claimant)),
        },
        Lease::Hold { epoch: held } if held == epoch && owner.is_some() => (epoch, owner),
        Lease::Release { epoch: held } if held == epoch && owner.is_some() => (epoch, None),
        Lease::Hold { .. } | Lease::Release { .. } => return Err(Error::Fenced { epoch }),
    };
    if head != append.expected_head {
        return Err(Error::Conflict { head });
    }
    insert(transaction, &session, &append.rows)?;
    let head = head + append.rows.len() as u64;
    let sql =
        "UPDATE sessions SET head = ?, epoch = ?, lease_owner = ?, status = ?, runnable = ?, summary = ? WHERE id = ?";
    let summary = serde_json::to_string(&append.summary).map_err(failed)?;
    let values = params![head, epoch, owner, append.summary.status.name(), append.runnable, summary, session];
    transaction.prepare_cached(sql).and_then(|mut statement| statement.execute(values)).map_err(failed)?;
    catalog::apply(transaction, append.changes)?;
    Ok(Appended { head, epoch })
}

fn insert(transaction: &Transaction<'_>, session: &str, rows: &[Stored]) -> Result<()> {
    let sql = "INSERT INTO log (session, position, id, thread, at, kind, visibility, refers, body, private)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let mut statement = transaction.prepare_cached(sql).map_err(failed)?;
    for row in rows {
        let (visibility, refers) = visibility_columns(row.visibility);
        let values = params![
            session,
            row.position,
            row.id.to_string(),
            row.thread.to_string(),
            row.at.millis(),
            row.kind,
            visibility,
            refers,
            &*row.body,
            row.private,
        ];
        statement.execute(values).map_err(failed)?;
    }
    Ok(())
}

fn create(transaction: &Transaction<'_>, workspace: WorkspaceId, append: Append) -> Result<Appended> {
    let session = append.session.to_string();
    let head = append.rows.len() as u64;
    insert(transaction, &session, &append.rows)?;
    let sql = "INSERT INTO sessions (id, workspace, head, epoch, lease_owner, status, runnable, summary)
               VALUES (?, ?, ?, 0, NULL, ?, ?, ?)";
    let summary = serde_json::to_string(&append.summary).map_err(failed)?;
    let values = params![session, workspace.to_string(), head, append.summary.status.name(), append.runnable, summary];
    transaction.prepare_cached(sql).and_then(|mut statement| statement.execute(values)).map_err(failed)?;
    catalog::apply(transaction, append.changes)?;
    Ok(Appended { head, epoch: 0 })
}

/// The events that clients see, with their place in the order: `late` is 0 for processed ones, 1 for those that wait.
const SHOWN: &str = "
    SELECT 0 AS late, l.position AS place, l.position AS arrived, l.id, l.thread, l.kind, l.body, l.at AS processed_at
    FROM log l WHERE l.session = ?1 AND l.visibility = 1
  UNION ALL
    SELECT 0, l.position, w.position, w.id, w.thread, w.kind, w.body, l.at
    FROM log l JOIN log w ON w.session = l.session AND w.position = l.refers
    WHERE l.session = ?1 AND l.visibility = 3
  UNION ALL
    SELECT 1, w.position, w.position, w.id, w.thread, w.kind, w.body, NULL
    FROM log w WHERE w.session = ?1 AND w.visibility = 2
      AND NOT EXISTS (SELECT 1 FROM log l WHERE l.session = w.session AND l.refers = w.position)";

fn select(session: SessionId, read: &Read) -> (String, Vec<Value>) {
    let mut conditions = Vec::new();
    let mut values = vec![Value::from(session.to_string())];
    let mut bind = |value: Value| {
        values.push(value);
        format!("?{}", values.len())
    };
    if let Some(thread) = read.thread {
        conditions.push(format!("thread = {}", bind(thread.to_string().into())));
    }
    if !read.kinds.is_empty() {
        let kinds: Vec<_> = read.kinds.iter().map(|kind| bind(kind.clone().into())).collect();
        conditions.push(format!("kind IN ({})", kinds.join(", ")));
    }
    if let Some(from) = read.from {
        conditions.push(format!("processed_at >= {}", bind(from.millis().into())));
    }
    if let Some(to) = read.to {
        conditions.push(format!("processed_at <= {}", bind(to.millis().into())));
    }
    let (comparison, direction) = if read.descending { ("<", "DESC") } else { (">", "ASC") };
    if let Some(after) = read.after {
        let (late, place) = match after {
            Shown::At(place) => (0, place),
            Shown::Waiting(place) => (1, place),
        };
        let place = i64::try_from(place).unwrap_or(i64::MAX);
        conditions.push(format!("(late, place) {comparison} ({late}, {})", bind(place.into())));
    }
    let limit = bind(i64::try_from(read.limit).unwrap_or(i64::MAX).into());
    let condition = if conditions.is_empty() { "1".to_owned() } else { conditions.join(" AND ") };
    let sql = format!(
        "SELECT late, place, arrived, id, thread, kind, body, processed_at FROM ({SHOWN})
         WHERE {condition} ORDER BY late {direction}, place {direction} LIMIT {limit}"
    );
    (sql, values)
}

#[async_trait]
impl SessionLog for SqliteStore {
    async fn create_session(&self, workspace: WorkspaceId, append: Append) -> Result<Appended> {
        self.writer.write(move |transaction, _| create(transaction, workspace, append)).await
    }

    async fn append(&self, rows: Append) -> Result<Appended> {
        self.writer.write(move |transaction, _| append(transaction, rows)).await
    }

    async fn rows(&self, session: SessionId, after: u64, limit: usize) -> Result<Vec<Stored>> {
        self.read(move |connection| {
            let sql = "SELECT position, id, thread, at, kind, visibility, refers, body, private FROM log
                       WHERE session = ? AND position > ? ORDER BY position LIMIT ?";
            let mut statement = connection.prepare_cached(sql)?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            statement.query_map(params![session.to_string(), after, limit], stored)?.collect()
        })
        .await
    }

    async fn list(&self, session: SessionId, read: Read) -> Result<Vec<Page>> {
        self.read(move |connection| {
            let (sql, values) = select(session, &read);
            let mut statement = connection.prepare_cached(&sql)?;
            let pages = statement.query_map(params_from_iter(values), |row| {
                let late: bool = row.get(0)?;
                let place = row.get(1)?;
                let processed_at = if late { None } else { Some(time(row, 7)?) };
                Ok(Page {
                    shown: if late { Shown::Waiting(place) } else { Shown::At(place) },
                    arrived: row.get(2)?,
                    id: parsed(row, 3)?,
                    thread: parsed(row, 4)?,
                    kind: row.get(5)?,
                    body: row.get_ref(6)?.as_str()?.into(),
                    processed_at,
                })
            })?;
            pages.collect()
        })
        .await
    }

    async fn head(&self, session: SessionId) -> Result<SessionHead> {
        let found = self.read(move |connection| {
            let sql = "SELECT workspace, head, epoch, summary, runnable FROM sessions WHERE id = ?";
            let mut statement = connection.prepare_cached(sql)?;
            let head = statement.query_row([session.to_string()], |row| {
                Ok(SessionHead {
                    workspace: parsed(row, 0)?,
                    head: row.get(1)?,
                    epoch: row.get(2)?,
                    summary: summary(row, 3)?,
                    runnable: row.get(4)?,
                })
            });
            head.optional()
        });
        found.await?.ok_or(Error::NotFound)
    }

    async fn runnable(&self, limit: usize) -> Result<Vec<SessionId>> {
        self.read(move |connection| {
            let sql = "SELECT id FROM sessions WHERE runnable = 1 AND lease_owner IS NULL LIMIT ?";
            let mut statement = connection.prepare_cached(sql)?;
            statement.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| parsed(row, 0))?.collect()
        })
        .await
    }

    async fn reclaim(&self) -> Result<u64> {
        // The lock on the data directory proves that every owner of before is dead.
        let sql = "UPDATE sessions SET lease_owner = NULL WHERE lease_owner IS NOT NULL";
        self.writer
            .write(move |transaction, _| transaction.execute(sql, []).map(|count| count as u64).map_err(failed))
            .await
    }

    async fn cover(&self, session: SessionId, key: &str, position: u64) -> Result<()> {
        let key = key.to_owned();
        let sql = "INSERT INTO coverage (session, key, position) SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM sessions WHERE id = ?1)
                   ON CONFLICT (session, key) DO UPDATE SET position = max(position, excluded.position)";
        let write = move |transaction: &Transaction<'_>, _| {
            let values = params![session.to_string(), key, position];
            transaction
                .prepare_cached(sql)
                .and_then(|mut statement| statement.execute(values))
                .map(|_| ())
                .map_err(failed)
        };
        self.writer.write(write).await
    }

    async fn covered(&self, session: SessionId, key: &str) -> Result<u64> {
        let key = key.to_owned();
        let sql = "SELECT position FROM coverage WHERE session = ? AND key = ?";
        let read = move |connection: &rusqlite::Connection| {
            connection.prepare_cached(sql)?.query_row(params![session.to_string(), key], |row| row.get(0)).optional()
        };
        Ok(self.read(read).await?.unwrap_or(0))
    }

    async fn first_input_after(&self, session: SessionId, position: u64) -> Result<Option<u64>> {
        self.read(move |connection| {
            let sql = "SELECT min(position) FROM log WHERE session = ? AND position > ?
                       AND (visibility = 2 OR (visibility = 1 AND kind GLOB 'user.*'))";
            connection.prepare_cached(sql)?.query_row(params![session.to_string(), position], |row| row.get(0))
        })
        .await
    }

    async fn delete_session(&self, session: SessionId) -> Result<()> {
        let write = move |transaction: &Transaction<'_>, _| {
            let id = session.to_string();
            let sql = "SELECT workspace, runnable FROM sessions WHERE id = ?";
            let found = transaction.query_row(sql, [&id], |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?)));
            let (workspace, runnable) = found.optional().map_err(failed)?.ok_or(Error::NotFound)?;
            if runnable {
                return Err(Error::InUse);
            }
            for sql in [
                "DELETE FROM log WHERE session = ?",
                "DELETE FROM coverage WHERE session = ?",
                "DELETE FROM sessions WHERE id = ?",
            ] {
                transaction.execute(sql, [&id]).map_err(failed)?;
            }
            let sql = "DELETE FROM documents WHERE workspace = ?1 AND (kind = 'session' AND id = ?2 OR kind = 'file' AND parent = ?2)";
            transaction.execute(sql, params![workspace, id]).map(|_| ()).map_err(failed)
        };
        self.writer.write(write).await
    }
}

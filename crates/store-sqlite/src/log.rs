//! The session log over the `sessions` and `log` tables.

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Transaction, params, params_from_iter};
use session::{Stored, Visibility};
use store::{Append, Appended, Error, Lease, Page, Read, Result, SessionHead, SessionLog, Shown};
use wire::{SessionId, Timestamp, WorkspaceId};

use crate::row::{parsed, stored, summary, visibility_columns};
use crate::{SqliteStore, catalog, failed};

/// The most bytes of rows that are read at once, give or take one row.
const MOST_BYTES: usize = 8 << 20;

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
        let moved = match row.visibility {
            Visibility::Waiting => Some(("INSERT INTO waiting (session, position) VALUES (?, ?)", row.position)),
            Visibility::Processes(of) => Some(("DELETE FROM waiting WHERE session = ? AND position = ?", of)),
            Visibility::Private | Visibility::Shown => None,
        };
        if let Some((sql, position)) = moved {
            let mut statement = transaction.prepare_cached(sql).map_err(failed)?;
            statement.execute(params![session, position]).map_err(failed)?;
        }
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

/// Events that are processed, by the row that shows them. A row that processes an input repeats its id, thread and kind, and
/// has its body from there.
const PROCESSED: &str = "
    SELECT l.position, coalesce(l.refers, l.position), l.id, l.thread, l.kind,
           CASE WHEN l.visibility = 3 THEN w.body ELSE l.body END, l.at
    FROM log l LEFT JOIN log w ON w.session = ?1 AND w.position = l.refers
    WHERE l.session = ?1 AND l.visibility IN (1, 3)";

/// Inputs that wait.
const WAITING: &str = "
    SELECT l.position, l.position, l.id, l.thread, l.kind, l.body, NULL
    FROM waiting w JOIN log l ON l.session = w.session AND l.position = w.position
    WHERE w.session = ?1";

/// A page's statement over one of the two: each streams from its index, whatever the length of the log.
fn select(session: SessionId, read: &Read, from: &str, after: Option<u64>, limit: usize) -> (String, Vec<Value>) {
    let mut conditions = String::new();
    let mut values = vec![Value::from(session.to_string())];
    let mut bind = |condition: &str, value: Value| {
        values.push(value);
        conditions.push_str(&format!(" AND {condition} ?{}", values.len()));
    };
    if let Some(thread) = read.thread {
        bind("l.thread =", thread.to_string().into());
    }
    if let Some(from) = read.from {
        bind("l.at >=", from.millis().into());
    }
    if let Some(to) = read.to {
        bind("l.at <=", to.millis().into());
    }
    let (comparison, direction) = if read.descending { ("l.position <", "DESC") } else { ("l.position >", "ASC") };
    if let Some(after) = after {
        bind(comparison, i64::try_from(after).unwrap_or(i64::MAX).into());
    }
    if !read.kinds.is_empty() {
        let first = values.len() + 1;
        values.extend(read.kinds.iter().map(|kind| Value::from(kind.clone())));
        let places: Vec<_> = (first..=values.len()).map(|place| format!("?{place}")).collect();
        conditions.push_str(&format!(" AND l.kind IN ({})", places.join(", ")));
    }
    (format!("{from}{conditions} ORDER BY l.position {direction} LIMIT {limit}"), values)
}

/// Reads at most `limit` events of one of the two.
fn pages(
    connection: &rusqlite::Connection,
    (sql, values): (String, Vec<Value>),
    shown: fn(u64) -> Shown,
    pages: &mut Vec<Page>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    while let Some(row) = rows.next()? {
        let processed_at = row.get::<_, Option<i64>>(6)?.map(Timestamp::from_millis);
        pages.push(Page {
            shown: shown(row.get(0)?),
            arrived: row.get(1)?,
            id: parsed(row, 2)?,
            thread: parsed(row, 3)?,
            kind: row.get(4)?,
            body: row.get_ref(5)?.as_str()?.into(),
            processed_at,
        });
    }
    Ok(())
}

/// A page of what clients see: processed events, with those that wait behind them all.
fn list(connection: &rusqlite::Connection, session: SessionId, read: &Read) -> rusqlite::Result<Vec<Page>> {
    let mut found = Vec::new();
    // One moment for both: an input that is taken up in between would be in neither.
    let transaction = connection.unchecked_transaction()?;
    let timed = read.from.is_some() || read.to.is_some();
    let read_part = |waiting: bool, found: &mut Vec<Page>| {
        // SQLite counts in signed numbers.
        let left = (read.limit - found.len()).min(i32::MAX as usize);
        let after = match (read.after, waiting) {
            (Some(Shown::At(position)), false) | (Some(Shown::Waiting(position)), true) => Some(position),
            // The part that comes first in this order is done.
            (Some(Shown::At(_)), true) if read.descending => return Ok(()),
            (Some(Shown::Waiting(_)), false) if !read.descending => return Ok(()),
            _ => None,
        };
        if left == 0 || (waiting && timed) {
            return Ok(());
        }
        let (from, shown): (_, fn(u64) -> Shown) =
            if waiting { (WAITING, Shown::Waiting) } else { (PROCESSED, Shown::At) };
        pages(&transaction, select(session, read, from, after, left), shown, found)
    };
    read_part(read.descending, &mut found)?;
    read_part(!read.descending, &mut found)?;
    Ok(found)
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
            let mut rows = Vec::new();
            let mut bytes = 0;
            for row in statement.query_map(params![session.to_string(), after, limit], stored)? {
                let row = row?;
                bytes += row.body.len() + row.private.len();
                rows.push(row);
                // Rows can be large, and whoever reads asks again until there are none.
                if bytes > MOST_BYTES {
                    break;
                }
            }
            Ok(rows)
        })
        .await
    }

    async fn list(&self, session: SessionId, read: Read) -> Result<Vec<Page>> {
        self.read(move |connection| list(connection, session, &read)).await
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
                "DELETE FROM waiting WHERE session = ?",
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

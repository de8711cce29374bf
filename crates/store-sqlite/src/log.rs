//! The session log over the `sessions` and `log` tables.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use session::{Stored, Visibility};
use store::{Append, Appended, Error, Lease, Page, Read, Result, SessionHead, SessionLog, Snapshot};
use wire::{SessionId, WorkspaceId};

use crate::pool::MOST_BYTES;
use crate::row::{parsed, stored, summary, visibility_columns};
use crate::{SqliteStore, catalog, failed, list, nodes, snapshots};

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

/// The epoch and the owner after an append with this lease.
fn leased(transaction: &Transaction<'_>, header: Header, lease: Lease, now: i64) -> Result<(u64, Option<String>)> {
    let Header { epoch, owner, .. } = header;
    let (next, node, keeps) = match (lease, owner) {
        (Lease::None, owner) => return Ok((epoch, owner)),
        (Lease::Claim { owner: claimant }, owner) if owner.as_ref().is_none_or(|owner| *owner == claimant) => {
            (epoch + 1, claimant, true)
        }
        (Lease::Hold { epoch: held }, Some(owner)) if held == epoch => (epoch, owner, true),
        (Lease::Release { epoch: held }, Some(owner)) if held == epoch => (epoch, owner, false),
        (Lease::Claim { .. } | Lease::Hold { .. } | Lease::Release { .. }, _) => return Err(Error::Fenced { epoch }),
    };
    // Whoever claims, holds or releases is a node that lives.
    if !nodes::lives(transaction, &node, now)? {
        return Err(Error::Fenced { epoch });
    }
    Ok((next, keeps.then_some(node)))
}

/// Rows are dense: none is taken that does not follow on the one before it.
pub(crate) fn check_numbers(head: u64, rows: &[Stored]) -> Result<()> {
    match rows.iter().zip(head + 1..).find(|(row, number)| row.position != *number) {
        Some((row, number)) => Err(failed(format!("the row for position {number} says {}", row.position))),
        None => Ok(()),
    }
}

fn append(transaction: &Transaction<'_>, append: Append, now: i64) -> Result<Appended> {
    let session = append.session.to_string();
    let header = header(transaction, &session)?;
    let head = header.head;
    let (epoch, owner) = leased(transaction, header, append.lease, now)?;
    if head != append.expected_head {
        return Err(Error::Conflict { head });
    }
    check_numbers(head, &append.rows)?;
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

pub(crate) fn insert(transaction: &Transaction<'_>, session: &str, rows: &[Stored]) -> Result<()> {
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

/// Makes the header of a session whose lease is free.
pub(crate) fn insert_header(transaction: &Transaction<'_>, session: &str, header: &SessionHead) -> Result<()> {
    let sql = "INSERT INTO sessions (id, workspace, head, epoch, lease_owner, status, runnable, summary)
               VALUES (?, ?, ?, ?, NULL, ?, ?, ?)";
    let summary = serde_json::to_string(&header.summary).map_err(failed)?;
    let values = params![
        session,
        header.workspace.to_string(),
        header.head,
        header.epoch,
        header.summary.status.name(),
        header.runnable,
        summary,
    ];
    transaction.prepare_cached(sql).and_then(|mut statement| statement.execute(values)).map(|_| ()).map_err(failed)
}

fn create(transaction: &Transaction<'_>, workspace: WorkspaceId, append: Append) -> Result<Appended> {
    let Append { session, expected_head, rows, summary, runnable, changes, .. } = append;
    if expected_head != 0 {
        return Err(Error::Conflict { head: 0 });
    }
    check_numbers(0, &rows)?;
    let (session, head) = (session.to_string(), rows.len() as u64);
    insert_header(transaction, &session, &SessionHead { workspace, head, epoch: 0, summary, runnable })?;
    insert(transaction, &session, &rows)?;
    catalog::apply(transaction, changes)?;
    Ok(Appended { head, epoch: 0 })
}

pub(crate) fn cover(transaction: &Transaction<'_>, session: SessionId, key: &str, position: u64) -> Result<()> {
    let sql = "INSERT INTO coverage (session, key, position)
               SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM sessions WHERE id = ?1)
               ON CONFLICT (session, key) DO UPDATE SET position = max(position, excluded.position)";
    let values = params![session.to_string(), key, position];
    transaction.prepare_cached(sql).and_then(|mut statement| statement.execute(values)).map(|_| ()).map_err(failed)
}

/// The heads of those sessions that exist, all of one moment.
fn heads(connection: &Connection, sessions: Vec<SessionId>) -> rusqlite::Result<Vec<(SessionId, u64)>> {
    let transaction = connection.unchecked_transaction()?;
    let mut statement = transaction.prepare_cached("SELECT head FROM sessions WHERE id = ?")?;
    let mut heads = Vec::with_capacity(sessions.len());
    for session in sessions {
        let head: Option<u64> = statement.query_row([session.to_string()], |row| row.get(0)).optional()?;
        heads.extend(head.map(|head| (session, head)));
    }
    Ok(heads)
}

fn delete(transaction: &Transaction<'_>, session: SessionId) -> Result<()> {
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
        "DELETE FROM snapshots WHERE session = ?",
        "DELETE FROM answers WHERE subject = ?",
        "DELETE FROM sessions WHERE id = ?",
    ] {
        transaction.execute(sql, [&id]).map_err(failed)?;
    }
    let sql = "DELETE FROM documents
               WHERE workspace = ?1 AND (kind = 'session' AND id = ?2 OR kind = 'file' AND parent = ?2
                 OR kind = 'work' AND refers = ?2)";
    transaction.execute(sql, params![workspace, id]).map(|_| ()).map_err(failed)
}

#[async_trait]
impl SessionLog for SqliteStore {
    async fn create_session(&self, workspace: WorkspaceId, append: Append) -> Result<Appended> {
        self.writer.write(move |transaction, _| create(transaction, workspace, append)).await
    }

    async fn append(&self, rows: Append) -> Result<Appended> {
        self.writer.write(move |transaction, now| append(transaction, rows, now)).await
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
        self.read(move |connection| list::list(connection, session, &read)).await
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

    async fn heads(&self, sessions: Vec<SessionId>) -> Result<Vec<(SessionId, u64)>> {
        self.read(move |connection| heads(connection, sessions)).await
    }

    async fn snapshot(&self, session: SessionId) -> Result<Option<Snapshot>> {
        self.read(move |connection| snapshots::find(connection, session)).await
    }

    async fn keep_snapshot(&self, session: SessionId, snapshot: Snapshot) -> Result<()> {
        self.writer.write(move |transaction, _| snapshots::keep(transaction, session, &snapshot)).await
    }

    async fn runnable(&self, limit: usize) -> Result<Vec<SessionId>> {
        self.read(move |connection| {
            let sql = "SELECT id FROM sessions WHERE runnable = 1 AND lease_owner IS NULL LIMIT ?";
            let mut statement = connection.prepare_cached(sql)?;
            statement.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| parsed(row, 0))?.collect()
        })
        .await
    }

    async fn leased(&self, owner: &str) -> Result<Vec<SessionId>> {
        let owner = owner.to_owned();
        self.read(move |connection| {
            let sql = "SELECT id FROM sessions WHERE runnable = 1 AND lease_owner = ?";
            connection.prepare_cached(sql)?.query_map([owner], |row| parsed(row, 0))?.collect()
        })
        .await
    }

    async fn cover(&self, session: SessionId, key: &str, position: u64) -> Result<()> {
        let key = key.to_owned();
        self.writer.write(move |transaction, _| cover(transaction, session, &key, position)).await
    }

    async fn covered(&self, session: SessionId, key: &str) -> Result<u64> {
        let key = key.to_owned();
        let sql = "SELECT position FROM coverage WHERE session = ? AND key = ?";
        let read = move |connection: &Connection| {
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
        self.writer.write(move |transaction, _| delete(transaction, session)).await
    }
}

//! What requests were answered, one answer to a name.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use store::{Answer, Attempt, Error, Result};
use wire::{Timestamp, WorkspaceId};

use crate::failed;
use crate::row::{parsed, time};

/// The columns of [`answer`], in its order.
pub(crate) const ANSWER: &str =
    "workspace, name, fingerprint, attempt, follows, repetition, status, body, at, expires_at, subject";

pub(crate) fn answer(row: &Row<'_>) -> rusqlite::Result<Answer> {
    Ok(Answer {
        workspace: parsed(row, 0)?,
        name: row.get(1)?,
        fingerprint: row.get(2)?,
        attempt: Attempt { id: row.get(3)?, follows: row.get(4)?, repetition: row.get(5)? },
        status: row.get(6)?,
        body: row.get(7)?,
        at: time(row, 8)?,
        expires_at: time(row, 9)?,
        subject: row.get::<_, Option<String>>(10)?.map(|_| parsed(row, 10)).transpose()?,
    })
}

pub(crate) fn remember(transaction: &Transaction<'_>, answer: &Answer) -> Result<()> {
    // As `Attempt::may_follow` has it.
    let sql = "INSERT INTO answers (workspace, name, fingerprint, attempt, follows, repetition, status, body, at,
                 expires_at, subject)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
               ON CONFLICT (workspace, name) DO UPDATE SET
                 fingerprint = excluded.fingerprint, attempt = excluded.attempt, follows = excluded.follows,
                 repetition = excluded.repetition, status = excluded.status, body = excluded.body, at = excluded.at,
                 expires_at = excluded.expires_at, subject = excluded.subject
               WHERE answers.attempt <> excluded.attempt
                 AND (answers.attempt IS excluded.follows OR answers.repetition IS excluded.repetition)";
    let values = params![
        answer.workspace.to_string(),
        answer.name,
        answer.fingerprint,
        answer.attempt.id,
        answer.attempt.follows,
        answer.attempt.repetition,
        answer.status,
        answer.body,
        answer.at.millis(),
        answer.expires_at.millis(),
        answer.subject.map(|session| session.to_string()),
    ];
    let mut statement = transaction.prepare_cached(sql).map_err(failed)?;
    match statement.execute(values).map_err(failed)? {
        0 => Err(Error::Exists),
        _ => Ok(()),
    }
}

pub(crate) fn find(connection: &Connection, workspace: WorkspaceId, name: &str) -> rusqlite::Result<Option<Answer>> {
    let sql = format!("SELECT {ANSWER} FROM answers WHERE workspace = ? AND name = ?");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_row(params![workspace.to_string(), name], answer).optional()
}

pub(crate) fn forget(transaction: &Transaction<'_>, now: Timestamp) -> Result<u64> {
    let forgotten = transaction.execute("DELETE FROM answers WHERE expires_at <= ?", [now.millis()]);
    forgotten.map(|count| count as u64).map_err(failed)
}

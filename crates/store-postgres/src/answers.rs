//! What requests were answered, one answer to a name.

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row};
use store::{Answer, Attempt, Error, Result};
use wire::{Timestamp, WorkspaceId};

use crate::line::Line;
use crate::row::{parsed, text, time};
use crate::{PostgresStore, failed};

/// The columns of [`answer`], in its order.
pub(crate) const ANSWER: &str =
    "workspace, name, fingerprint, attempt, follows, repetition, status, body, at, expires_at, subject";

pub(crate) fn answer(row: &PgRow) -> Result<Answer> {
    let status: i32 = row.try_get(6).map_err(failed)?;
    let subject: Option<&str> = row.try_get(10).map_err(failed)?;
    Ok(Answer {
        workspace: parsed(row, 0)?,
        name: text(row, 1)?,
        fingerprint: text(row, 2)?,
        attempt: Attempt {
            id: text(row, 3)?,
            follows: row.try_get(4).map_err(failed)?,
            repetition: row.try_get(5).map_err(failed)?,
        },
        status: u16::try_from(status).unwrap_or(500),
        body: text(row, 7)?,
        at: time(row, 8)?,
        expires_at: time(row, 9)?,
        subject: subject.map(|_| parsed(row, 10)).transpose()?,
    })
}

pub(crate) async fn remember(line: &mut Line, answer: &Answer) -> Result<()> {
    // As `Attempt::may_follow` has it. Whoever comes second to a name waits for what becomes of the first.
    let sql = "INSERT INTO answers (workspace, name, fingerprint, attempt, follows, repetition, status, body, at,
                 expires_at, subject)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
               ON CONFLICT (workspace, name) DO UPDATE SET
                 fingerprint = excluded.fingerprint, attempt = excluded.attempt, follows = excluded.follows,
                 repetition = excluded.repetition, status = excluded.status, body = excluded.body, at = excluded.at,
                 expires_at = excluded.expires_at, subject = excluded.subject
               WHERE answers.attempt <> excluded.attempt
                 AND (answers.attempt IS NOT DISTINCT FROM excluded.follows
                   OR answers.repetition IS NOT DISTINCT FROM excluded.repetition)";
    let sql = sqlx::query(sql)
        .bind(answer.workspace.to_string())
        .bind(answer.name.clone())
        .bind(answer.fingerprint.clone())
        .bind(answer.attempt.id.clone())
        .bind(answer.attempt.follows.clone())
        .bind(answer.attempt.repetition.clone())
        .bind(i32::from(answer.status))
        .bind(answer.body.clone())
        .bind(answer.at.millis())
        .bind(answer.expires_at.millis())
        .bind(answer.subject.map(|session| session.to_string()));
    match line.execute(sql).await? {
        0 => Err(Error::Exists),
        _ => Ok(()),
    }
}

impl PostgresStore {
    pub(crate) async fn find_answer(&self, workspace: WorkspaceId, name: &str) -> Result<Option<Answer>> {
        let sql = format!("SELECT {ANSWER} FROM answers WHERE workspace = $1 AND name = $2");
        let sql = sqlx::query(AssertSqlSafe(sql)).bind(workspace.to_string()).bind(name.to_owned());
        self.line().await?.row(sql).await?.as_ref().map(answer).transpose()
    }

    pub(crate) async fn forget_expired(&self, now: Timestamp) -> Result<u64> {
        let sql = sqlx::query("DELETE FROM answers WHERE expires_at <= $1").bind(now.millis());
        self.line().await?.execute(sql).await
    }
}

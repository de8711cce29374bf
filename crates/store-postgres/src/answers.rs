//! What requests were answered, one answer to a name.

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row};
use store::{Answer, Error, Result};
use wire::{Timestamp, WorkspaceId};

use crate::line::Line;
use crate::row::{parsed, text, time};
use crate::{PostgresStore, failed};

/// The columns of [`answer`], in its order.
pub(crate) const ANSWER: &str = "workspace, name, fingerprint, status, body, at, expires_at, replaces";

pub(crate) fn answer(row: &PgRow) -> Result<Answer> {
    let status: i32 = row.try_get(3).map_err(failed)?;
    Ok(Answer {
        workspace: parsed(row, 0)?,
        name: text(row, 1)?,
        fingerprint: text(row, 2)?,
        status: u16::try_from(status).unwrap_or(500),
        body: text(row, 4)?,
        at: time(row, 5)?,
        expires_at: time(row, 6)?,
        replaces: row.try_get(7).map_err(failed)?,
    })
}

pub(crate) async fn remember(line: &mut Line, answer: &Answer) -> Result<()> {
    let sql = "INSERT INTO answers (workspace, name, fingerprint, status, body, at, expires_at, replaces)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
               ON CONFLICT (workspace, name) DO UPDATE SET
                 fingerprint = excluded.fingerprint, status = excluded.status, body = excluded.body,
                 at = excluded.at, expires_at = excluded.expires_at, replaces = excluded.replaces
               WHERE excluded.replaces OR answers.expires_at <= excluded.at";
    let sql = sqlx::query(sql)
        .bind(answer.workspace.to_string())
        .bind(answer.name.clone())
        .bind(answer.fingerprint.clone())
        .bind(i32::from(answer.status))
        .bind(answer.body.clone())
        .bind(answer.at.millis())
        .bind(answer.expires_at.millis())
        .bind(answer.replaces);
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

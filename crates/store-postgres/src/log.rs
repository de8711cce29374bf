//! The session log over the `sessions` and `log` tables.

use async_trait::async_trait;
use session::{Stored, Visibility};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query as Sql;
use sqlx::{AssertSqlSafe, Postgres, Row};
use store::{Append, Appended, Error, Lease, Page, Read, Result, SessionHead, SessionLog, Snapshot};
use wire::{SessionId, WorkspaceId};

use crate::failure::retried;
use crate::line::Line;
use crate::row::{STORED, cannot_be, number, parsed, signed, stored, summary, visibility_columns};
use crate::{PostgresStore, catalog, failed, list};

/// The most bytes of rows that are read at once, give or take one row.
const MOST_BYTES: usize = 8 << 20;

const APPEND: &str = "SELECT code, new_head, new_epoch FROM stead_append(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";

/// Rows as columns, for `unnest`.
#[derive(Default)]
pub(crate) struct Columns {
    positions: Vec<i64>,
    ids: Vec<String>,
    threads: Vec<String>,
    ats: Vec<i64>,
    kinds: Vec<String>,
    visibilities: Vec<i16>,
    referred: Vec<Option<i64>>,
    bodies: Vec<String>,
    privates: Vec<String>,
}

impl Columns {
    pub(crate) fn of<'a>(rows: impl IntoIterator<Item = &'a Stored>) -> Self {
        let mut columns = Self::default();
        for row in rows {
            let (visibility, referred) = visibility_columns(row.visibility);
            columns.positions.push(signed(row.position));
            columns.ids.push(row.id.to_string());
            columns.threads.push(row.thread.to_string());
            columns.ats.push(row.at.millis());
            columns.kinds.push(row.kind.clone());
            columns.visibilities.push(visibility);
            columns.referred.push(referred);
            columns.bodies.push(row.body.to_string());
            columns.privates.push(row.private.clone());
        }
        columns
    }

    pub(crate) fn bind<'q>(self, sql: Sql<'q, Postgres, PgArguments>) -> Sql<'q, Postgres, PgArguments> {
        sql.bind(self.positions)
            .bind(self.ids)
            .bind(self.threads)
            .bind(self.ats)
            .bind(self.kinds)
            .bind(self.visibilities)
            .bind(self.referred)
            .bind(self.bodies)
            .bind(self.privates)
    }
}

/// The bytes of a row that may be large, of the columns [`STORED`].
fn size(row: &PgRow) -> usize {
    let length = |column: usize| row.try_get::<&str, _>(column).map_or(0, str::len);
    length(7) + length(8)
}

/// Rows that are not numbered as they follow each other are a defect of whoever made them.
pub(crate) fn check_numbers(before: u64, rows: &[Stored]) -> Result<()> {
    match rows.iter().zip(before + 1..).find(|(row, number)| row.position != *number) {
        Some((row, number)) => Err(Error::Failed(format!("the row for position {number} says {}", row.position))),
        None => Ok(()),
    }
}

/// The append itself: one call, whatever becomes of it.
async fn call(line: &mut Line, append: &Append) -> Result<Appended> {
    let (lease, claimant, held) = match &append.lease {
        Lease::None => (0_i16, String::new(), 0),
        Lease::Claim { owner } => (1, owner.clone(), 0),
        Lease::Hold { epoch } => (2, String::new(), *epoch),
        Lease::Release { epoch } => (3, String::new(), *epoch),
    };
    let summary = serde_json::to_string(&append.summary).map_err(|error| Error::Failed(error.to_string()))?;
    let sql = sqlx::query(APPEND)
        .bind(append.session.to_string())
        .bind(signed(append.expected_head))
        .bind(lease)
        .bind(claimant)
        .bind(signed(held));
    let sql = Columns::of(append.rows.iter()).bind(sql);
    let sql = sql.bind(append.summary.status.name()).bind(append.runnable).bind(summary);
    let told = line.returning(sql).await?;
    let row = told.first().ok_or_else(|| failed(sqlx::Error::RowNotFound))?;
    let (head, epoch) = (number(row, 1)?, number(row, 2)?);
    match row.try_get::<i32, _>(0).map_err(failed)? {
        0 => Ok(Appended { head, epoch }),
        1 => Err(Error::Conflict { head }),
        2 => Err(Error::Fenced { epoch }),
        _ => Err(Error::NotFound),
    }
}

/// Inserts rows and what waits among them; the header is somebody else's.
pub(crate) async fn insert_rows(line: &mut Line, session: &str, rows: &[Stored]) -> Result<()> {
    let sql = "INSERT INTO log SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::text[],
               $7::smallint[], $8::bigint[], $9::text[], $10::text[])";
    let sql = sqlx::query(sql).bind(session.to_owned());
    line.execute(Columns::of(rows).bind(sql)).await?;
    let (mut waiting, mut processed) = (Vec::new(), Vec::new());
    for row in rows {
        match row.visibility {
            Visibility::Waiting => waiting.push(signed(row.position)),
            Visibility::Processes(of) => processed.push(signed(of)),
            Visibility::Private | Visibility::Shown => {}
        }
    }
    // In this order: one of the rows may process another.
    let moves = [
        ("INSERT INTO waiting (session, position) SELECT $1, unnest($2::bigint[])", waiting),
        ("DELETE FROM waiting WHERE session = $1 AND position = ANY($2)", processed),
    ];
    for (sql, positions) in moves {
        if !positions.is_empty() {
            line.execute(sqlx::query(sql).bind(session.to_owned()).bind(positions)).await?;
        }
    }
    Ok(())
}

pub(crate) async fn insert_header(line: &mut Line, session: &str, header: &SessionHead) -> Result<()> {
    let sql = "INSERT INTO sessions (id, workspace, head, epoch, lease_owner, status, runnable, summary)
               VALUES ($1, $2, $3, $4, NULL, $5, $6, $7)";
    let summary = serde_json::to_string(&header.summary).map_err(|error| Error::Failed(error.to_string()))?;
    let sql = sqlx::query(sql)
        .bind(session.to_owned())
        .bind(header.workspace.to_string())
        .bind(signed(header.head))
        .bind(signed(header.epoch))
        .bind(header.summary.status.name())
        .bind(header.runnable)
        .bind(summary);
    line.execute(sql).await.map(|_| ())
}

async fn create(line: &mut Line, header: &SessionHead, append: &Append) -> Result<()> {
    let session = append.session.to_string();
    insert_header(line, &session, header).await?;
    insert_rows(line, &session, &append.rows).await?;
    catalog::apply(line, &append.changes).await
}

async fn call_and_change(line: &mut Line, append: &Append) -> Result<Appended> {
    let appended = call(line, append).await?;
    catalog::apply(line, &append.changes).await?;
    Ok(appended)
}

async fn delete(line: &mut Line, session: SessionId) -> Result<()> {
    let id = session.to_string();
    let sql = sqlx::query("SELECT workspace, runnable FROM sessions WHERE id = $1 FOR UPDATE").bind(id.clone());
    let row = line.row(sql).await?.ok_or(Error::NotFound)?;
    let (workspace, runnable): (String, bool) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
    if runnable {
        return Err(Error::InUse);
    }
    for sql in [
        "DELETE FROM log WHERE session = $1",
        "DELETE FROM waiting WHERE session = $1",
        "DELETE FROM coverage WHERE session = $1",
        "DELETE FROM snapshots WHERE session = $1",
        "DELETE FROM answers WHERE subject = $1",
        "DELETE FROM sessions WHERE id = $1",
    ] {
        line.execute(sqlx::query(sql).bind(id.clone())).await?;
    }
    let sql = "DELETE FROM documents WHERE workspace = $1
               AND (kind = 'session' AND id = $2 OR kind = 'file' AND parent = $2 OR kind = 'work' AND refers = $2)";
    line.execute(sqlx::query(sql).bind(workspace).bind(id)).await.map(|_| ())
}

impl PostgresStore {
    async fn try_create(&self, header: &SessionHead, append: &Append) -> Result<Appended> {
        let mut line = self.begin().await?;
        let created = create(&mut line, header, append).await;
        line.end(created).await?;
        Ok(Appended { head: header.head, epoch: header.epoch })
    }

    async fn try_append(&self, append: &Append) -> Result<Appended> {
        if append.changes.is_empty() {
            return call(&mut self.line().await?, append).await;
        }
        let mut line = self.begin().await?;
        let appended = call_and_change(&mut line, append).await;
        line.end(appended).await
    }

    async fn try_delete(&self, session: SessionId) -> Result<()> {
        let mut line = self.begin().await?;
        let deleted = delete(&mut line, session).await;
        line.end(deleted).await
    }
}

#[async_trait]
impl SessionLog for PostgresStore {
    async fn create_session(&self, workspace: WorkspaceId, append: Append) -> Result<Appended> {
        check_numbers(0, &append.rows)?;
        let head = append.rows.len() as u64;
        let header = SessionHead { workspace, head, epoch: 0, summary: append.summary, runnable: append.runnable };
        retried(|| self.try_create(&header, &append)).await
    }

    async fn append(&self, append: Append) -> Result<Appended> {
        check_numbers(append.expected_head, &append.rows)?;
        retried(|| self.try_append(&append)).await
    }

    async fn rows(&self, session: SessionId, after: u64, limit: usize) -> Result<Vec<Stored>> {
        let sql = format!("SELECT {STORED} FROM log WHERE session = $1 AND position > $2 ORDER BY position LIMIT $3");
        let sql =
            sqlx::query(AssertSqlSafe(sql)).bind(session.to_string()).bind(signed(after)).bind(signed(limit as u64));
        // Rows can be large, and whoever reads asks again until there are none.
        self.line().await?.rows_up_to(sql, MOST_BYTES, size).await?.iter().map(stored).collect()
    }

    async fn list(&self, session: SessionId, read: Read) -> Result<Vec<Page>> {
        list::list(self.line().await?, session, &read).await
    }

    async fn head(&self, session: SessionId) -> Result<SessionHead> {
        let sql = "SELECT workspace, head, epoch, summary, runnable FROM sessions WHERE id = $1";
        let found = self.line().await?.row(sqlx::query(sql).bind(session.to_string())).await?;
        let row = found.ok_or(Error::NotFound)?;
        Ok(SessionHead {
            workspace: parsed(&row, 0)?,
            head: number(&row, 1)?,
            epoch: number(&row, 2)?,
            summary: summary(row.try_get(3).map_err(failed)?)?,
            runnable: row.try_get(4).map_err(failed)?,
        })
    }

    async fn heads(&self, sessions: Vec<SessionId>) -> Result<Vec<(SessionId, u64)>> {
        let ids: Vec<String> = sessions.iter().map(SessionId::to_string).collect();
        let sql = sqlx::query("SELECT id, head FROM sessions WHERE id = ANY($1)").bind(ids);
        let rows = self.brief_line().await?.rows(sql).await?;
        rows.iter().map(|row| Ok((parsed(row, 0)?, number(row, 1)?))).collect()
    }

    async fn snapshot(&self, session: SessionId) -> Result<Option<Snapshot>> {
        let sql =
            sqlx::query("SELECT position, format, body FROM snapshots WHERE session = $1").bind(session.to_string());
        let Some(row) = self.line().await?.row(sql).await? else { return Ok(None) };
        let format: i32 = row.try_get(1).map_err(failed)?;
        Ok(Some(Snapshot {
            position: number(&row, 0)?,
            format: format.unsigned_abs(),
            body: row.try_get(2).map_err(failed)?,
        }))
    }

    async fn keep_snapshot(&self, session: SessionId, snapshot: Snapshot) -> Result<()> {
        let sql = "INSERT INTO snapshots (session, position, format, body)
                   SELECT $1, $2, $3, $4 FROM sessions WHERE id = $1 FOR KEY SHARE
                   ON CONFLICT (session) DO UPDATE SET
                     position = excluded.position, format = excluded.format, body = excluded.body
                   WHERE excluded.position >= snapshots.position";
        let sql = sqlx::query(sql)
            .bind(session.to_string())
            .bind(signed(snapshot.position))
            .bind(i32::try_from(snapshot.format).unwrap_or(i32::MAX))
            .bind(snapshot.body);
        self.line().await?.execute(sql).await.map(|_| ())
    }

    async fn runnable(&self, limit: usize) -> Result<Vec<SessionId>> {
        // An owner that is no node any more was buried while somebody had the session's row. The order is an index's.
        let sql = "SELECT id FROM sessions s WHERE runnable
                   AND NOT EXISTS (SELECT 1 FROM nodes n WHERE n.id = s.lease_owner) ORDER BY id LIMIT $1";
        let rows = self.brief_line().await?.rows(sqlx::query(sql).bind(signed(limit as u64))).await?;
        rows.iter().map(|row| parsed(row, 0)).collect()
    }

    async fn leased(&self, owner: &str) -> Result<Vec<SessionId>> {
        if cannot_be(owner) {
            return Ok(Vec::new());
        }
        let sql = sqlx::query("SELECT id FROM sessions WHERE runnable AND lease_owner = $1").bind(owner.to_owned());
        let rows = self.brief_line().await?.rows(sql).await?;
        rows.iter().map(|row| parsed(row, 0)).collect()
    }

    async fn cover(&self, session: SessionId, key: &str, position: u64) -> Result<()> {
        cover(&mut self.line().await?, session, key, position).await
    }

    async fn covered(&self, session: SessionId, key: &str) -> Result<u64> {
        if cannot_be(key) {
            return Ok(0);
        }
        let sql = sqlx::query("SELECT position FROM coverage WHERE session = $1 AND key = $2");
        let found = self.line().await?.row(sql.bind(session.to_string()).bind(key.to_owned())).await?;
        found.map_or(Ok(0), |row| number(&row, 0))
    }

    async fn first_input_after(&self, session: SessionId, position: u64) -> Result<Option<u64>> {
        let sql = "SELECT min(position) FROM log WHERE session = $1 AND position > $2
                   AND (visibility = 2 OR (visibility = 1 AND kind LIKE 'user.%'))";
        let sql = sqlx::query(sql).bind(session.to_string()).bind(signed(position));
        let found: Option<i64> = self.line().await?.only_row(sql).await?.try_get(0).map_err(failed)?;
        Ok(found.map(i64::unsigned_abs))
    }

    async fn delete_session(&self, session: SessionId) -> Result<()> {
        retried(|| self.try_delete(session)).await
    }
}

pub(crate) async fn cover(line: &mut Line, session: SessionId, key: &str, position: u64) -> Result<()> {
    // The session stays until this is written, and what would not rise is not written.
    let sql =
        "INSERT INTO coverage (session, key, position) SELECT $1, $2, $3 FROM sessions WHERE id = $1 FOR KEY SHARE
               ON CONFLICT (session, key) DO UPDATE SET position = excluded.position
               WHERE coverage.position < excluded.position";
    let sql = sqlx::query(sql).bind(session.to_string()).bind(key.to_owned()).bind(signed(position));
    line.execute(sql).await.map(|_| ())
}

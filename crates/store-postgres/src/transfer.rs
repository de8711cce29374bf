//! A whole installation, out and in.

mod export;

use async_trait::async_trait;
use sqlx::Row;
use store::{Error, Part, Record, Result, SessionHead, Transfer};
use wire::SessionId;

use crate::line::Line;
use crate::row::number;
use crate::{PostgresStore, answers, catalog, failed, log, queue};
use export::{Filling, Place};

/// The position of the session's last row. The session has to be there: what belongs to it comes after it.
async fn last_row(line: &mut Line, session: SessionId) -> Result<u64> {
    let sql = "SELECT coalesce((SELECT max(position) FROM log WHERE session = $1), 0) FROM sessions WHERE id = $1";
    let found = line.row(sqlx::query(sql).bind(session.to_string())).await?;
    let row = found.ok_or_else(|| Error::Failed(format!("there is no session {session} yet")))?;
    number(&row, 0)
}

/// Rows of one session that follow each other, written together.
#[derive(Default)]
struct Run {
    session: Option<SessionId>,
    rows: Vec<session::Stored>,
}

impl Run {
    async fn end(&mut self, line: &mut Line) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let Some(session) = self.session.take() else { return Ok(()) };
        log::check_numbers(last_row(line, session).await?, &rows)?;
        log::insert_rows(line, &session.to_string(), &rows).await
    }
}

async fn import(line: &mut Line, records: Vec<Record>) -> Result<()> {
    let mut run = Run::default();
    for record in records {
        match &record {
            Record::Row { session, .. } if run.session.is_none_or(|of| of == *session) => {}
            _ => run.end(line).await?,
        }
        match record {
            Record::Row { session, row } => {
                run.session = Some(session);
                run.rows.push(row);
            }
            Record::Setting { name, value } => catalog::set(line, &name, &value).await?,
            Record::Document(document) => catalog::insert(line, &document).await?,
            Record::Session { session, workspace, head, epoch, runnable, summary } => {
                let header = SessionHead { workspace, head, epoch, summary, runnable };
                log::insert_header(line, &session.to_string(), &header).await?;
            }
            Record::Covered { session, key, position } => {
                last_row(line, session).await?;
                log::cover(line, session, &key, position).await?;
            }
            Record::Answer(answer) => answers::remember(line, &answer).await?,
            Record::Item(item) => queue::enqueue(line, &item).await?,
            Record::Blob { .. } => {}
        }
    }
    run.end(line).await
}

#[async_trait]
impl Transfer for PostgresStore {
    async fn part(&self, after: Option<String>, limit: usize) -> Result<Part> {
        let broken = |error: serde_json::Error| Error::Failed(error.to_string());
        let mut place = match after {
            Some(cursor) => serde_json::from_str(&cursor).map_err(broken)?,
            None => Place::Settings(None),
        };
        // A part that may have nothing in it would be asked for again and again.
        let mut part = Filling::new(limit.max(1));
        let mut line = self.line().await?;
        while !part.is_full() && !matches!(place, Place::End) {
            place = part.step(&mut line, place).await?;
        }
        let next = match place {
            Place::End => None,
            place => Some(serde_json::to_string(&place).map_err(broken)?),
        };
        Ok(Part { records: part.records(), next })
    }

    async fn import(&self, records: Vec<Record>) -> Result<()> {
        let mut line = self.begin().await?;
        let imported = import(&mut line, records).await;
        line.end(imported).await
    }

    async fn is_empty(&self) -> Result<bool> {
        let sql = "SELECT NOT EXISTS (
                     SELECT 1 FROM settings UNION ALL SELECT 1 FROM documents UNION ALL SELECT 1 FROM sessions
                     UNION ALL SELECT 1 FROM answers UNION ALL SELECT 1 FROM items UNION ALL SELECT 1 FROM blobs)";
        let row = self.line().await?.only_row(sqlx::query(sql)).await?;
        row.try_get(0).map_err(failed)
    }

    /// PostgreSQL tells of damage when it meets it; looking for it is for its own tools, such as `pg_amcheck`.
    async fn faults(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}

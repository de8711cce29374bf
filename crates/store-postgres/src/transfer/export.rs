//! The export's parts: one table after the other, each in the order of its key.

use serde::{Deserialize, Serialize};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row};
use store::{Item, Record, Result};
use wire::SessionId;

use crate::answers::{ANSWER, answer};
use crate::failed;
use crate::line::Line;
use crate::row::{DOCUMENT, STORED, document, number, parsed, signed, stored, summary, text, time};

/// The most bytes of one part, give or take one record.
const MOST_BYTES: usize = 8 << 20;

/// Where an export goes on: behind the key that was told last, or at the beginning of a table. Each session comes with its
/// rows and its coverage.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Place {
    Settings(Option<String>),
    Documents(Option<(String, String, String)>),
    Sessions(Option<SessionId>),
    Rows(SessionId, u64),
    Covered(SessionId, Option<String>),
    Answers(Option<(String, String)>),
    Items(Option<(String, String)>),
    Blobs(Option<(String, String)>),
    End,
}

/// A part that is being read.
pub(super) struct Filling {
    records: Vec<Record>,
    bytes: usize,
    limit: usize,
}

impl Filling {
    pub(super) fn new(limit: usize) -> Self {
        Self { records: Vec::new(), bytes: 0, limit }
    }

    pub(super) fn is_full(&self) -> bool {
        self.records.len() >= self.limit || self.bytes >= MOST_BYTES
    }

    pub(super) fn records(self) -> Vec<Record> {
        self.records
    }

    /// Reads on in one table, and says where to go on: in the same one only if the part is full.
    pub(super) async fn step(&mut self, line: &mut Line, place: Place) -> Result<Place> {
        Ok(match place {
            Place::Settings(after) => match self.settings(line, after).await? {
                Some(last) => Place::Settings(Some(last)),
                None => Place::Documents(None),
            },
            Place::Documents(after) => match self.documents(line, after).await? {
                Some(last) => Place::Documents(Some(last)),
                None => Place::Sessions(None),
            },
            Place::Sessions(after) => match self.session(line, after).await? {
                Some(session) => Place::Rows(session, 0),
                None => Place::Answers(None),
            },
            Place::Rows(session, after) => match self.rows(line, session, after).await? {
                Some(last) => Place::Rows(session, last),
                None => Place::Covered(session, None),
            },
            Place::Covered(session, after) => match self.covered(line, session, after).await? {
                Some(last) => Place::Covered(session, Some(last)),
                None => Place::Sessions(Some(session)),
            },
            Place::Answers(after) => match self.answers(line, after).await? {
                Some(last) => Place::Answers(Some(last)),
                None => Place::Items(None),
            },
            Place::Items(after) => match self.items(line, after).await? {
                Some(last) => Place::Items(Some(last)),
                None => Place::Blobs(None),
            },
            Place::Blobs(after) => match self.blobs(line, after).await? {
                Some(last) => Place::Blobs(Some(last)),
                None => Place::End,
            },
            Place::End => Place::End,
        })
    }

    /// How many more records the part takes.
    fn left(&self) -> i64 {
        signed(self.limit.saturating_sub(self.records.len()) as u64)
    }

    /// Takes what was found until the part is full. Returns the last key then.
    fn fill<K>(&mut self, rows: &[PgRow], read: impl Fn(&PgRow) -> Result<(K, Record)>) -> Result<Option<K>> {
        for row in rows {
            let (key, record) = read(row)?;
            self.bytes += match &record {
                Record::Document(document) => document.body.len(),
                Record::Row { row, .. } => row.body.len() + row.private.len(),
                Record::Answer(answer) => answer.body.len(),
                Record::Item(item) => item.body.len(),
                Record::Setting { value, .. } => value.len(),
                Record::Session { .. } | Record::Covered { .. } | Record::Blob { .. } => 0,
            };
            self.records.push(record);
            if self.is_full() {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    async fn settings(&mut self, line: &mut Line, after: Option<String>) -> Result<Option<String>> {
        let sql = format!("SELECT name, value FROM settings WHERE name {} $1 ORDER BY name LIMIT $2", beyond(&after));
        let sql = sqlx::query(AssertSqlSafe(sql)).bind(after.unwrap_or_default()).bind(self.left());
        let rows = line.rows(sql).await?;
        self.fill(&rows, |row| {
            let name = text(row, 0)?;
            Ok((name.clone(), Record::Setting { name, value: text(row, 1)? }))
        })
    }

    async fn documents(
        &mut self,
        line: &mut Line,
        after: Option<(String, String, String)>,
    ) -> Result<Option<(String, String, String)>> {
        let sql = format!(
            "SELECT {DOCUMENT} FROM documents d WHERE (d.workspace, d.kind, d.id) {} ($1, $2, $3)
             ORDER BY d.workspace, d.kind, d.id LIMIT $4",
            beyond(&after)
        );
        let (workspace, kind, id) = after.unwrap_or_default();
        let sql = sqlx::query(AssertSqlSafe(sql)).bind(workspace).bind(kind).bind(id).bind(self.left());
        let rows = line.rows(sql).await?;
        self.fill(&rows, |row| {
            let document = document(row)?;
            Ok(((text(row, 8)?, text(row, 9)?, document.id.clone()), Record::Document(document)))
        })
    }

    /// One session's header.
    async fn session(&mut self, line: &mut Line, after: Option<SessionId>) -> Result<Option<SessionId>> {
        let sql = format!(
            "SELECT id, workspace, head, epoch, runnable, summary FROM sessions WHERE id {} $1 ORDER BY id LIMIT 1",
            beyond(&after)
        );
        let after = after.map(|session| session.to_string()).unwrap_or_default();
        let found = line.row(sqlx::query(AssertSqlSafe(sql)).bind(after)).await?;
        let Some(row) = found else { return Ok(None) };
        let session = parsed(&row, 0)?;
        self.records.push(Record::Session {
            session,
            workspace: parsed(&row, 1)?,
            head: number(&row, 2)?,
            epoch: number(&row, 3)?,
            runnable: row.try_get(4).map_err(failed)?,
            summary: summary(row.try_get(5).map_err(failed)?)?,
        });
        Ok(Some(session))
    }

    async fn rows(&mut self, line: &mut Line, session: SessionId, after: u64) -> Result<Option<u64>> {
        // Rows can be large: never more at once than a part may be, if they are of the usual size.
        let sql = format!("SELECT {STORED} FROM log WHERE session = $1 AND position > $2 ORDER BY position LIMIT $3");
        let left = self.left();
        let sql = sqlx::query(AssertSqlSafe(sql)).bind(session.to_string()).bind(signed(after)).bind(left);
        let rows = line.rows(sql).await?;
        self.fill(&rows, |row| {
            let row = stored(row)?;
            Ok((row.position, Record::Row { session, row }))
        })
    }

    async fn covered(&mut self, line: &mut Line, session: SessionId, after: Option<String>) -> Result<Option<String>> {
        let beyond = beyond(&after);
        let sql =
            format!("SELECT key, position FROM coverage WHERE session = $1 AND key {beyond} $2 ORDER BY key LIMIT $3");
        let left = self.left();
        let sql = sqlx::query(AssertSqlSafe(sql)).bind(session.to_string()).bind(after.unwrap_or_default()).bind(left);
        let rows = line.rows(sql).await?;
        self.fill(&rows, |row| {
            let key = text(row, 0)?;
            Ok((key.clone(), Record::Covered { session, key, position: number(row, 1)? }))
        })
    }

    async fn answers(&mut self, line: &mut Line, after: Option<(String, String)>) -> Result<Option<(String, String)>> {
        let beyond = beyond(&after);
        let sql = format!(
            "SELECT {ANSWER} FROM answers WHERE (workspace, name) {beyond} ($1, $2) ORDER BY workspace, name LIMIT $3"
        );
        let (workspace, name) = after.unwrap_or_default();
        let sql = sqlx::query(AssertSqlSafe(sql)).bind(workspace).bind(name).bind(self.left());
        let rows = line.rows(sql).await?;
        self.fill(&rows, |row| Ok(((text(row, 0)?, text(row, 1)?), Record::Answer(answer(row)?))))
    }

    async fn items(&mut self, line: &mut Line, after: Option<(String, String)>) -> Result<Option<(String, String)>> {
        let beyond = beyond(&after);
        let sql = format!(
            "SELECT queue, id, due_at, body FROM items WHERE (queue, id) {beyond} ($1, $2) ORDER BY queue, id LIMIT $3"
        );
        let (queue, id) = after.unwrap_or_default();
        let sql = sqlx::query(AssertSqlSafe(sql)).bind(queue).bind(id).bind(self.left());
        let rows = line.rows(sql).await?;
        self.fill(&rows, |row| {
            let item = Item { queue: text(row, 0)?, id: text(row, 1)?, due_at: time(row, 2)?, body: text(row, 3)? };
            Ok(((item.queue.clone(), item.id.clone()), Record::Item(item)))
        })
    }

    async fn blobs(&mut self, line: &mut Line, after: Option<(String, String)>) -> Result<Option<(String, String)>> {
        let beyond = beyond(&after);
        let sql = format!(
            "SELECT workspace, id, size FROM blobs WHERE (workspace, id) {beyond} ($1, $2) ORDER BY workspace, id LIMIT $3"
        );
        let (workspace, id) = after.unwrap_or_default();
        let sql = sqlx::query(AssertSqlSafe(sql)).bind(workspace).bind(id).bind(self.left());
        let rows = line.rows(sql).await?;
        self.fill(&rows, |row| {
            let record = Record::Blob { workspace: parsed(row, 0)?, id: text(row, 1)?, size: number(row, 2)? };
            Ok(((text(row, 0)?, text(row, 1)?), record))
        })
    }
}

/// How keys compare with the one to go on from. At a table's beginning that is the lowest there is, which may be a key.
fn beyond<K>(after: &Option<K>) -> &'static str {
    if after.is_some() { ">" } else { ">=" }
}

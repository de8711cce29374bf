//! The export's parts: one table after the other, each in the order of its key.

use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use serde::{Deserialize, Serialize};
use store::{Item, Record};
use wire::SessionId;

use crate::answers::{ANSWER, answer};
use crate::pool::MOST_BYTES;
use crate::row::{DOCUMENT, document, kind, parsed, stored, summary, time};

/// Where an export goes on: behind the key that was told last, or at the beginning of a table. Each session comes with its
/// rows and its coverage.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Place {
    Settings(Option<String>),
    Documents(Option<(String, String, String)>),
    Sessions(Option<SessionId>),
    Rows(SessionId, u64),
    Covered(SessionId, Option<String>),
    Answers(Option<(String, String)>),
    Items(Option<(String, String)>),
    /// They are no table: whoever exports finds them in the directory.
    Blobs(Option<(String, String)>),
}

/// Reads until there are `limit` records, or many bytes, or only blobs to go.
pub(super) fn part(connection: &Connection, place: Place, limit: usize) -> rusqlite::Result<(Vec<Record>, Place)> {
    let mut part = Filling { records: Vec::new(), bytes: 0, limit };
    let mut place = place;
    while !part.is_full() && !matches!(place, Place::Blobs(_)) {
        place = part.step(connection, place)?;
    }
    Ok((part.records, place))
}

/// A part that is being read.
struct Filling {
    records: Vec<Record>,
    bytes: usize,
    limit: usize,
}

impl Filling {
    fn is_full(&self) -> bool {
        self.records.len() >= self.limit || self.bytes >= MOST_BYTES
    }

    fn push(&mut self, record: Record) {
        self.bytes += match &record {
            Record::Document(document) => document.body.len(),
            Record::Row { row, .. } => row.body.len() + row.private.len(),
            Record::Answer(answer) => answer.body.len(),
            Record::Item(item) => item.body.len(),
            Record::Setting { value, .. } => value.len(),
            Record::Session { .. } | Record::Covered { .. } | Record::Blob { .. } => 0,
        };
        self.records.push(record);
    }

    /// Reads on in one table, and says where to go on: in the same one only if the part is full.
    fn step(&mut self, connection: &Connection, place: Place) -> rusqlite::Result<Place> {
        Ok(match place {
            Place::Settings(after) => match self.settings(connection, after)? {
                Some(last) => Place::Settings(Some(last)),
                None => Place::Documents(None),
            },
            Place::Documents(after) => match self.documents(connection, after)? {
                Some(last) => Place::Documents(Some(last)),
                None => Place::Sessions(None),
            },
            Place::Sessions(after) => match self.session(connection, after)? {
                Some(session) => Place::Rows(session, 0),
                None => Place::Answers(None),
            },
            Place::Rows(session, after) => match self.rows(connection, session, after)? {
                Some(last) => Place::Rows(session, last),
                None => Place::Covered(session, None),
            },
            Place::Covered(session, after) => match self.covered(connection, session, after)? {
                Some(last) => Place::Covered(session, Some(last)),
                None => Place::Sessions(Some(session)),
            },
            Place::Answers(after) => match self.answers(connection, after)? {
                Some(last) => Place::Answers(Some(last)),
                None => Place::Items(None),
            },
            Place::Items(after) => match self.items(connection, after)? {
                Some(last) => Place::Items(Some(last)),
                None => Place::Blobs(None),
            },
            Place::Blobs(after) => Place::Blobs(after),
        })
    }

    /// Reads what the statement finds until the part is full. Returns the last key then.
    fn fill<K>(
        &mut self,
        connection: &Connection,
        sql: &str,
        values: impl Params,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<(K, Record)>,
    ) -> rusqlite::Result<Option<K>> {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(values)?;
        while let Some(row) = rows.next()? {
            let (key, record) = read(row)?;
            self.push(record);
            if self.is_full() {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    fn settings(&mut self, connection: &Connection, after: Option<String>) -> rusqlite::Result<Option<String>> {
        let sql = format!("SELECT name, value FROM settings WHERE name {} ? ORDER BY name", beyond(&after));
        self.fill(connection, &sql, [after.unwrap_or_default()], |row| {
            let name: String = row.get(0)?;
            Ok((name.clone(), Record::Setting { name, value: row.get(1)? }))
        })
    }

    fn documents(
        &mut self,
        connection: &Connection,
        after: Option<(String, String, String)>,
    ) -> rusqlite::Result<Option<(String, String, String)>> {
        let sql = format!(
            "SELECT {DOCUMENT}, d.workspace, d.kind FROM documents d
             WHERE (d.workspace, d.kind, d.id) {} (?, ?, ?) ORDER BY d.workspace, d.kind, d.id",
            beyond(&after)
        );
        self.fill(connection, &sql, after.unwrap_or_default(), |row| {
            let key = (row.get(8)?, row.get(9)?, row.get(0)?);
            Ok((key, Record::Document(document(row, parsed(row, 8)?, kind(row, 9)?)?)))
        })
    }

    /// One session's header.
    fn session(&mut self, connection: &Connection, after: Option<SessionId>) -> rusqlite::Result<Option<SessionId>> {
        let sql = format!(
            "SELECT id, workspace, head, epoch, runnable, summary FROM sessions WHERE id {} ? ORDER BY id LIMIT 1",
            beyond(&after)
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let after = after.map(|session| session.to_string()).unwrap_or_default();
        let found = statement.query_row([after], |row| {
            let session = parsed(row, 0)?;
            let record = Record::Session {
                session,
                workspace: parsed(row, 1)?,
                head: row.get(2)?,
                epoch: row.get(3)?,
                runnable: row.get(4)?,
                summary: summary(row, 5)?,
            };
            Ok((session, record))
        });
        let Some((session, record)) = found.optional()? else { return Ok(None) };
        self.push(record);
        Ok(Some(session))
    }

    fn rows(&mut self, connection: &Connection, session: SessionId, after: u64) -> rusqlite::Result<Option<u64>> {
        let sql = "SELECT position, id, thread, at, kind, visibility, refers, body, private FROM log
                   WHERE session = ? AND position > ? ORDER BY position";
        self.fill(connection, sql, params![session.to_string(), after], |row| {
            let row = stored(row)?;
            Ok((row.position, Record::Row { session, row }))
        })
    }

    fn covered(
        &mut self,
        connection: &Connection,
        session: SessionId,
        after: Option<String>,
    ) -> rusqlite::Result<Option<String>> {
        let beyond = beyond(&after);
        let sql = format!("SELECT key, position FROM coverage WHERE session = ? AND key {beyond} ? ORDER BY key");
        self.fill(connection, &sql, (session.to_string(), after.unwrap_or_default()), |row| {
            let key: String = row.get(0)?;
            Ok((key.clone(), Record::Covered { session, key, position: row.get(1)? }))
        })
    }

    fn answers(
        &mut self,
        connection: &Connection,
        after: Option<(String, String)>,
    ) -> rusqlite::Result<Option<(String, String)>> {
        let beyond = beyond(&after);
        let sql =
            format!("SELECT {ANSWER} FROM answers WHERE (workspace, name) {beyond} (?, ?) ORDER BY workspace, name");
        self.fill(connection, &sql, after.unwrap_or_default(), |row| {
            Ok(((row.get(0)?, row.get(1)?), Record::Answer(answer(row)?)))
        })
    }

    fn items(
        &mut self,
        connection: &Connection,
        after: Option<(String, String)>,
    ) -> rusqlite::Result<Option<(String, String)>> {
        let beyond = beyond(&after);
        let sql =
            format!("SELECT queue, id, due_at, body FROM items WHERE (queue, id) {beyond} (?, ?) ORDER BY queue, id");
        self.fill(connection, &sql, after.unwrap_or_default(), |row| {
            let item = Item { queue: row.get(0)?, id: row.get(1)?, due_at: time(row, 2)?, body: row.get(3)? };
            Ok(((item.queue.clone(), item.id.clone()), Record::Item(item)))
        })
    }
}

/// How keys compare with the one to go on from. At a table's beginning that is the lowest there is, which may be a key.
fn beyond<K>(after: &Option<K>) -> &'static str {
    if after.is_some() { ">" } else { ">=" }
}

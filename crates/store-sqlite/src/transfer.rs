//! A whole installation, out and in.

mod export;

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Transaction};
use store::{Part, Record, Result, SessionHead, Transfer};
use wire::SessionId;

use crate::{SqliteStore, answers, blobs, catalog, failed, faults, log, queue};
use export::Place;

/// The position of the session's last row. The session has to be there: what belongs to it comes after it.
fn last_row(transaction: &Transaction<'_>, session: SessionId) -> Result<u64> {
    let sql = "SELECT coalesce((SELECT max(position) FROM log WHERE session = ?1), 0) FROM sessions WHERE id = ?1";
    let mut statement = transaction.prepare_cached(sql).map_err(failed)?;
    let found: Option<u64> = statement.query_row([session.to_string()], |row| row.get(0)).optional().map_err(failed)?;
    found.ok_or_else(|| failed(format!("there is no session {session} yet")))
}

fn import(transaction: &Transaction<'_>, records: Vec<Record>) -> Result<()> {
    // A session's rows come in runs: only the first of each has to ask what is there already.
    let mut last = None;
    for record in records {
        match record {
            Record::Setting { name, value } => catalog::set(transaction, &name, &value)?,
            Record::Document(document) => catalog::insert(transaction, &document)?,
            Record::Session { session, workspace, head, epoch, runnable, summary } => {
                let header = SessionHead { workspace, head, epoch, summary, runnable };
                log::insert_header(transaction, &session.to_string(), &header)?;
            }
            Record::Row { session, row } => {
                let before = match last {
                    Some((of, position)) if of == session => position,
                    _ => last_row(transaction, session)?,
                };
                last = Some((session, row.position));
                let row = [row];
                log::check_numbers(before, &row)?;
                log::insert(transaction, &session.to_string(), &row)?;
            }
            Record::Covered { session, key, position } => {
                last_row(transaction, session)?;
                log::cover(transaction, session, &key, position)?;
            }
            Record::Answer(answer) => answers::remember(transaction, &answer)?,
            Record::Item(item) => queue::enqueue(transaction, &item)?,
            Record::Blob { .. } => {}
        }
    }
    Ok(())
}

impl SqliteStore {
    /// The blobs that follow, and where to go on if there may be more.
    async fn export_blobs(
        &self,
        after: Option<(String, String)>,
        limit: usize,
    ) -> Result<(Vec<Record>, Option<Place>)> {
        let directory = self.blobs.clone();
        let found = blobs::blocking(move || blobs::list(&directory, after.as_ref(), limit)).await?;
        let next = match found.last() {
            Some((workspace, id, _)) if found.len() == limit => {
                Some(Place::Blobs(Some((workspace.to_string(), id.0.clone()))))
            }
            _ => None,
        };
        let records = found.into_iter().map(|(workspace, id, size)| Record::Blob { workspace, id: id.0, size });
        Ok((records.collect(), next))
    }
}

#[async_trait]
impl Transfer for SqliteStore {
    async fn part(&self, after: Option<String>, limit: usize) -> Result<Part> {
        let place = match after {
            Some(cursor) => serde_json::from_str(&cursor).map_err(failed)?,
            None => Place::Settings(None),
        };
        // A part that may have nothing in it would be asked for again and again.
        let limit = limit.max(1);
        let (records, next) = match place {
            Place::Blobs(after) => self.export_blobs(after, limit).await?,
            place => {
                let (records, place) = self.read(move |connection| export::part(connection, place, limit)).await?;
                (records, Some(place))
            }
        };
        let next = next.map(|place| serde_json::to_string(&place)).transpose().map_err(failed)?;
        Ok(Part { records, next })
    }

    async fn import(&self, records: Vec<Record>) -> Result<()> {
        self.writer.write(move |transaction, _| import(transaction, records)).await
    }

    /// Whether an export of the store would have no records.
    async fn is_empty(&self) -> Result<bool> {
        let sql = "SELECT NOT EXISTS (
                     SELECT 1 FROM settings UNION ALL SELECT 1 FROM documents UNION ALL SELECT 1 FROM sessions
                     UNION ALL SELECT 1 FROM answers UNION ALL SELECT 1 FROM items)";
        let is_empty: bool = self.read(move |connection| connection.query_row(sql, [], |row| row.get(0))).await?;
        Ok(is_empty && self.export_blobs(None, 1).await?.0.is_empty())
    }

    async fn faults(&self) -> Result<Vec<String>> {
        self.read(faults::faults).await
    }
}

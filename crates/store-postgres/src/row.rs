//! Rows to and from columns. PostgreSQL counts in signed numbers.

use std::str::FromStr;
use std::sync::Arc;

use session::{Stored, Summary, Visibility};
use sqlx::Row;
use sqlx::postgres::PgRow;
use store::{Document, Error, Kind, Listed, Result};
use wire::{Timestamp, WorkspaceId};

use crate::failed;

pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn text(row: &PgRow, column: usize) -> Result<String> {
    row.try_get(column).map_err(failed)
}

pub(crate) fn number(row: &PgRow, column: usize) -> Result<u64> {
    let number: i64 = row.try_get(column).map_err(failed)?;
    u64::try_from(number).map_err(|error| Error::Failed(error.to_string()))
}

pub(crate) fn time(row: &PgRow, column: usize) -> Result<Timestamp> {
    row.try_get(column).map(Timestamp::from_millis).map_err(failed)
}

pub(crate) fn parsed<T: FromStr>(row: &PgRow, column: usize) -> Result<T>
where
    T::Err: std::fmt::Display,
{
    let text: &str = row.try_get(column).map_err(failed)?;
    text.parse().map_err(|error: T::Err| Error::Failed(error.to_string()))
}

pub(crate) fn summary(text: &str) -> Result<Summary> {
    serde_json::from_str(text).map_err(|error| Error::Failed(error.to_string()))
}

/// The columns of [`stored`], in its order.
pub(crate) const STORED: &str = "position, id, thread, at, kind, visibility, refers, body, private";

pub(crate) fn stored(row: &PgRow) -> Result<Stored> {
    let visibility = match row.try_get::<i16, _>(5).map_err(failed)? {
        1 => Visibility::Shown,
        2 => Visibility::Waiting,
        3 => Visibility::Processes(number(row, 6)?),
        _ => Visibility::Private,
    };
    Ok(Stored {
        position: number(row, 0)?,
        id: parsed(row, 1)?,
        thread: parsed(row, 2)?,
        at: time(row, 3)?,
        kind: text(row, 4)?,
        visibility,
        body: Arc::from(row.try_get::<&str, _>(7).map_err(failed)?),
        private: text(row, 8)?,
    })
}

pub(crate) fn visibility_columns(visibility: Visibility) -> (i16, Option<i64>) {
    match visibility {
        Visibility::Private => (0, None),
        Visibility::Shown => (1, None),
        Visibility::Waiting => (2, None),
        Visibility::Processes(of) => (3, Some(signed(of))),
    }
}

/// The columns of [`document`], in its order.
pub(crate) const DOCUMENT: &str =
    "d.id, d.created_at, d.updated_at, d.archived_at, d.version, d.parent, d.refers, d.body, d.workspace, d.kind";

pub(crate) fn document(row: &PgRow) -> Result<Document> {
    let kind = text(row, 9)?;
    let workspace: WorkspaceId = parsed(row, 8)?;
    Ok(Document {
        workspace,
        kind: Kind::from_name(&kind).ok_or_else(|| Error::Failed(format!("there is no kind {kind}")))?,
        id: text(row, 0)?,
        created_at: time(row, 1)?,
        updated_at: time(row, 2)?,
        archived_at: row.try_get::<Option<i64>, _>(3).map_err(failed)?.map(Timestamp::from_millis),
        version: number(row, 4)?,
        parent: row.try_get(5).map_err(failed)?,
        refers: row.try_get(6).map_err(failed)?,
        body: text(row, 7)?,
    })
}

/// A document, and behind its columns the summary of a session, if it is one.
pub(crate) fn listed(row: &PgRow) -> Result<Listed> {
    let found: Option<&str> = row.try_get(10).map_err(failed)?;
    Ok(Listed { document: document(row)?, summary: found.map(summary).transpose()? })
}

/// PostgreSQL keeps no text with a zero byte. Nothing of ours has one, so nothing is found under such a name.
pub(crate) fn cannot_be(text: &str) -> bool {
    text.contains('\0')
}

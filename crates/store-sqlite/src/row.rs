//! Rows to and from columns.

use std::str::FromStr;
use std::sync::Arc;

use rusqlite::Row;
use rusqlite::types::Type;
use session::{Stored, Summary, Visibility};
use store::{Document, Kind, Listed};
use wire::{Timestamp, WorkspaceId};

pub(crate) fn parsed<T: FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text = row.get_ref(column)?.as_str()?;
    text.parse().map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

pub(crate) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_millis)
}

pub(crate) fn summary(row: &Row<'_>, column: usize) -> rusqlite::Result<Summary> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

/// Columns: position, id, thread, at, kind, visibility, refers, body, private.
pub(crate) fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let visibility = match row.get::<_, u8>(5)? {
        1 => Visibility::Shown,
        2 => Visibility::Waiting,
        3 => Visibility::Processes(row.get(6)?),
        _ => Visibility::Private,
    };
    Ok(Stored {
        position: row.get(0)?,
        id: parsed(row, 1)?,
        thread: parsed(row, 2)?,
        at: time(row, 3)?,
        kind: row.get(4)?,
        visibility,
        body: Arc::from(row.get_ref(7)?.as_str()?),
        private: row.get(8)?,
    })
}

pub(crate) fn visibility_columns(visibility: Visibility) -> (u8, Option<u64>) {
    match visibility {
        Visibility::Private => (0, None),
        Visibility::Shown => (1, None),
        Visibility::Waiting => (2, None),
        Visibility::Processes(of) => (3, Some(of)),
    }
}

pub(crate) fn kind(row: &Row<'_>, column: usize) -> rusqlite::Result<Kind> {
    let name = row.get_ref(column)?.as_str()?;
    Kind::from_name(name).ok_or_else(|| {
        let unknown = format!("there is no kind {name}");
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, unknown.into())
    })
}

/// The columns of [`document`], in its order, of `documents d`.
pub(crate) const DOCUMENT: &str =
    "d.id, d.created_at, d.updated_at, d.archived_at, d.version, d.parent, d.refers, d.body";

pub(crate) fn document(row: &Row<'_>, workspace: WorkspaceId, kind: Kind) -> rusqlite::Result<Document> {
    Ok(Document {
        workspace,
        kind,
        id: row.get(0)?,
        created_at: time(row, 1)?,
        updated_at: time(row, 2)?,
        archived_at: row.get::<_, Option<i64>>(3)?.map(Timestamp::from_millis),
        version: row.get(4)?,
        parent: row.get(5)?,
        refers: row.get(6)?,
        body: row.get(7)?,
    })
}

/// The columns of [`document`], and the summary of `sessions s` if there is one.
pub(crate) fn listed(row: &Row<'_>, workspace: WorkspaceId, kind: Kind) -> rusqlite::Result<Listed> {
    let document = document(row, workspace, kind)?;
    let has_summary = row.get_ref(8)? != rusqlite::types::ValueRef::Null;
    Ok(Listed { document, summary: has_summary.then(|| summary(row, 8)).transpose()? })
}

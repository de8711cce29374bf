//! The catalogue over the `documents` table.

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Transaction, params, params_from_iter};
use store::{Answer, Catalog, Change, Document, Error, Kind, Listed, Order, Query, Result};
use wire::session::Status;
use wire::{Timestamp, WorkspaceId};

use crate::row::{DOCUMENT, listed};
use crate::{SqliteStore, answers, failed, queue};

pub(crate) fn apply(transaction: &Transaction<'_>, changes: Vec<Change>) -> Result<()> {
    changes.into_iter().try_for_each(|change| match change {
        Change::Insert(document) => insert(transaction, &document),
        Change::Update(document) => update(transaction, &document),
        Change::Delete { workspace, kind, id } => delete(transaction, workspace, kind, &id),
        Change::Require { workspace, kind, id } => require(transaction, workspace, kind, &id),
        Change::Remember(answer) => answers::remember(transaction, &answer),
        Change::Enqueue(item) => queue::enqueue(transaction, &item),
    })
}

pub(crate) fn insert(transaction: &Transaction<'_>, document: &Document) -> Result<()> {
    let sql = "INSERT INTO documents (workspace, kind, id, created_at, updated_at, archived_at, version, parent, refers, body)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let values = params![
        document.workspace.to_string(),
        document.kind.name(),
        document.id,
        document.created_at.millis(),
        document.updated_at.millis(),
        document.archived_at.map(|at| at.millis()),
        document.version,
        document.parent,
        document.refers,
        document.body,
    ];
    transaction.prepare_cached(sql).and_then(|mut statement| statement.execute(values)).map(|_| ()).map_err(failed)
}

fn update(transaction: &Transaction<'_>, document: &Document) -> Result<()> {
    let workspace = document.workspace.to_string();
    let sql = "UPDATE documents SET updated_at = ?, archived_at = ?, version = ?, parent = ?, refers = ?, body = ?
               WHERE workspace = ? AND kind = ? AND id = ? AND version = ? - 1";
    let values = params![
        document.updated_at.millis(),
        document.archived_at.map(|at| at.millis()),
        document.version,
        document.parent,
        document.refers,
        document.body,
        workspace,
        document.kind.name(),
        document.id,
        document.version,
    ];
    let mut statement = transaction.prepare_cached(sql).map_err(failed)?;
    if statement.execute(values).map_err(failed)? == 1 {
        return Ok(());
    }
    let sql = "SELECT version FROM documents WHERE workspace = ? AND kind = ? AND id = ?";
    let found = transaction.query_row(sql, params![workspace, document.kind.name(), document.id], |row| row.get(0));
    match found.optional().map_err(failed)? {
        Some(version) => Err(Error::Stale { version }),
        None => Err(Error::NotFound),
    }
}

fn delete(transaction: &Transaction<'_>, workspace: WorkspaceId, kind: Kind, id: &str) -> Result<()> {
    let workspace = workspace.to_string();
    let sql = "SELECT EXISTS (SELECT 1 FROM documents WHERE workspace = ? AND refers = ?)";
    let in_use: bool = transaction.query_row(sql, params![workspace, id], |row| row.get(0)).map_err(failed)?;
    if in_use {
        return Err(Error::InUse);
    }
    let sql = "DELETE FROM documents WHERE workspace = ? AND kind = ? AND id = ?";
    match transaction.execute(sql, params![workspace, kind.name(), id]).map_err(failed)? {
        0 => Err(Error::NotFound),
        _ => Ok(()),
    }
}

fn require(transaction: &Transaction<'_>, workspace: WorkspaceId, kind: Kind, id: &str) -> Result<()> {
    let sql =
        "SELECT EXISTS (SELECT 1 FROM documents WHERE workspace = ? AND kind = ? AND id = ? AND archived_at IS NULL)";
    let values = params![workspace.to_string(), kind.name(), id];
    let found: bool = transaction.query_row(sql, values, |row| row.get(0)).map_err(failed)?;
    if found { Ok(()) } else { Err(Error::NotFound) }
}

pub(crate) fn set(transaction: &Transaction<'_>, name: &str, value: &str) -> Result<()> {
    let sql =
        "INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    transaction.execute(sql, [name, value]).map(|_| ()).map_err(failed)
}

/// The statement and its values. Only the conditions that are asked for are in it, so that each finds its index.
fn select(query: &Query) -> (String, Vec<Value>) {
    let mut conditions = vec!["d.workspace = ?".to_owned(), "d.kind = ?".to_owned()];
    let mut values = vec![Value::from(query.workspace.to_string()), Value::from(query.kind.name().to_owned())];
    let filter = &query.filter;
    if let Some(parent) = &filter.parent {
        conditions.push("d.parent = ?".into());
        values.push(parent.clone().into());
    }
    if !filter.include_archived {
        conditions.push("d.archived_at IS NULL".into());
    }
    if let Some(from) = filter.created_from {
        conditions.push("d.created_at >= ?".into());
        values.push(from.millis().into());
    }
    if let Some(to) = filter.created_to {
        conditions.push("d.created_at <= ?".into());
        values.push(to.millis().into());
    }
    if let Some(version) = filter.agent_version {
        conditions.push("json_extract(d.body, '$.agent.version') = ?".into());
        values.push(Value::from(i64::try_from(version).unwrap_or(i64::MAX)));
    }
    // Few sessions work at a time, and an index knows them.
    let working = |status: &Status| matches!(status, Status::Running | Status::Rescheduling);
    let only_working = !filter.statuses.is_empty() && filter.statuses.iter().all(working);
    if only_working {
        conditions.push("s.status IN ('running', 'rescheduling')".into());
    }
    if !filter.statuses.is_empty() {
        conditions.push(format!("s.status IN ({})", vec!["?"; filter.statuses.len()].join(", ")));
        values.extend(filter.statuses.iter().map(|status| Value::from(status.name().to_owned())));
    }
    let (comparison, direction) = match query.order {
        Order::NewestFirst => ("<", "DESC"),
        Order::OldestFirst => (">", "ASC"),
    };
    if let Some((created_at, id)) = &query.after {
        conditions.push(format!("(d.created_at, d.id) {comparison} (?, ?)"));
        values.push(created_at.millis().into());
        values.push(id.clone().into());
    }
    values.push(Value::from(i64::try_from(query.limit).unwrap_or(i64::MAX)));
    // Only sessions have a header to join with.
    let tables = match query.kind {
        Kind::Session if only_working => "sessions s CROSS JOIN documents d ON d.id = s.id",
        Kind::Session => "documents d LEFT JOIN sessions s ON s.id = d.id",
        _ => "documents d LEFT JOIN sessions s ON s.id = NULL",
    };
    let sql = format!(
        "SELECT {DOCUMENT}, s.summary FROM {tables} WHERE {} \
         ORDER BY d.created_at {direction}, d.id {direction} LIMIT ?",
        conditions.join(" AND ")
    );
    (sql, values)
}

#[async_trait]
impl Catalog for SqliteStore {
    async fn apply(&self, changes: Vec<Change>) -> Result<()> {
        self.writer.write(move |transaction, _| apply(transaction, changes)).await
    }

    async fn get(&self, workspace: WorkspaceId, kind: Kind, id: &str) -> Result<Listed> {
        let id = id.to_owned();
        let found = self.read(move |connection| {
            let sql = format!(
                "SELECT {DOCUMENT}, s.summary FROM documents d LEFT JOIN sessions s ON s.id = d.id
                 WHERE d.workspace = ? AND d.kind = ? AND d.id = ?"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let values = params![workspace.to_string(), kind.name(), id];
            statement.query_row(values, |row| listed(row, workspace, kind)).optional()
        });
        found.await?.ok_or(Error::NotFound)
    }

    async fn query(&self, query: Query) -> Result<Vec<Listed>> {
        self.read(move |connection| {
            let (sql, values) = select(&query);
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params_from_iter(values), |row| listed(row, query.workspace, query.kind))?;
            rows.collect()
        })
        .await
    }

    async fn setting(&self, name: &str) -> Result<Option<String>> {
        let name = name.to_owned();
        let sql = "SELECT value FROM settings WHERE name = ?";
        self.read(move |connection| connection.query_row(sql, [name], |row| row.get(0)).optional()).await
    }

    async fn set(&self, name: &str, value: &str) -> Result<()> {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.writer.write(move |transaction, _| set(transaction, &name, &value)).await
    }

    async fn settle(&self, name: &str, value: &str) -> Result<String> {
        let (name, value) = (name.to_owned(), value.to_owned());
        let write = move |transaction: &Transaction<'_>, _| {
            let sql = "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING";
            transaction.execute(sql, params![name, value]).map_err(failed)?;
            let sql = "SELECT value FROM settings WHERE name = ?";
            transaction.query_row(sql, [name], |row| row.get(0)).map_err(failed)
        };
        self.writer.write(write).await
    }

    async fn answer(&self, workspace: WorkspaceId, name: &str) -> Result<Option<Answer>> {
        let name = name.to_owned();
        self.read(move |connection| answers::find(connection, workspace, &name)).await
    }

    async fn forget_answers(&self, now: Timestamp) -> Result<u64> {
        self.writer.write(move |transaction, _| answers::forget(transaction, now)).await
    }
}

//! The catalogue over the `documents` table.

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Postgres, QueryBuilder};
use store::{Answer, Catalog, Change, Document, Error, Kind, Listed, Order, Query, Result};
use wire::session::Status;
use wire::{Timestamp, WorkspaceId};

use crate::failure::retried;
use crate::line::Line;
use crate::row::{DOCUMENT, cannot_be, listed, number, signed, text};
use crate::{PostgresStore, answers, queue};

pub(crate) async fn apply(line: &mut Line, changes: &[Change]) -> Result<()> {
    for change in changes {
        match change {
            Change::Insert(document) => insert(line, document).await?,
            Change::Update(document) => update(line, document).await?,
            Change::Delete { workspace, kind, id } => delete(line, *workspace, *kind, id).await?,
            Change::Require { workspace, kind, id } => require(line, *workspace, *kind, id).await?,
            Change::Remember(answer) => answers::remember(line, answer).await?,
            Change::Enqueue(item) => queue::enqueue(line, item).await?,
        }
    }
    Ok(())
}

/// What lists of sessions filter on. Read here and not in the database, which refuses some of what JSON allows.
fn agent_version(document: &Document) -> Option<i64> {
    if document.kind != Kind::Session {
        return None;
    }
    let body: serde_json::Value = serde_json::from_str(&document.body).ok()?;
    body.pointer("/agent/version")?.as_i64()
}

pub(crate) async fn insert(line: &mut Line, document: &Document) -> Result<()> {
    let workspace = document.workspace.to_string();
    if let Some(refers) = &document.refers {
        // Whoever deletes it waits, and then finds it in use. A reference names no kind, and the key has it before the
        // id: without all of the kinds, every document of the workspace would be read.
        let sql = "SELECT 1 FROM documents WHERE workspace = $1 AND id = $2
                   AND kind IN ('agent', 'agent_version', 'environment', 'session', 'file', 'work', 'environment_key')
                   FOR KEY SHARE";
        let sql = sqlx::query(sql).bind(workspace.clone()).bind(refers.clone());
        line.execute(sql).await?;
    }
    let sql = "INSERT INTO documents
                 (workspace, kind, id, created_at, updated_at, archived_at, version, parent, refers, agent_version, body)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let sql = sqlx::query(sql)
        .bind(workspace)
        .bind(document.kind.name())
        .bind(document.id.clone())
        .bind(document.created_at.millis())
        .bind(document.updated_at.millis())
        .bind(document.archived_at.map(Timestamp::millis))
        .bind(signed(document.version))
        .bind(document.parent.clone())
        .bind(document.refers.clone())
        .bind(agent_version(document))
        .bind(document.body.clone());
    line.execute(sql).await.map(|_| ())
}

async fn update(line: &mut Line, document: &Document) -> Result<()> {
    let (workspace, kind) = (document.workspace.to_string(), document.kind.name());
    let sql = "UPDATE documents SET updated_at = $1, archived_at = $2, version = $3, parent = $4, refers = $5,
                 agent_version = $6, body = $7
               WHERE workspace = $8 AND kind = $9 AND id = $10 AND version = $3 - 1";
    let sql = sqlx::query(sql)
        .bind(document.updated_at.millis())
        .bind(document.archived_at.map(Timestamp::millis))
        .bind(signed(document.version))
        .bind(document.parent.clone())
        .bind(document.refers.clone())
        .bind(agent_version(document))
        .bind(document.body.clone())
        .bind(workspace.clone())
        .bind(kind)
        .bind(document.id.clone());
    if line.execute(sql).await? == 1 {
        return Ok(());
    }
    let sql = sqlx::query("SELECT version FROM documents WHERE workspace = $1 AND kind = $2 AND id = $3");
    match line.row(sql.bind(workspace).bind(kind).bind(document.id.clone())).await? {
        Some(row) => Err(Error::Stale { version: number(&row, 0)? }),
        None => Err(Error::NotFound),
    }
}

async fn delete(line: &mut Line, workspace: WorkspaceId, kind: Kind, id: &str) -> Result<()> {
    let workspace = workspace.to_string();
    // Locked before the look, so that nobody begins to refer to it in between.
    let sql = sqlx::query("SELECT 1 FROM documents WHERE workspace = $1 AND kind = $2 AND id = $3 FOR UPDATE");
    let sql = sql.bind(workspace.clone()).bind(kind.name()).bind(id.to_owned());
    line.execute(sql).await?;
    let sql = sqlx::query("SELECT 1 FROM documents WHERE workspace = $1 AND refers = $2 LIMIT 1");
    if line.row(sql.bind(workspace.clone()).bind(id.to_owned())).await?.is_some() {
        return Err(Error::InUse);
    }
    let sql = sqlx::query("DELETE FROM documents WHERE workspace = $1 AND kind = $2 AND id = $3");
    let sql = sql.bind(workspace).bind(kind.name()).bind(id.to_owned());
    match line.execute(sql).await? {
        0 => Err(Error::NotFound),
        _ => Ok(()),
    }
}

/// Whoever would archive or delete it waits for the end of this transaction.
async fn require(line: &mut Line, workspace: WorkspaceId, kind: Kind, id: &str) -> Result<()> {
    let sql =
        "SELECT 1 FROM documents WHERE workspace = $1 AND kind = $2 AND id = $3 AND archived_at IS NULL FOR SHARE";
    let sql = sqlx::query(sql).bind(workspace.to_string()).bind(kind.name()).bind(id.to_owned());
    line.row(sql).await?.map(|_| ()).ok_or(Error::NotFound)
}

impl PostgresStore {
    async fn try_apply(&self, changes: &[Change]) -> Result<()> {
        let mut line = self.begin().await?;
        let applied = apply(&mut line, changes).await;
        line.end(applied).await
    }
}

/// Only the conditions that are asked for are in the statement, so that each finds its index.
fn select(query: &Query) -> QueryBuilder<Postgres> {
    let filter = &query.filter;
    // Few sessions work at a time, and an index knows them.
    let working = |status: &Status| matches!(status, Status::Running | Status::Rescheduling);
    let only_working = !filter.statuses.is_empty() && filter.statuses.iter().all(working);
    // Only sessions have a header to join with.
    let tables = match query.kind {
        Kind::Session => "documents d LEFT JOIN sessions s ON s.id = d.id",
        _ => "documents d LEFT JOIN sessions s ON FALSE",
    };
    let mut sql = QueryBuilder::new(format!("SELECT {DOCUMENT}, s.summary FROM {tables} WHERE d.workspace = "));
    sql.push_bind(query.workspace.to_string()).push(" AND d.kind = ").push_bind(query.kind.name());
    if let Some(parent) = &filter.parent {
        sql.push(" AND d.parent = ").push_bind(parent.clone());
    }
    if !filter.include_archived {
        sql.push(" AND d.archived_at IS NULL");
    }
    if let Some(from) = filter.created_from {
        sql.push(" AND d.created_at >= ").push_bind(from.millis());
    }
    if let Some(to) = filter.created_to {
        sql.push(" AND d.created_at <= ").push_bind(to.millis());
    }
    if let Some(version) = filter.agent_version {
        sql.push(" AND d.agent_version = ").push_bind(signed(version));
    }
    if only_working {
        sql.push(" AND s.status IN ('running', 'rescheduling')");
    }
    if !filter.statuses.is_empty() {
        let statuses: Vec<String> = filter.statuses.iter().map(|status| status.name().to_owned()).collect();
        sql.push(" AND s.status = ANY(").push_bind(statuses).push(")");
    }
    let (comparison, direction) = match query.order {
        Order::NewestFirst => ("<", "DESC"),
        Order::OldestFirst => (">", "ASC"),
    };
    if let Some((created_at, id)) = &query.after {
        sql.push(format!(" AND (d.created_at, d.id) {comparison} (")).push_bind(created_at.millis());
        sql.push(", ").push_bind(id.clone()).push(")");
    }
    sql.push(format!(" ORDER BY d.created_at {direction}, d.id {direction} LIMIT "));
    sql.push_bind(signed(query.limit as u64));
    sql
}

#[async_trait]
impl Catalog for PostgresStore {
    async fn apply(&self, changes: Vec<Change>) -> Result<()> {
        retried(|| self.try_apply(&changes)).await
    }

    async fn get(&self, workspace: WorkspaceId, kind: Kind, id: &str) -> Result<Listed> {
        if cannot_be(id) {
            return Err(Error::NotFound);
        }
        let sql = format!(
            "SELECT {DOCUMENT}, s.summary FROM documents d LEFT JOIN sessions s ON s.id = d.id
             WHERE d.workspace = $1 AND d.kind = $2 AND d.id = $3"
        );
        let sql = sqlx::query(AssertSqlSafe(sql)).bind(workspace.to_string()).bind(kind.name()).bind(id.to_owned());
        let found = self.line().await?.row(sql).await?;
        listed(&found.ok_or(Error::NotFound)?)
    }

    async fn query(&self, query: Query) -> Result<Vec<Listed>> {
        let after = query.after.as_ref().map(|(_, id)| id);
        if query.filter.parent.iter().chain(after).any(|text| cannot_be(text)) {
            return Ok(Vec::new());
        }
        let rows = self.line().await?.rows(select(&query).build()).await?;
        rows.iter().map(listed).collect()
    }

    async fn setting(&self, name: &str) -> Result<Option<String>> {
        let sql = sqlx::query("SELECT value FROM settings WHERE name = $1").bind(name.to_owned());
        self.line().await?.row(sql).await?.map(|row| text(&row, 0)).transpose()
    }

    async fn set(&self, name: &str, value: &str) -> Result<()> {
        set(&mut self.line().await?, name, value).await
    }

    async fn settle(&self, name: &str, value: &str) -> Result<String> {
        let sql = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        let sql = sqlx::query(sql).bind(name.to_owned()).bind(value.to_owned());
        self.line().await?.execute(sql).await?;
        self.setting(name).await?.ok_or_else(|| Error::Failed("a setting was removed while it was settled".into()))
    }

    async fn answer(&self, workspace: WorkspaceId, name: &str) -> Result<Option<Answer>> {
        self.find_answer(workspace, name).await
    }

    async fn forget_answers(&self, now: Timestamp) -> Result<u64> {
        self.forget_expired(now).await
    }
}

pub(crate) async fn set(line: &mut Line, name: &str, value: &str) -> Result<()> {
    let sql =
        "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    let sql = sqlx::query(sql).bind(name.to_owned()).bind(value.to_owned());
    line.execute(sql).await.map(|_| ())
}

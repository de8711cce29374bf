//! The catalogue as one map, ordered by workspace, kind and id.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::Value;
use wire::{Timestamp, WorkspaceId};

use super::{Volatile, failed};
use crate::{Answer, Catalog, Change, Document, Error, Filter, Kind, Listed, Order, Query, Result};

#[derive(Clone, Default)]
pub(super) struct Documents(BTreeMap<(WorkspaceId, Kind, String), Document>);

impl Documents {
    pub(super) fn all(&self) -> impl Iterator<Item = &Document> {
        self.0.values()
    }

    /// Removes a session's document, its files' and its work items'.
    pub(super) fn forget_session(&mut self, workspace: WorkspaceId, session: &str) {
        self.0.retain(|_, document| {
            let is_session = document.kind == Kind::Session && document.id == session;
            let is_file = document.kind == Kind::File && document.parent.as_deref() == Some(session);
            let is_work = document.kind == Kind::Work && document.refers.as_deref() == Some(session);
            document.workspace != workspace || !(is_session || is_file || is_work)
        });
    }

    pub(super) fn insert(&mut self, document: Document) -> Result<()> {
        let key = key(&document);
        if self.0.contains_key(&key) {
            return Err(failed(format!("the {} {} exists", document.kind.name(), document.id)));
        }
        self.0.insert(key, document);
        Ok(())
    }

    pub(super) fn update(&mut self, document: Document) -> Result<()> {
        let stored = self.0.get_mut(&key(&document)).ok_or(Error::NotFound)?;
        if document.version != stored.version + 1 {
            return Err(Error::Stale { version: stored.version });
        }
        // When it was created does not change, whatever the update says.
        *stored = Document { created_at: stored.created_at, ..document };
        Ok(())
    }

    pub(super) fn require(&self, workspace: WorkspaceId, kind: Kind, id: String) -> Result<()> {
        let found = self.0.get(&(workspace, kind, id)).filter(|document| document.archived_at.is_none());
        found.map(|_| ()).ok_or(Error::NotFound)
    }

    pub(super) fn delete(&mut self, workspace: WorkspaceId, kind: Kind, id: String) -> Result<()> {
        let refers = |other: &Document| other.workspace == workspace && other.refers.as_ref() == Some(&id);
        if self.0.values().any(refers) {
            return Err(Error::InUse);
        }
        match self.0.remove(&(workspace, kind, id)) {
            Some(_) => Ok(()),
            None => Err(Error::NotFound),
        }
    }
}

fn key(document: &Document) -> (WorkspaceId, Kind, String) {
    (document.workspace, document.kind, document.id.clone())
}

/// Where a document stands in the lists, oldest first.
fn place(listed: &Listed) -> (Timestamp, &str) {
    (listed.document.created_at, listed.document.id.as_str())
}

fn is_wanted(listed: &Listed, filter: &Filter) -> bool {
    let Listed { document, summary } = listed;
    let has_status = || summary.is_some_and(|summary| filter.statuses.contains(&summary.status));
    (filter.parent.is_none() || filter.parent == document.parent)
        && (filter.include_archived || document.archived_at.is_none())
        && filter.created_from.is_none_or(|from| document.created_at >= from)
        && filter.created_to.is_none_or(|to| document.created_at <= to)
        && filter.agent_version.is_none_or(|version| agent_version(document) == Some(version))
        && (filter.statuses.is_empty() || has_status())
}

/// The version of a session's agent, which its body tells.
fn agent_version(document: &Document) -> Option<u64> {
    let body: Value = serde_json::from_str(&document.body).ok()?;
    body.pointer("/agent/version")?.as_u64()
}

#[async_trait]
impl Catalog for Volatile {
    async fn apply(&self, changes: Vec<Change>) -> Result<()> {
        self.memory.lock().kept.apply(changes)
    }

    async fn get(&self, workspace: WorkspaceId, kind: Kind, id: &str) -> Result<Listed> {
        let memory = self.memory.lock();
        let document = memory.kept.documents.0.get(&(workspace, kind, id.to_owned())).ok_or(Error::NotFound)?;
        Ok(memory.listed(document))
    }

    async fn query(&self, query: Query) -> Result<Vec<Listed>> {
        let memory = self.memory.lock();
        let documents = memory.kept.documents.0.values();
        let of_kind = documents.filter(|document| document.workspace == query.workspace && document.kind == query.kind);
        let mut found: Vec<Listed> = of_kind.map(|document| memory.listed(document)).collect();
        found.retain(|listed| is_wanted(listed, &query.filter));
        found.sort_by(|one, other| place(one).cmp(&place(other)));
        if query.order == Order::NewestFirst {
            found.reverse();
        }
        if let Some((created_at, id)) = &query.after {
            let after = (*created_at, id.as_str());
            match query.order {
                Order::NewestFirst => found.retain(|listed| place(listed) < after),
                Order::OldestFirst => found.retain(|listed| place(listed) > after),
            }
        }
        found.truncate(query.limit);
        Ok(found)
    }

    async fn setting(&self, name: &str) -> Result<Option<String>> {
        Ok(self.memory.lock().settings.get(name).cloned())
    }

    async fn set(&self, name: &str, value: &str) -> Result<()> {
        self.memory.lock().settings.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    async fn settle(&self, name: &str, value: &str) -> Result<String> {
        let mut memory = self.memory.lock();
        Ok(memory.settings.entry(name.to_owned()).or_insert_with(|| value.to_owned()).clone())
    }

    async fn answer(&self, workspace: WorkspaceId, name: &str) -> Result<Option<Answer>> {
        Ok(self.memory.lock().kept.answers.find(workspace, name).cloned())
    }

    async fn forget_answers(&self, now: Timestamp) -> Result<u64> {
        Ok(self.memory.lock().kept.answers.forget(now))
    }
}

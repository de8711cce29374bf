//! A whole installation, record by record: for moving it from one database to another.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use session::{Stored, Summary};
use wire::{SessionId, WorkspaceId};

use crate::{Answer, Document, Item, Result};

/// Everything that a store keeps and nothing that it can compute again: no snapshots, no nodes, no leases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    Document(Document),
    Session {
        session: SessionId,
        workspace: WorkspaceId,
        head: u64,
        epoch: u64,
        runnable: bool,
        summary: Summary,
    },
    Row {
        session: SessionId,
        #[serde(flatten)]
        row: Stored,
    },
    Covered {
        session: SessionId,
        key: String,
        position: u64,
    },
    Answer(Answer),
    Item(Item),
    Setting {
        name: String,
        value: String,
    },
    /// The bytes are read with [`crate::Blobs::read`], and written with [`crate::Blobs::put`].
    Blob {
        workspace: WorkspaceId,
        id: String,
        size: u64,
    },
}

/// A part of an export, and where the next one begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub records: Vec<Record>,
    /// Opaque; `None` after the last part.
    pub next: Option<String>,
}

/// Law: the records of all parts, imported in their order into an empty store of any kind, make it answer every question
/// as the exported one did. A session's rows follow it, in order, before the next session. Nothing may be written to the store meanwhile.
#[async_trait]
pub trait Transfer: Send + Sync {
    /// A part of the export: at most `limit` records, fewer if they are large; a part may be empty and not the last.
    async fn part(&self, after: Option<String>, limit: usize) -> Result<Part>;
    /// All of the records or none. [`Record::Blob`] is passed over: its bytes come by [`crate::Blobs::put`].
    async fn import(&self, records: Vec<Record>) -> Result<()>;
    async fn is_empty(&self) -> Result<bool>;
    /// What the database itself finds wrong with its files; empty if nothing.
    async fn faults(&self) -> Result<Vec<String>>;
}

//! What the documents of this crate's resources hold.

use serde::{Deserialize, Serialize};
use wire::EnvironmentId;
use wire::agent::Snapshot;
use wire::file::File;
use wire::read::Metadata;
use wire::session::Resource;

/// A session's document: what does not change with its log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionRecord {
    pub title: Option<String>,
    pub metadata: Metadata,
    pub agent: Snapshot,
    pub environment_id: EnvironmentId,
    pub resources: Vec<Mount>,
    /// The vaults whose credentials it may use, in the order in which they are looked through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vault_ids: Vec<String>,
}

/// A resource, and the bytes behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    #[serde(flatten)]
    pub resource: Resource,
    pub blob: String,
}

/// A file's document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    pub file: File,
    pub blob: String,
    /// For a file that a session left: where, so that the same file is not collected twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    pub path: String,
    pub size: u64,
    pub modified: u64,
}

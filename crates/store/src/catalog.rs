//! The catalogue: every resource is a document, and one implementation serves them all.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use session::Summary;
use wire::{Timestamp, WorkspaceId};

use crate::{Item, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Agent,
    /// One per version of an agent; its id is the agent's id, `@` and the version.
    AgentVersion,
    Environment,
    Session,
    File,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::AgentVersion => "agent_version",
            Self::Environment => "environment",
            Self::Session => "session",
            Self::File => "file",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Agent, Self::AgentVersion, Self::Environment, Self::Session, Self::File]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// A resource at rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    pub workspace: WorkspaceId,
    pub kind: Kind,
    pub id: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub archived_at: Option<Timestamp>,
    /// Rises with every update; an update names the one it was made from.
    pub version: u64,
    /// What lists filter on: the agent of a session or of a version, the session of a file.
    pub parent: Option<String>,
    /// A second reference that keeps its target from being deleted: the environment of a session.
    pub refers: Option<String>,
    pub body: String,
}

impl Document {
    /// A new resource that belongs to no other.
    pub fn new(workspace: WorkspaceId, kind: Kind, id: impl ToString, now: Timestamp, body: String) -> Self {
        Self {
            workspace,
            kind,
            id: id.to_string(),
            created_at: now,
            updated_at: now,
            archived_at: None,
            version: 1,
            parent: None,
            refers: None,
            body,
        }
    }
}

/// A write to the catalogue.
#[derive(Debug, Clone)]
pub enum Change {
    Insert(Document),
    /// Refused with `Stale` unless the stored version is one below the document's.
    Update(Document),
    /// Refused with `InUse` if any document refers to it.
    Delete {
        workspace: WorkspaceId,
        kind: Kind,
        id: String,
    },
    /// Refused with `Exists` if an answer of that name has not expired at the new one's `at`, unless it `replaces`.
    Remember(Answer),
    Enqueue(Item),
}

/// What a request was answered, kept so that the same request sent again has no second effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub workspace: WorkspaceId,
    /// Names the request: unique in the workspace.
    pub name: String,
    /// Of the request's body: another body under the same name is another request.
    pub fingerprint: String,
    pub status: u16,
    pub body: String,
    pub at: Timestamp,
    pub expires_at: Timestamp,
    /// Whether it takes the place of an earlier answer of the same name.
    pub replaces: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    #[default]
    NewestFirst,
    OldestFirst,
}

/// Which documents of a kind.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub parent: Option<String>,
    pub include_archived: bool,
    pub created_from: Option<Timestamp>,
    pub created_to: Option<Timestamp>,
    /// Sessions only: the version of their agent.
    pub agent_version: Option<u64>,
    /// Sessions only; empty means all.
    pub statuses: Vec<wire::session::Status>,
}

#[derive(Debug, Clone)]
pub struct Query {
    pub workspace: WorkspaceId,
    pub kind: Kind,
    pub filter: Filter,
    pub order: Order,
    /// Creation time and id of the last document of the page before.
    pub after: Option<(Timestamp, String)>,
    pub limit: usize,
}

/// A document in a list; sessions come with their summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub document: Document,
    pub summary: Option<Summary>,
}

/// Law: `apply` writes all changes or none. Reads see every change whose `apply` or `append` has returned.
#[async_trait]
pub trait Catalog: Send + Sync {
    async fn apply(&self, changes: Vec<Change>) -> Result<()>;
    async fn get(&self, workspace: WorkspaceId, kind: Kind, id: &str) -> Result<Listed>;
    async fn query(&self, query: Query) -> Result<Vec<Listed>>;
    /// Small values of the installation itself.
    async fn setting(&self, name: &str) -> Result<Option<String>>;
    async fn set(&self, name: &str, value: &str) -> Result<()>;
    /// Sets it if it is not set. Returns what it is from now on, the same for everybody who asks.
    async fn settle(&self, name: &str, value: &str) -> Result<String>;
    /// The answer that was remembered under the name, expired or not.
    async fn answer(&self, workspace: WorkspaceId, name: &str) -> Result<Option<Answer>>;
    /// Forgets answers that have expired at `now`. Returns how many.
    async fn forget_answers(&self, now: Timestamp) -> Result<u64>;
}

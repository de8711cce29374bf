//! The catalogue: every resource is a document, and one implementation serves them all.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use session::Summary;
use wire::{Timestamp, WorkspaceId};

use crate::{Answer, Item, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Agent,
    /// One per version of an agent; its id is the agent's id, `@` and the version.
    AgentVersion,
    Environment,
    Session,
    File,
    /// A work item of a self-hosted environment.
    Work,
    /// What a worker of a self-hosted environment shows.
    EnvironmentKey,
    Vault,
    /// Of a vault, which is its parent.
    Credential,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::AgentVersion => "agent_version",
            Self::Environment => "environment",
            Self::Session => "session",
            Self::File => "file",
            Self::Work => "work",
            Self::EnvironmentKey => "environment_key",
            Self::Vault => "vault",
            Self::Credential => "credential",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        let kinds = [
            Self::Agent,
            Self::AgentVersion,
            Self::Environment,
            Self::Session,
            Self::File,
            Self::Work,
            Self::EnvironmentKey,
            Self::Vault,
            Self::Credential,
        ];
        kinds.into_iter().find(|kind| kind.name() == name)
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
    /// What lists filter on: the agent of a session or of a version, the session of a file, the environment of a work item
    /// or of a key.
    pub parent: Option<String>,
    /// A second reference that keeps its target from being deleted: the environment of a session. That of a work item to
    /// its session has the item deleted with the session.
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
    /// Refused with `NotFound` unless there is such a document and it is not archived: nobody takes it away before
    /// what is written with this is there.
    Require {
        workspace: WorkspaceId,
        kind: Kind,
        id: String,
    },
    /// Refused with `Exists` if an answer stands under its name that its attempt may not follow.
    Remember(Answer),
    Enqueue(Item),
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
///
/// Law of answers: of the attempts at one request one has its effect, wherever they are made and in whatever order they
/// come to their end. An effect is written together with its answer, and refused together with it. Under a name stands
/// one answer, the newest. It gives way
/// - to a repetition that found it when it began, and saw that it has expired. Any other was given since, and is what
///   the repetition asks for.
/// - to a first attempt, unless a repetition was answered since that began, which may have been its own. Other first
///   attempts do not stand in its way, for the same may be sent twice on purpose. Each carries on which repetition was
///   the last, so that none is hidden behind them.
///
/// What was answered since is told by what an attempt found when it began, not by a time: the clocks of nodes differ.
/// An answer that was forgotten stands in nobody's way.
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

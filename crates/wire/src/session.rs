//! Sessions, their threads and their resources.

mod budget;
mod update;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agent::Snapshot;
use crate::event::ClientEvent;
use crate::read::{Fields, Invalid, Metadata, MetadataPatch, Read, join, text, unsupported};
use crate::{EnvironmentId, FileId, ResourceId, SessionId, ThreadId, Timestamp};

pub use budget::{Budget, BudgetType};
pub use update::{AgentUpdate, Update};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Session {
    pub id: SessionId,
    pub r#type: &'static str,
    pub title: Option<String>,
    pub status: Status,
    pub agent: Snapshot,
    pub environment_id: EnvironmentId,
    pub metadata: Metadata,
    pub resources: Vec<Resource>,
    pub vault_ids: Vec<String>,
    pub budget: Option<Budget>,
    pub usage: Usage,
    pub stats: Stats,
    pub outcome_evaluations: Vec<Value>,
    pub deployment_id: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub archived_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    #[default]
    Idle,
    Running,
    Rescheduling,
    Terminated,
}

impl Status {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Rescheduling => "rescheduling",
            Self::Terminated => "terminated",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Idle, Self::Running, Self::Rescheduling, Self::Terminated]
            .into_iter()
            .find(|status| status.name() == name)
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    pub active_seconds: f64,
    pub duration_seconds: f64,
}

/// What a session has used so far. `input_tokens` counts uncached ones only.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_read_input_tokens: u64,
    pub cache_creation: CacheCreation,
    /// Absent while any model that was used has no price in the configuration.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub list_cost: Option<Money>,
    pub active_seconds: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheCreation {
    pub ephemeral_5m_input_tokens: u64,
    pub ephemeral_1h_input_tokens: u64,
}

/// An amount in whole cents, as a string.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    pub amount: String,
    pub currency: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Resource {
    File { id: ResourceId, file_id: FileId, mount_path: String, created_at: Timestamp, updated_at: Timestamp },
}

impl Resource {
    pub fn id(&self) -> ResourceId {
        let Self::File { id, .. } = self;
        *id
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Thread {
    pub id: ThreadId,
    pub r#type: &'static str,
    pub session_id: SessionId,
    pub parent_thread_id: Option<ThreadId>,
    pub agent: Snapshot,
    pub status: Status,
    pub workflow_run_id: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub archived_at: Option<Timestamp>,
    pub stats: Option<ThreadStats>,
    pub usage: Option<Usage>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ThreadStats {
    pub active_seconds: f64,
    pub duration_seconds: f64,
    pub startup_seconds: f64,
}

/// How a session names its agent. Ids stay text: one that is not well formed is simply unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentReference {
    pub id: String,
    pub version: Option<u64>,
}

impl Read for AgentReference {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        if let Value::String(id) = value {
            return Ok(Self { id, version: None });
        }
        let mut fields = Fields::of(value, path)?;
        match fields.required::<String>("type")?.as_str() {
            "agent" => {}
            "agent_with_overrides" => return Err(unsupported(&fields.at("type"))),
            _ => return Err(fields.invalid("type", "Input should be 'agent' or 'agent_with_overrides'")),
        }
        let reference = Self { id: fields.required("id")?, version: fields.optional("version")? };
        fields.end()?;
        Ok(reference)
    }
}

/// A file to be mounted, as a client asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRequest {
    pub file_id: String,
    /// Absolute, and taken from the uploads directory as its root.
    pub mount_path: Option<String>,
}

impl Read for FileRequest {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        match fields.required::<String>("type")?.as_str() {
            "file" => {}
            "github_repository" | "memory_store" => return Err(unsupported(path)),
            _ => return Err(fields.invalid("type", "Input should be 'file', 'github_repository' or 'memory_store'")),
        }
        let file_id = fields.required("file_id")?;
        let mount_path = fields.optional::<String>("mount_path")?;
        let mount_path = mount_path.map(|mount| check_mount(mount, &join(path, "mount_path"))).transpose()?;
        fields.end()?;
        Ok(Self { file_id, mount_path })
    }
}

fn check_mount(mount: String, path: &str) -> Result<String, Invalid> {
    let mount = text(mount, path, 2..=1_024)?;
    let relative = mount.strip_prefix("/mnt/session/uploads").filter(|rest| rest.starts_with('/')).unwrap_or(&mount);
    let Some(inner) = relative.strip_prefix('/') else {
        return Err(Invalid::new(path, "Input should be an absolute path"));
    };
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
    if mount.len() > 1_024 || inner.split('/').any(|part| part.len() > 255) {
        return Err(Invalid::new(path, "A path has at most 1024 bytes, and each of its parts at most 255"));
    }
    if !inner.split('/').all(plain) {
        return Err(Invalid::new(path, "A path has no empty, '.' or '..' parts"));
    }
    Ok(relative.to_owned())
}

/// The body of `POST /v1/sessions`.
#[derive(Debug, Clone)]
pub struct Create {
    pub agent: AgentReference,
    pub environment_id: String,
    pub title: Option<String>,
    pub metadata: Metadata,
    pub resources: Vec<FileRequest>,
    pub budget: Option<Budget>,
    /// In the order in which they are looked through.
    pub vault_ids: Vec<String>,
    pub initial_events: Vec<ClientEvent>,
}

pub const MAX_FILES: usize = 500;
const MAX_INITIAL_EVENTS: usize = 50;
const MAX_VAULTS: usize = 50;

impl Read for Create {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        let agent = fields.required("agent")?;
        let environment_id = fields.required("environment_id")?;
        let title = fields.optional::<String>("title")?.map(|title| text(title, "title", 0..=512)).transpose()?;
        let metadata =
            fields.optional::<MetadataPatch>("metadata")?.unwrap_or_default().over(Metadata::new(), "metadata")?;
        let resources: Vec<FileRequest> = fields.optional("resources")?.unwrap_or_default();
        if resources.len() > MAX_FILES {
            return Err(fields.invalid("resources", format!("At most {MAX_FILES} files are allowed")));
        }
        let initial_events: Vec<ClientEvent> = fields.optional("initial_events")?.unwrap_or_default();
        if initial_events.len() > MAX_INITIAL_EVENTS {
            return Err(fields.invalid("initial_events", format!("At most {MAX_INITIAL_EVENTS} events are allowed")));
        }
        if let Some(index) = initial_events.iter().position(|event| !matches!(event, ClientEvent::Message { .. })) {
            return Err(Invalid::new(
                format!("initial_events.{index}.type"),
                "Only user.message can be sent at creation",
            ));
        }
        let budget = fields.optional("budget")?;
        let vault_ids: Vec<String> = fields.optional("vault_ids")?.unwrap_or_default();
        if vault_ids.len() > MAX_VAULTS {
            return Err(fields.invalid("vault_ids", format!("At most {MAX_VAULTS} vaults are allowed")));
        }
        if let Some(index) = (1..vault_ids.len()).find(|index| vault_ids[..*index].contains(&vault_ids[*index])) {
            return Err(Invalid::new(format!("vault_ids.{index}"), "This vault is named before"));
        }
        fields.end()?;
        Ok(Self { agent, environment_id, title, metadata, resources, budget, vault_ids, initial_events })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn mount_paths_stay_below_the_uploads() {
        let mount = |path: &str| check_mount(path.into(), "m").map_err(|error| error.message);
        assert_eq!(mount("/data.csv").unwrap(), "/data.csv");
        assert_eq!(mount("/mnt/session/uploads/a/b.csv").unwrap(), "/a/b.csv");
        for path in ["data.csv", "/../etc/passwd", "/a//b", "/a/./b", "/"] {
            assert!(mount(path).is_err(), "{path}");
        }
    }

    #[test]
    fn refusals_name_the_field() {
        let create = |extra: Value| {
            let mut body = json!({"agent": "agent_1", "environment_id": "env_1"});
            body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            Create::read(body, "").map(|_| ()).unwrap_err().to_string()
        };
        for (extra, expected) in [
            (json!({"agent": {"id": "x"}}), "agent.type: Field required"),
            (json!({"budget": {"type": "limit"}}), "budget.max_list_cost: Field required"),
            (json!({"vault_ids": ["a", "b", "a"]}), "vault_ids.2: This vault is named before"),
            (json!({"vault_ids": vec!["a"; 51]}), "vault_ids: At most 50 vaults"),
            (json!({"resources": [{"type": "memory_store"}]}), "resources.0: This is not supported"),
            (json!({"initial_events": [{"type": "user.interrupt"}]}), "initial_events.0.type: Only user.message"),
            (
                json!({"initial_events": [{"type": "system.message", "content": [{"type": "text", "text": "x"}]}]}),
                "initial_events.0.type: Only user.message",
            ),
        ] {
            let message = create(extra.clone());
            assert!(message.starts_with(expected), "{extra} gave {message}");
        }
    }
}

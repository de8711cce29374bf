//! Work items: what workers of a self-hosted environment are given to do.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::read::{Fields, Invalid, Metadata, MetadataPatch, Read};
use crate::{EnvironmentId, SessionId, Timestamp, WorkId};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    pub id: WorkId,
    pub r#type: WorkType,
    pub environment_id: EnvironmentId,
    pub data: Data,
    pub state: State,
    pub metadata: Metadata,
    /// Only in what a poll answers.
    pub secret: Option<String>,
    pub created_at: Timestamp,
    pub acknowledged_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub latest_heartbeat_at: Option<Timestamp>,
    pub stop_requested_at: Option<Timestamp>,
    pub stopped_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkType {
    Work,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Data {
    /// The calls of a session.
    Session { id: SessionId },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// For a worker to take.
    Queued,
    /// A worker has acknowledged it.
    Starting,
    /// A worker sends heartbeats for it.
    Active,
    /// Its worker is to end.
    Stopping,
    Stopped,
}

impl State {
    /// Whether a worker has it, or is yet to come.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Queued | Self::Starting | Self::Active)
    }
}

/// The answer to a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Heartbeat {
    pub r#type: &'static str,
    /// What the next heartbeat has to expect, byte for byte; empty if there has been none.
    pub last_heartbeat: String,
    pub lease_extended: bool,
    pub state: State,
    pub ttl_seconds: u64,
}

/// The lease as it stands when a heartbeat is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeaseState {
    pub last_heartbeat: Option<String>,
    pub lease_extended: bool,
    pub state: State,
    pub ttl_seconds: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueueStats {
    pub r#type: &'static str,
    /// Items that nobody has polled.
    pub depth: u64,
    /// Items that were polled and not acknowledged.
    pub pending: u64,
    pub oldest_queued_at: Option<Timestamp>,
    /// Distinct workers that have polled of late; none if no worker has said who it is.
    pub workers_polling: Option<u64>,
}

/// What a poll's `secret` says: JSON, in URL-safe base64.
#[derive(Debug, Serialize)]
pub struct Secret<'a> {
    pub sessions_token: &'a str,
}

/// The body of `POST .../work/{id}/stop`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stop {
    /// At once, without waiting for the worker.
    pub force: bool,
}

impl Read for Stop {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        let force = fields.optional("force")?.unwrap_or(false);
        fields.end()?;
        Ok(Self { force })
    }
}

/// The body of `POST .../work/{id}`.
#[derive(Debug, Clone, Default)]
pub struct Update {
    pub metadata: MetadataPatch,
}

impl Read for Update {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        let metadata = fields.optional("metadata")?.unwrap_or_default();
        fields.end()?;
        Ok(Self { metadata })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_work_item_tells_every_field() {
        let work = Work {
            id: WorkId::from_bits(1),
            r#type: WorkType::Work,
            environment_id: EnvironmentId::from_bits(2),
            data: Data::Session { id: SessionId::from_bits(3) },
            state: State::Queued,
            metadata: Metadata::new(),
            secret: None,
            created_at: Timestamp::from_millis(0),
            acknowledged_at: None,
            started_at: None,
            latest_heartbeat_at: None,
            stop_requested_at: None,
            stopped_at: None,
        };
        let json = serde_json::to_value(&work).unwrap();
        let expected = json!({
            "id": WorkId::from_bits(1), "type": "work", "environment_id": EnvironmentId::from_bits(2),
            "data": {"type": "session", "id": SessionId::from_bits(3)}, "state": "queued", "metadata": {},
            "secret": null, "created_at": "1970-01-01T00:00:00.000Z", "acknowledged_at": null, "started_at": null,
            "latest_heartbeat_at": null, "stop_requested_at": null, "stopped_at": null,
        });
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_value::<Work>(json).unwrap(), work);
    }

    #[test]
    fn a_stop_is_gentle_unless_it_says_otherwise() {
        assert!(!Stop::read(json!({}), "").unwrap().force);
        assert!(!Stop::read(json!({"force": null}), "").unwrap().force);
        assert!(Stop::read(json!({"force": true}), "").unwrap().force);
        assert_eq!(Stop::read(json!({"force": "yes"}), "").unwrap_err().path, "force");
    }
}

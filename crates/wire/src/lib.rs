//! The wire: ids, timestamps, the objects and events of the API, its error envelope and its server-sent events.
//!
//! Serde only, no I/O. What clients send is read by [`read`], which names the offending field in every refusal and tells
//! absent from null; what the server sends are plain structs. Additions of Stead's own never appear in these types.

pub mod agent;
pub mod content;
pub mod environment;
pub mod error;
pub mod event;
pub mod file;
pub mod id;
pub mod page;
pub mod read;
pub mod session;
pub mod sse;
mod time;
pub mod vault;
pub mod work;

pub use error::Problem;
pub use event::Event;
pub use id::{
    AgentId, CredentialId, EnvironmentId, EventId, FileId, KeyId, RequestId, ResourceId, SessionId, ThreadId, VaultId,
    WorkId, WorkspaceId,
};
pub use read::Invalid;
pub use time::Timestamp;

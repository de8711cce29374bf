//! The two traits of this crate, and what passes through them.

use std::path::PathBuf;

use async_trait::async_trait;
use hand_protocol::{Entry, Execute, Found, Outcome};
use serde::{Deserialize, Serialize};

use crate::BoxedStream;

/// What a session's hand must be made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// Names the hand's directory; the session's id.
    pub name: String,
    /// Input files, as (path on the host, path below the uploads directory, absolute from its root).
    pub uploads: Vec<(PathBuf, String)>,
    pub limits: Limits,
}

/// What one sandbox may use. Each is enforced by whichever means the machine has; `stead doctor` says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of resident memory, summed over the sandbox's processes.
    pub memory: u64,
    /// Processes and threads.
    pub processes: u64,
    /// Bytes in the private writable layer.
    pub disk: u64,
    /// Seconds a sandbox lives on with no server attached, before it ends itself.
    pub orphan_seconds: u64,
}

/// Where a live hand is found again after the server restarts. Kept in the session's log as a private row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    pub backend: String,
    /// The hand's own directory below the data directory, relative to it.
    pub directory: PathBuf,
    /// Made anew with each sandbox, so that a new one is never taken for the one that was lost.
    pub incarnation: String,
    /// The id of the data directory, and so the node, where it lives. Not known of sandboxes that are older than this.
    #[serde(default)]
    pub home: Option<String>,
}

/// A machine's way to make sandboxes.
///
/// Law: after `provision` returns, the sandbox outlives this process; `adopt` with the returned address reaches the same
/// one, from this process or a later one, until it is destroyed, dies, or its orphan time is over. `destroy` is
/// idempotent, and leaves neither process nor file behind.
#[async_trait]
pub trait Sandbox: Send + Sync {
    /// Gets ready what all sandboxes share, and tries whether one can be made: a backend is not trusted to work because it
    /// is there.
    async fn prepare(&self) -> Result<(), ProvisionError>;
    async fn provision(&self, spec: &Spec, epoch: u64) -> Result<Box<dyn Hand>, ProvisionError>;
    async fn adopt(&self, address: &Address, epoch: u64) -> Result<Box<dyn Hand>, Lost>;
    /// A raw connection to the daemon of a sandbox of this machine, for a brain elsewhere, which greets over it with
    /// [`crate::attach()`]. [`Lost::Gone`] only if the sandbox is known to be no more.
    async fn dial(&self, address: &Address) -> Result<BoxedStream, Lost>;
    /// With an incarnation: that one or none. A later one of the same name is left alone.
    async fn destroy(&self, name: &str, incarnation: Option<&str>) -> std::io::Result<()>;
    /// Every sandbox of this machine that has not been destroyed, live or dead.
    async fn kept(&self) -> Vec<Kept>;
}

/// A sandbox that is there, or what is left of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub name: String,
    /// None of one that was never finished.
    pub incarnation: Option<String>,
}

/// One live sandbox: give it a name and an input, get content back.
///
/// Law: a call id is run at most once, however often it is asked for; the outcome is the same each time. An epoch lower
/// than one the hand has seen is refused with [`Lost::Fenced`]. Dropping a future stops waiting, not the call. A
/// connection that breaks is no loss: it is made again, and what was asked is asked again.
#[async_trait]
pub trait Hand: Send + Sync {
    fn address(&self) -> &Address;
    async fn execute(&self, call: Execute) -> Result<Outcome, Lost>;
    async fn look(&self, calls: Vec<String>) -> Result<Vec<Found>, Lost>;
    async fn cancel(&self, call: &str) -> Result<(), Lost>;
    /// The files left for the user, and whether there were more than are listed.
    async fn outputs(&self) -> Result<(Vec<Entry>, bool), Lost>;
    /// At most [`hand_protocol::MAX_CHUNK`] bytes, and whether the file ends with them.
    async fn fetch(&self, path: &str, offset: u64, length: u64) -> Result<(Vec<u8>, bool), Lost>;
}

/// The hand is gone, or is no longer ours. The brain tells the model, and provisions a new one when next needed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Lost {
    #[error("the sandbox is gone: {0}")]
    Gone(String),
    #[error("another brain, of epoch {0}, has this sandbox now")]
    Fenced(u64),
    #[error("the sandbox refused: {0}")]
    Refused(String),
}

#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The kernel, or its configuration, does not allow something. Says what, and how an operator can allow it.
    #[error("this machine cannot make a sandbox: {step}: {reason}")]
    Unsupported { step: String, reason: String },
    #[error("the sandbox did not start: {0}")]
    Failed(String),
}

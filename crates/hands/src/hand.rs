//! The two traits of this crate, and what passes through them.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use hand_protocol::{Entry, Execute, Found, Outcome};
use serde::{Deserialize, Serialize};

use crate::{BoxedStream, Limits};

/// What a session's hand must be made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// Names the hand's directory; the session's id.
    pub name: String,
    /// Input files, as (path on the host, path below the uploads directory, absolute from its root).
    pub uploads: Vec<(PathBuf, String)>,
    pub limits: Limits,
    pub ground: Ground,
    /// What it may reach. None: nothing.
    pub network: Option<Network>,
    /// A checkpoint of an earlier sandbox of the session, to begin with.
    pub restore: Option<PathBuf>,
    /// A directory that takes what is written, so that [`Sandbox::harvest`] can make a layer of it. Made if it is not
    /// there; what an earlier sandbox has left in it goes. Nothing bounds what is written to it: who asks for it looks
    /// after its size. There, programs may also be installed for other users than root, as package managers do.
    pub keep: Option<PathBuf>,
}

/// What lies below a sandbox's private layer. Read-only, and shared by many.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ground {
    /// An unpacked image. None: the host's own system.
    pub rootfs: Option<PathBuf>,
    /// What was installed over it, the newest first: directories that [`Sandbox::harvest`] has made.
    pub layers: Vec<PathBuf>,
    /// What is set in every process's environment besides.
    pub environment: Vec<(String, String)>,
}

/// What a sandbox may reach, which its gateway sees to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    pub reach: Reach,
    /// Bytes that may leave in the sandbox's life.
    pub egress: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Reach {
    /// Whatever is public.
    Unrestricted,
    /// These hosts, and with `packages` what package managers need.
    Limited { hosts: Vec<String>, packages: bool },
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

    /// Puts an input file where a live sandbox sees it, or takes it away. No error if that sandbox is no more.
    async fn upload(&self, _address: &Address, _path: &str, _file: Option<&Path>) -> std::io::Result<()> {
        Err(std::io::Error::new(std::io::ErrorKind::Unsupported, "this backend cannot change its input files"))
    }

    /// Gives the gate the sockets of all live sandboxes once more.
    async fn reopen(&self) -> std::io::Result<()> {
        Ok(())
    }

    /// Whether a sandbox that keeps what is written can give files to other users than root, as `apt` and `dpkg` must.
    fn installs_for_others(&self) -> bool {
        false
    }

    /// Ends a sandbox that was provisioned to keep what is written, and makes a layer of it: the directory that
    /// [`Spec::keep`] named then holds `root`, which lies over the root, and `usr`, which lies over the host's `/usr`.
    /// Whatever comes of it, the sandbox is no more; if it fails, what was kept is of no use.
    async fn harvest(&self, _name: &str) -> std::io::Result<()> {
        Err(std::io::Error::new(std::io::ErrorKind::Unsupported, "this backend makes no layers"))
    }

    /// Puts a sandbox away: ends its processes and keeps its files. What the shell had in mind is lost: its directory, its
    /// variables, what ran in the background. If it fails, the sandbox lives on.
    async fn rest(&self, _address: &Address, _epoch: u64) -> Result<Checkpoint, Lost> {
        Err(Lost::Refused("this backend keeps no checkpoints".into()))
    }

    /// What the sandbox at this address was put away as, until it is forgotten. A later sandbox of the same name, alive or
    /// destroyed, does not take it away. An error where that cannot be found out just now.
    async fn checkpoint(&self, _address: &Address) -> std::io::Result<Option<Checkpoint>> {
        Ok(None)
    }

    /// Removes what the sandbox at this address was put away as.
    async fn forget(&self, _address: &Address) -> std::io::Result<()> {
        Ok(())
    }
}

/// The files of a sandbox that was put away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// On this machine, readable by this server alone.
    pub path: PathBuf,
    pub bytes: u64,
    /// When that was, in milliseconds since the Unix epoch.
    pub at: i64,
}

/// A sandbox that is there, or what is left of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub name: String,
    /// None of one that was never finished.
    pub incarnation: Option<String>,
    /// If it was put away.
    pub checkpoint: Option<Checkpoint>,
    /// What it stands on, its base included, as far as that is known.
    pub layers: Vec<PathBuf>,
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

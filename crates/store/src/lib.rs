//! Memory's interface: what a store must do, whatever it is made of.
//!
//! [`SessionLog`] keeps the rows, [`Nodes`] their writers, [`Catalog`] the documents, [`Queue`] what is still to be done,
//! [`Blobs`] the bytes; [`Transfer`] moves it all. [`Store`] is all of them. The store does not
//! know what rows mean. [`volatile`] is the reference, in memory; [`conformance`] is the suite that every store runs.

mod answer;
pub mod archive;
mod blobs;
mod catalog;
mod check;
mod clock;
pub mod conformance;
mod directory;
mod log;
mod node;
mod queue;
mod transfer;
pub mod volatile;

pub use answer::{Answer, Attempt};
pub use blobs::{BlobId, Blobs};
pub use catalog::{Catalog, Change, Document, Filter, Kind, Listed, Order, Query};
pub use check::{Report, check};
pub use clock::{Clock, Rng, SystemClock, SystemRng};
pub use directory::{Directory, OwnError};
pub use log::{Append, Appended, Lease, Page, Read, SessionHead, SessionLog, Shown, Snapshot};
pub use node::{Dead, Known, Node, Nodes};
pub use queue::{Item, Queue, Taken};
pub use transfer::{Part, Record, Transfer};

use std::sync::Arc;

/// Everything that a server remembers.
pub trait Store: SessionLog + Nodes + Catalog + Queue + Blobs + Transfer {}

impl<T: SessionLog + Nodes + Catalog + Queue + Blobs + Transfer> Store for T {}

pub type AnyStore = Arc<dyn Store>;

/// Why something was not written. But for `Failed`, nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The log has rows that the writer has not seen: fold them and decide again.
    #[error("the log has grown to {head}")]
    Conflict { head: u64 },
    /// Another brain has the session: stop at once.
    #[error("the lease is at epoch {epoch} and not ours")]
    Fenced { epoch: u64 },
    #[error("there is no such document")]
    NotFound,
    /// The document has changed since it was read.
    #[error("the document is at version {version}")]
    Stale { version: u64 },
    /// Another document still refers to it.
    #[error("it is still in use")]
    InUse,
    /// Something of that name is there already.
    #[error("it is there already")]
    Exists,
    /// The store itself failed. If the connection to it broke, what was being written may be there all the same.
    #[error("the store failed: {0}")]
    Failed(String),
}

pub type Result<T> = std::result::Result<T, Error>;

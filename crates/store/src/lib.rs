//! Memory's interface: what a store must do, whatever it is made of.
//!
//! [`SessionLog`] keeps the rows, [`Catalog`] the documents, [`Blobs`] the bytes; [`Store`] is all of them. The store does not
//! know what rows mean. [`volatile`] is the reference, in memory; [`conformance`] is the suite that every store runs.

mod blobs;
mod catalog;
mod clock;
pub mod conformance;
mod log;
pub mod volatile;

pub use blobs::{BlobId, Blobs};
pub use catalog::{Catalog, Change, Document, Filter, Kind, Listed, Order, Query};
pub use clock::{Clock, Rng, SystemClock, SystemRng};
pub use log::{Append, Appended, Lease, Page, Read, SessionHead, SessionLog, Shown};

use std::sync::Arc;

/// Everything that a server remembers.
pub trait Store: SessionLog + Catalog + Blobs {}

impl<T: SessionLog + Catalog + Blobs> Store for T {}

pub type AnyStore = Arc<dyn Store>;

/// Why something was not written. Nothing of it was.
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
    #[error("the store failed: {0}")]
    Failed(String),
}

pub type Result<T> = std::result::Result<T, Error>;

//! The session log: append-only, compare-and-append, fenced by leases.

use std::sync::Arc;

use async_trait::async_trait;
use session::{Stored, Summary};
use wire::{EventId, SessionId, ThreadId, Timestamp, WorkspaceId};

use crate::{Change, Result};

/// Rows of one session, appended together or not at all.
#[derive(Debug, Clone)]
pub struct Append {
    pub session: SessionId,
    /// The position of the last row that the writer knows.
    pub expected_head: u64,
    pub lease: Lease,
    /// Numbered from `expected_head + 1`. May be empty, if only the lease or documents change.
    pub rows: Arc<[Stored]>,
    pub summary: Summary,
    /// Whether a brain has something to do after these rows.
    pub runnable: bool,
    /// Documents that change in the same transaction.
    pub changes: Vec<Change>,
}

/// What an append has to do with the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lease {
    /// A client's or the API's own: no lease is needed, and none is touched.
    None,
    /// Take the lease, if it is free or the owner's own, and the owner is a node that lives; the epoch rises by one.
    Claim { owner: String },
    /// Refused with `Fenced` unless the lease is still at this epoch, and its owner lives.
    Hold { epoch: u64 },
    /// As `Hold`, and the lease is free afterwards.
    Release { epoch: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    pub head: u64,
    pub epoch: u64,
}

/// The log's header.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionHead {
    pub workspace: WorkspaceId,
    pub head: u64,
    pub epoch: u64,
    pub summary: Summary,
    pub runnable: bool,
}

/// A fold of the log up to a position, kept so that waking a long session need not read all of it. Never more than a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub position: u64,
    /// The form of the body: one of another form is not read.
    pub format: u32,
    pub body: String,
}

/// A page of what clients see: which rows, in which order.
#[derive(Debug, Clone, Default)]
pub struct Read {
    pub thread: Option<ThreadId>,
    /// Event types; empty means all.
    pub kinds: Vec<String>,
    /// Only the latest first.
    pub descending: bool,
    /// The key of the last row of the page before.
    pub after: Option<Shown>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub limit: usize,
}

/// Where an event stands in the lists: processed ones by the row that shows them, waiting ones behind them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shown {
    At(u64),
    Waiting(u64),
}

/// One event as clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub shown: Shown,
    /// The position of the row where it arrived, which is what coverage counts.
    pub arrived: u64,
    pub id: EventId,
    pub thread: ThreadId,
    pub kind: String,
    pub body: Arc<str>,
    pub processed_at: Option<Timestamp>,
}

/// Law: rows are dense from 1 and never change. `append` is atomic with its changes, fails with `Conflict` if the head is
/// not the expected one, and with `Fenced` if the lease is another's. When it has returned, the rows survive a crash.
#[async_trait]
pub trait SessionLog: Send + Sync {
    /// Makes a session: its header, its first rows and its document, in one transaction.
    async fn create_session(&self, workspace: WorkspaceId, append: Append) -> Result<Appended>;
    async fn append(&self, append: Append) -> Result<Appended>;
    /// Rows from `after` on, at most `limit`; fewer if they are large, but none only at the end.
    async fn rows(&self, session: SessionId, after: u64, limit: usize) -> Result<Vec<Stored>>;
    /// What clients see of the log.
    async fn list(&self, session: SessionId, read: Read) -> Result<Vec<Page>>;
    async fn head(&self, session: SessionId) -> Result<SessionHead>;
    /// The heads of those that exist, in no order.
    async fn heads(&self, sessions: Vec<SessionId>) -> Result<Vec<(SessionId, u64)>>;
    async fn snapshot(&self, session: SessionId) -> Result<Option<Snapshot>>;
    /// Keeps the snapshot in place of an earlier one; passes over one that is older than what is kept, or whose session is gone.
    async fn keep_snapshot(&self, session: SessionId, snapshot: Snapshot) -> Result<()>;
    /// Sessions that a brain has something to do for and whose lease is free.
    async fn runnable(&self, limit: usize) -> Result<Vec<SessionId>>;
    /// Sessions that a brain has something to do for and whose lease this owner has.
    async fn leased(&self, owner: &str) -> Result<Vec<SessionId>>;
    /// Up to where this key's clients have seen the inputs. Only rises.
    async fn cover(&self, session: SessionId, key: &str, position: u64) -> Result<()>;
    async fn covered(&self, session: SessionId, key: &str) -> Result<u64>;
    /// The first input after `position`, if there is one.
    async fn first_input_after(&self, session: SessionId, position: u64) -> Result<Option<u64>>;
    /// Removes a session: its rows, its header, its document, those of its files and of its work items, and the answers that
    /// tell of it.
    /// `InUse` while it is runnable.
    async fn delete_session(&self, session: SessionId) -> Result<()>;
}

//! What stands between a node and its store: delay, loss, silence, and death at any step.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use parking_lot::Mutex;
use store::volatile::Volatile;
use store::{
    Answer, Append, Appended, BlobId, Blobs, Catalog, Change, Dead, Error, Kind, Known, Lease, Listed, Node, Nodes,
    Page, Part, Query, Queue, Read, Record, Result, SessionHead, SessionLog, Snapshot, Taken, Transfer,
};
use tokio::sync::Notify;
use tokio::time::Instant;
use wire::{SessionId, Timestamp, WorkspaceId};

use crate::check::Audit;
use crate::dice::Dice;
use crate::time::pass;

/// One node's weather, from fair to deadly.
pub(crate) struct Weather {
    dice: Dice,
    /// Faults happen. Once the run is over, none do.
    pub(crate) rough: Arc<AtomicBool>,
    /// Until then the store cannot be reached from here.
    silent_until: Mutex<Option<Instant>>,
    /// Until then the process stands still.
    frozen_until: Mutex<Option<Instant>>,
    /// Steps until the node dies; 0 for never.
    fuse: AtomicU64,
    pub(crate) dies: Notify,
}

impl Weather {
    pub(crate) fn new(dice: Dice, rough: Arc<AtomicBool>) -> Self {
        let (silent_until, frozen_until) = (Mutex::default(), Mutex::default());
        Self { dice, rough, silent_until, frozen_until, fuse: AtomicU64::new(0), dies: Notify::new() }
    }

    pub(crate) fn silence(&self, millis: u64) {
        *self.silent_until.lock() = Some(Instant::now() + Duration::from_millis(millis));
    }

    pub(crate) fn freeze(&self, millis: u64) {
        *self.frozen_until.lock() = Some(Instant::now() + Duration::from_millis(millis));
    }

    /// The node dies at one of its next steps.
    pub(crate) fn light_fuse(&self, steps: u64) {
        self.fuse.store(steps, Ordering::Relaxed);
    }

    fn is_rough(&self) -> bool {
        self.rough.load(Ordering::Relaxed)
    }

    /// A step of the node: it does not return while the node is frozen, and never once it is dead.
    pub(crate) async fn step(&self) {
        let until = *self.frozen_until.lock();
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
        }
        let fuse = self.fuse.load(Ordering::Relaxed);
        if fuse > 0 {
            self.fuse.store(fuse - 1, Ordering::Relaxed);
            if fuse == 1 {
                self.dies.notify_one();
                std::future::pending::<()>().await;
            }
        }
    }

    /// On the way to the store.
    async fn before(&self) -> Result<()> {
        self.step().await;
        if self.is_rough() {
            pass(self.dice.below(8)).await;
            let silent = self.silent_until.lock().is_some_and(|until| Instant::now() < until);
            if silent {
                // Some connections break at once, others hang first.
                pass(self.dice.between(1, 4_000)).await;
                return Err(Error::Failed("the store cannot be reached".into()));
            }
            if self.dice.in_thousand(4) {
                return Err(Error::Failed("the request was lost".into()));
            }
        }
        self.step().await;
        Ok(())
    }

    /// On the way back: what was done is done.
    async fn after(&self) -> Result<()> {
        self.step().await;
        if self.is_rough() {
            pass(self.dice.below(8)).await;
            let silent = self.silent_until.lock().is_some_and(|until| Instant::now() < until);
            if silent || self.dice.in_thousand(4) {
                return Err(Error::Failed("the answer was lost".into()));
            }
        }
        self.step().await;
        Ok(())
    }
}

/// The store as one node sees it.
pub(crate) struct Distant {
    pub(crate) store: Arc<Volatile>,
    pub(crate) weather: Arc<Weather>,
    pub(crate) audit: Arc<Audit>,
}

macro_rules! through {
    ($self:ident, $call:expr) => {{
        $self.weather.before().await?;
        let done = $call.await;
        $self.weather.after().await?;
        done
    }};
}

#[async_trait]
impl SessionLog for Distant {
    async fn create_session(&self, workspace: WorkspaceId, append: Append) -> Result<Appended> {
        through!(self, self.store.create_session(workspace, append))
    }

    async fn append(&self, append: Append) -> Result<Appended> {
        let (session, lease, from) = (append.session, append.lease.clone(), append.expected_head);
        self.weather.before().await?;
        let done = self.store.append(append).await;
        if let Ok(appended) = &done
            && lease != Lease::None
        {
            self.audit.appended_by_brain(session, from, *appended);
        }
        self.weather.after().await?;
        done
    }

    async fn rows(&self, session: SessionId, after: u64, limit: usize) -> Result<Vec<session::Stored>> {
        through!(self, self.store.rows(session, after, limit))
    }

    async fn list(&self, session: SessionId, read: Read) -> Result<Vec<Page>> {
        through!(self, self.store.list(session, read))
    }

    async fn head(&self, session: SessionId) -> Result<SessionHead> {
        through!(self, self.store.head(session))
    }

    async fn heads(&self, sessions: Vec<SessionId>) -> Result<Vec<(SessionId, u64)>> {
        through!(self, self.store.heads(sessions))
    }

    async fn snapshot(&self, session: SessionId) -> Result<Option<Snapshot>> {
        through!(self, self.store.snapshot(session))
    }

    async fn keep_snapshot(&self, session: SessionId, snapshot: Snapshot) -> Result<()> {
        through!(self, self.store.keep_snapshot(session, snapshot))
    }

    async fn runnable(&self, limit: usize) -> Result<Vec<SessionId>> {
        through!(self, self.store.runnable(limit))
    }

    async fn cover(&self, session: SessionId, key: &str, position: u64) -> Result<()> {
        through!(self, self.store.cover(session, key, position))
    }

    async fn covered(&self, session: SessionId, key: &str) -> Result<u64> {
        through!(self, self.store.covered(session, key))
    }

    async fn first_input_after(&self, session: SessionId, position: u64) -> Result<Option<u64>> {
        through!(self, self.store.first_input_after(session, position))
    }

    async fn delete_session(&self, session: SessionId) -> Result<()> {
        through!(self, self.store.delete_session(session))
    }
}

#[async_trait]
impl Nodes for Distant {
    async fn join(&self, node: Node, ttl: Duration) -> Result<()> {
        through!(self, self.store.join(node, ttl))
    }

    async fn beat(&self, id: &str, ttl: Duration) -> Result<()> {
        through!(self, self.store.beat(id, ttl))
    }

    async fn nodes(&self) -> Result<Vec<Known>> {
        through!(self, self.store.nodes())
    }

    async fn bury(&self, dead: Dead) -> Result<u64> {
        through!(self, self.store.bury(dead))
    }
}

#[async_trait]
impl Catalog for Distant {
    async fn apply(&self, changes: Vec<Change>) -> Result<()> {
        through!(self, self.store.apply(changes))
    }

    async fn get(&self, workspace: WorkspaceId, kind: Kind, id: &str) -> Result<Listed> {
        through!(self, self.store.get(workspace, kind, id))
    }

    async fn query(&self, query: Query) -> Result<Vec<Listed>> {
        through!(self, self.store.query(query))
    }

    async fn setting(&self, name: &str) -> Result<Option<String>> {
        through!(self, self.store.setting(name))
    }

    async fn set(&self, name: &str, value: &str) -> Result<()> {
        through!(self, self.store.set(name, value))
    }

    async fn settle(&self, name: &str, value: &str) -> Result<String> {
        through!(self, self.store.settle(name, value))
    }

    async fn answer(&self, workspace: WorkspaceId, name: &str) -> Result<Option<Answer>> {
        through!(self, self.store.answer(workspace, name))
    }

    async fn forget_answers(&self, now: Timestamp) -> Result<u64> {
        through!(self, self.store.forget_answers(now))
    }
}

#[async_trait]
impl Queue for Distant {
    async fn take(&self, queue: &str, limit: usize, hidden: Duration) -> Result<Vec<Taken>> {
        through!(self, self.store.take(queue, limit, hidden))
    }

    async fn finish(&self, queue: &str, id: &str, attempt: u32) -> Result<()> {
        through!(self, self.store.finish(queue, id, attempt))
    }

    async fn postpone(&self, queue: &str, id: &str, attempt: u32, delay: Duration) -> Result<()> {
        through!(self, self.store.postpone(queue, id, attempt, delay))
    }
}

#[async_trait]
impl Blobs for Distant {
    async fn put(
        &self,
        workspace: WorkspaceId,
        bytes: BoxStream<'static, std::io::Result<Bytes>>,
    ) -> Result<(BlobId, u64)> {
        through!(self, self.store.put(workspace, bytes))
    }

    async fn read(&self, workspace: WorkspaceId, id: &BlobId) -> Result<BoxStream<'static, std::io::Result<Bytes>>> {
        through!(self, self.store.read(workspace, id))
    }

    async fn export(&self, workspace: WorkspaceId, id: &BlobId, to: &std::path::Path) -> Result<()> {
        through!(self, self.store.export(workspace, id, to))
    }
}

#[async_trait]
impl Transfer for Distant {
    async fn part(&self, after: Option<String>, limit: usize) -> Result<Part> {
        through!(self, self.store.part(after, limit))
    }

    async fn import(&self, records: Vec<Record>) -> Result<()> {
        through!(self, self.store.import(records))
    }

    async fn is_empty(&self) -> Result<bool> {
        through!(self, self.store.is_empty())
    }

    async fn faults(&self) -> Result<Vec<String>> {
        through!(self, self.store.faults())
    }
}

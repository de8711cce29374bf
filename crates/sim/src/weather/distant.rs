//! The way to the store, in one node's weather.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use store::volatile::Volatile;
use store::{
    Answer, Append, Appended, BlobId, Blobs, Catalog, Change, Dead, Kind, Known, Lease, Listed, Node, Nodes, Page,
    Part, Query, Queue, Read, Record, Result, SessionHead, SessionLog, Snapshot, Taken, Transfer,
};
use wire::{SessionId, Timestamp, WorkspaceId};

use super::Weather;
use crate::check::Audit;

/// The store as one node sees it.
pub(crate) struct Distant {
    pub(crate) store: Arc<Volatile>,
    pub(crate) weather: Arc<Weather>,
    pub(crate) audit: Arc<Audit>,
}

/// Asked and answered: whoever stops waiting has asked nothing.
macro_rules! asked {
    ($self:ident, $call:expr) => {{
        $self.weather.before().await?;
        $self.weather.under_way().await;
        let done = $call.await;
        $self.weather.after().await?;
        done
    }};
}

/// A change: once it is sent it comes to be, also when whoever sent it has stopped waiting, or has died.
macro_rules! sent {
    ($self:ident, $store:ident => $call:expr) => {{
        $self.weather.before().await?;
        let $store = $self.store.clone();
        let done = $self.weather.sent(async move { $call.await }).await;
        $self.weather.after().await?;
        done
    }};
}

#[async_trait]
impl SessionLog for Distant {
    async fn create_session(&self, workspace: WorkspaceId, append: Append) -> Result<Appended> {
        asked!(self, self.store.create_session(workspace, append))
    }

    async fn append(&self, append: Append) -> Result<Appended> {
        let (session, lease, from) = (append.session, append.lease.clone(), append.expected_head);
        let (store, audit) = (self.store.clone(), self.audit.clone());
        self.weather.before().await?;
        let appending = async move {
            let done = store.append(append).await;
            if let Ok(appended) = &done
                && lease != Lease::None
            {
                audit.appended_by_brain(session, from, *appended);
            }
            done
        };
        let done = self.weather.sent(appending).await;
        self.weather.after().await?;
        done
    }

    async fn rows(&self, session: SessionId, after: u64, limit: usize) -> Result<Vec<session::Stored>> {
        asked!(self, self.store.rows(session, after, limit))
    }

    async fn list(&self, session: SessionId, read: Read) -> Result<Vec<Page>> {
        asked!(self, self.store.list(session, read))
    }

    async fn head(&self, session: SessionId) -> Result<SessionHead> {
        asked!(self, self.store.head(session))
    }

    async fn heads(&self, sessions: Vec<SessionId>) -> Result<Vec<(SessionId, u64)>> {
        asked!(self, self.store.heads(sessions))
    }

    async fn snapshot(&self, session: SessionId) -> Result<Option<Snapshot>> {
        asked!(self, self.store.snapshot(session))
    }

    async fn keep_snapshot(&self, session: SessionId, snapshot: Snapshot) -> Result<()> {
        sent!(self, store => store.keep_snapshot(session, snapshot))
    }

    async fn leased(&self, owner: &str) -> Result<Vec<SessionId>> {
        asked!(self, self.store.leased(owner))
    }

    async fn runnable(&self, limit: usize) -> Result<Vec<SessionId>> {
        asked!(self, self.store.runnable(limit))
    }

    async fn cover(&self, session: SessionId, key: &str, position: u64) -> Result<()> {
        asked!(self, self.store.cover(session, key, position))
    }

    async fn covered(&self, session: SessionId, key: &str) -> Result<u64> {
        asked!(self, self.store.covered(session, key))
    }

    async fn first_input_after(&self, session: SessionId, position: u64) -> Result<Option<u64>> {
        asked!(self, self.store.first_input_after(session, position))
    }

    async fn delete_session(&self, session: SessionId) -> Result<()> {
        asked!(self, self.store.delete_session(session))
    }
}

#[async_trait]
impl Nodes for Distant {
    async fn join(&self, node: Node, ttl: Duration) -> Result<()> {
        sent!(self, store => store.join(node, ttl))
    }

    async fn beat(&self, id: &str, ttl: Duration) -> Result<()> {
        let id = id.to_owned();
        sent!(self, store => store.beat(&id, ttl))
    }

    async fn nodes(&self) -> Result<Vec<Known>> {
        asked!(self, self.store.nodes())
    }

    async fn bury(&self, dead: Dead) -> Result<u64> {
        sent!(self, store => store.bury(dead))
    }
}

#[async_trait]
impl Catalog for Distant {
    async fn apply(&self, changes: Vec<Change>) -> Result<()> {
        sent!(self, store => store.apply(changes))
    }

    async fn get(&self, workspace: WorkspaceId, kind: Kind, id: &str) -> Result<Listed> {
        asked!(self, self.store.get(workspace, kind, id))
    }

    async fn query(&self, query: Query) -> Result<Vec<Listed>> {
        asked!(self, self.store.query(query))
    }

    async fn setting(&self, name: &str) -> Result<Option<String>> {
        asked!(self, self.store.setting(name))
    }

    async fn set(&self, name: &str, value: &str) -> Result<()> {
        asked!(self, self.store.set(name, value))
    }

    async fn settle(&self, name: &str, value: &str) -> Result<String> {
        asked!(self, self.store.settle(name, value))
    }

    async fn answer(&self, workspace: WorkspaceId, name: &str) -> Result<Option<Answer>> {
        asked!(self, self.store.answer(workspace, name))
    }

    async fn forget_answers(&self, now: Timestamp) -> Result<u64> {
        asked!(self, self.store.forget_answers(now))
    }
}

#[async_trait]
impl Queue for Distant {
    async fn take(&self, queue: &str, limit: usize, hidden: Duration) -> Result<Vec<Taken>> {
        let queue = queue.to_owned();
        sent!(self, store => store.take(&queue, limit, hidden))
    }

    async fn finish(&self, queue: &str, id: &str, attempt: u32) -> Result<()> {
        let (queue, id) = (queue.to_owned(), id.to_owned());
        sent!(self, store => store.finish(&queue, &id, attempt))
    }

    async fn postpone(&self, queue: &str, id: &str, attempt: u32, delay: Duration) -> Result<()> {
        let (queue, id) = (queue.to_owned(), id.to_owned());
        sent!(self, store => store.postpone(&queue, &id, attempt, delay))
    }
}

#[async_trait]
impl Blobs for Distant {
    async fn put(
        &self,
        workspace: WorkspaceId,
        bytes: BoxStream<'static, std::io::Result<Bytes>>,
    ) -> Result<(BlobId, u64)> {
        asked!(self, self.store.put(workspace, bytes))
    }

    async fn read(&self, workspace: WorkspaceId, id: &BlobId) -> Result<BoxStream<'static, std::io::Result<Bytes>>> {
        asked!(self, self.store.read(workspace, id))
    }

    async fn export(&self, workspace: WorkspaceId, id: &BlobId, to: &std::path::Path) -> Result<()> {
        asked!(self, self.store.export(workspace, id, to))
    }
}

#[async_trait]
impl Transfer for Distant {
    async fn part(&self, after: Option<String>, limit: usize) -> Result<Part> {
        asked!(self, self.store.part(after, limit))
    }

    async fn import(&self, records: Vec<Record>) -> Result<()> {
        asked!(self, self.store.import(records))
    }

    async fn is_empty(&self) -> Result<bool> {
        asked!(self, self.store.is_empty())
    }

    async fn faults(&self) -> Result<Vec<String>> {
        asked!(self, self.store.faults())
    }
}

//! Sessions in use: their folded state, kept while it is warm, and the one way to append to them.

mod folded;
mod warm;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bus::{Bus, Published};
use parking_lot::Mutex;
use session::{Row, Stamp, State, Stored};
use store::{AnyStore, Append, Appended, Change, Clock, Error, Kind, Lease, Rng};
use tokio::sync::{Mutex as AsyncMutex, Notify, OwnedMutexGuard};
use tokio::time::Instant;
use wire::{Event, EventId, SessionId, Timestamp, WorkspaceId};

use crate::SessionRecord;
use crate::tasks::Tasks;
use crate::work;
use folded::Folded;
use warm::Warm;

/// One session, warm.
pub struct Live {
    pub id: SessionId,
    pub workspace: WorkspaceId,
    record: Mutex<Arc<SessionRecord>>,
    folded: Arc<AsyncMutex<Folded>>,
    /// The last position that is folded and published here.
    head: AtomicU64,
    used: Mutex<Instant>,
}

impl Live {
    fn new(id: SessionId, workspace: WorkspaceId, record: SessionRecord, folded: Folded) -> Self {
        let head = AtomicU64::new(folded.state.head);
        let (record, folded) = (Mutex::new(Arc::new(record)), Arc::new(AsyncMutex::new(folded)));
        Self { id, workspace, record, folded, head, used: Mutex::new(Instant::now()) }
    }

    /// What does not come from the log, and the agent as it is now.
    pub fn record(&self) -> Arc<SessionRecord> {
        self.record.lock().clone()
    }

    pub(crate) fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }
}

#[derive(Clone)]
pub struct Sessions {
    pub store: AnyStore,
    pub bus: Bus,
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
    warm: Arc<Warm>,
    crash: Option<Arc<Crash>>,
    /// Wakes whoever works on sessions.
    bell: Arc<dyn Fn(SessionId) + Send + Sync>,
    /// Wakes the polls of workers.
    pub(crate) queued: Arc<Notify>,
    tasks: Tasks,
}

/// Ends the process right after an append has become durable, before anybody hears of it: for tests of recovery.
pub struct Crash {
    appends_left: AtomicU64,
}

impl Crash {
    pub fn after(appends: u64) -> Self {
        Self { appends_left: AtomicU64::new(appends) }
    }

    fn appended(&self) {
        if self.appends_left.fetch_sub(1, Ordering::Relaxed) == 1 {
            std::process::abort();
        }
    }
}

/// What a decision writes.
pub struct Write<T> {
    pub rows: Vec<Row>,
    pub lease: Lease,
    pub changes: Vec<Change>,
    pub value: T,
}

#[derive(Debug, thiserror::Error)]
pub enum WriteError<E> {
    /// The decision refused.
    #[error("refused")]
    Refused(E),
    #[error(transparent)]
    Store(#[from] Error),
}

/// Time and ids for one decision: the time stands still in it.
struct Moment<'a> {
    now: Timestamp,
    rng: &'a dyn Rng,
}

impl Stamp for Moment<'_> {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn event_id(&mut self) -> EventId {
        EventId::from_bits(self.rng.bits())
    }
}

impl Sessions {
    pub(crate) fn new(
        parts: (AnyStore, Bus, Arc<dyn Clock>, Arc<dyn Rng>),
        tasks: Tasks,
        bell: Arc<dyn Fn(SessionId) + Send + Sync>,
        crash: Option<Crash>,
    ) -> Self {
        let (store, bus, clock, rng) = parts;
        let (warm, queued, crash) = (Arc::default(), Arc::default(), crash.map(Arc::new));
        Self { store, bus, clock, rng, warm, crash, bell, queued, tasks }
    }

    /// The session, folded as far as this process knows its log.
    pub async fn open(&self, id: SessionId) -> store::Result<Arc<Live>> {
        if let Some(live) = self.warm.get(id) {
            return Ok(live);
        }
        let head = self.store.head(id).await?;
        let name = id.to_string();
        // The document last: one that is newer than the log that was read does no harm, an older one would keep an old agent.
        let folded = self.wake(id).await?;
        let document = self.store.get(head.workspace, Kind::Session, &name).await?;
        let record = serde_json::from_str(&document.document.body).map_err(|error| Error::Failed(error.to_string()))?;
        let live = self.warm.keep(Arc::new(Live::new(id, head.workspace, record, folded)));
        Ok(live)
    }

    /// Makes a session known that was just created.
    pub fn adopt(&self, id: SessionId, workspace: WorkspaceId, record: SessionRecord, state: State) {
        // Its first rows are not part of the conversation: inputs are once they are taken up.
        self.warm.keep(Arc::new(Live::new(id, workspace, record, Folded::new(state))));
    }

    /// Forgets a session that was deleted. Whoever watches it is told.
    pub async fn deleted(&self, live: &Live) {
        self.warm.remove(live.id);
        let (head, thread) = self.state(live, |state| (state.head, state.primary)).await;
        let body = serde_json::to_string(&Event::SessionDeleted {}).unwrap_or_default();
        let id = self.mint();
        let json = wire::event::render(id, &body, Some(self.clock.now()));
        let frame = Some(wire::sse::encode("session.deleted", Some(head + 1), &json).into());
        // It is in no log: there is none any more.
        self.bus.publish(live.id, || vec![Published { position: head + 1, id, thread, frame, last: true }]);
        self.bus.ring(live.id, head + 1);
    }

    /// Forgets what has not been used for a while.
    pub(crate) fn cool(&self) {
        self.warm.cool();
    }

    /// The sessions that are warm here.
    pub(crate) fn warm(&self, id: SessionId) -> Option<Arc<Live>> {
        self.warm.peek(id)
    }

    pub fn mint(&self) -> EventId {
        EventId::from_bits(self.rng.bits())
    }

    /// Reads the state, as far as this process knows it.
    pub async fn state<T>(&self, live: &Live, read: impl FnOnce(&State) -> T) -> T {
        read(&live.folded.lock().await.state)
    }

    /// Brings what this process knows of the session up to date. Without other nodes it always is.
    pub async fn fresh(&self, live: &Live) -> store::Result<()> {
        if !self.bus.is_shared() {
            return Ok(());
        }
        self.catch_up(live, &mut *live.folded.lock().await).await
    }

    /// Decides on the present state and appends what was decided. If the log has grown meanwhile, folds that and decides
    /// again. If the session needs a worker from then on, what brings it one is appended with it. What is appended is
    /// published once it is durable, also when whoever asked has stopped waiting.
    pub async fn write<T, E>(
        &self,
        live: &Arc<Live>,
        mut decide: impl FnMut(&State, &mut dyn Stamp) -> Result<Write<T>, E>,
    ) -> Result<(T, Appended), WriteError<E>> {
        let mut folded = live.folded.clone().lock_owned().await;
        *live.used.lock() = Instant::now();
        loop {
            let mut moment = Moment { now: self.clock.now(), rng: &*self.rng };
            let mut write = match decide(&folded.state, &mut moment) {
                Ok(write) => write,
                Err(refusal) => {
                    // Refused by what may be old news: only what is true now is a reason.
                    let head = folded.state.head;
                    if self.bus.is_shared() {
                        self.catch_up(live, &mut folded).await?;
                    }
                    if folded.state.head == head {
                        return Err(WriteError::Refused(refusal));
                    }
                    continue;
                }
            };
            self.want_worker(live, &folded.state, &mut write, &mut moment)?;
            let Write { rows, lease, changes, value } = write;
            if rows.is_empty() && changes.is_empty() && lease == Lease::None {
                return Ok((value, Appended { head: folded.state.head, epoch: 0 }));
            }
            let (sessions, session) = (self.clone(), live.clone());
            // A task of its own: a client that hangs up must not leave the log ahead of the state and of its watchers.
            let append = async move { sessions.append(session, folded, rows, lease, changes).await };
            let appended;
            (folded, appended) = self.tasks.spawn("append", append).join().await?;
            match appended {
                Ok(appended) => return Ok((value, appended)),
                Err(Error::Conflict { .. }) => self.catch_up(live, &mut folded).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn append(
        &self,
        live: Arc<Live>,
        mut folded: OwnedMutexGuard<Folded>,
        rows: Vec<Row>,
        lease: Lease,
        changes: Vec<Change>,
    ) -> (OwnedMutexGuard<Folded>, store::Result<Appended>) {
        let mut next = folded.state.clone();
        rows.iter().for_each(|row| next.fold(row));
        let stored: Arc<[Stored]> = rows.iter().map(Row::store).collect();
        let by_client = lease == Lease::None;
        let runnable = next.is_runnable();
        let append = Append {
            session: live.id,
            expected_head: folded.state.head,
            lease,
            rows: stored.clone(),
            summary: next.summary(),
            runnable,
            changes,
        };
        let appended = self.store.append(append).await;
        if appended.is_ok() {
            if let Some(crash) = &self.crash {
                crash.appended();
            }
            folded.state = next;
            // Still under the lock: watchers get the rows of a session in their order.
            self.taken_in(&live, &mut folded, &rows, &stored);
            self.bus.ring(live.id, folded.state.head);
            if by_client && runnable {
                (self.bell)(live.id);
            }
            if work::queues(&rows) {
                self.queued.notify_waiters();
            }
        }
        (folded, appended)
    }

    /// Rows have been folded into the state: everything else that follows from them.
    fn taken_in(&self, live: &Live, folded: &mut Folded, rows: &[Row], stored: &[Stored]) {
        folded.view(rows);
        for row in rows {
            if let session::Entry::Event { event, .. } = &row.entry
                && let Event::SessionUpdated { agent: Some(agent), .. } = &**event
            {
                let mut record = live.record.lock();
                *record = Arc::new(SessionRecord { agent: (**agent).clone(), ..(**record).clone() });
            }
        }
        live.head.store(folded.state.head, Ordering::Release);
        self.bus
            .publish(live.id, || rows.iter().zip(stored).map(|(row, stored)| Published::new(row, stored)).collect());
        if let Some(snapshot) = folded.snapshot_due() {
            let (store, id) = (self.store.clone(), live.id);
            // Only a copy: what is lost with it is time.
            self.tasks.spawn("snapshot", async move {
                if let Err(error) = store.keep_snapshot(id, snapshot).await {
                    tracing::warn!(session = %id, %error, "a snapshot could not be kept");
                }
            });
        }
    }
}

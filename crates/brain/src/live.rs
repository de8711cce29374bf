//! Sessions in use: their folded state, kept while it is warm, and the one way to append to them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bus::{Bus, Published};
use context::Transcript;
use parking_lot::Mutex;
use session::{Row, Stamp, State, Stored};
use store::{AnyStore, Append, Appended, Change, Clock, Error, Kind, Lease, Rng};
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Duration, Instant};
use tokio_util::task::TaskTracker;
use wire::{EventId, SessionId, Timestamp, WorkspaceId};

use crate::SessionRecord;

/// Rows read at a time while folding a log.
const BATCH: usize = 2_000;

/// Sessions kept warm. Beyond it the ones unused longest are forgotten; they are folded anew when needed.
const WARM: usize = 512;

/// A session that nobody has used for this long is forgotten.
const COLD: Duration = Duration::from_secs(120);

/// One session, warm.
pub struct Live {
    pub id: SessionId,
    pub workspace: WorkspaceId,
    pub record: SessionRecord,
    folded: Arc<tokio::sync::Mutex<Folded>>,
    used: Mutex<Instant>,
}

struct Folded {
    state: State,
    transcript: Transcript,
}

#[derive(Clone)]
pub struct Sessions {
    pub store: AnyStore,
    pub bus: Bus,
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
    warm: Arc<Mutex<HashMap<SessionId, Arc<Live>>>>,
    crash: Option<Arc<Crash>>,
    /// Wakes whoever works on sessions.
    bell: Arc<dyn Fn(SessionId) + Send + Sync>,
    tasks: TaskTracker,
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
        tasks: TaskTracker,
        bell: Arc<dyn Fn(SessionId) + Send + Sync>,
    ) -> Self {
        let (store, bus, clock, rng) = parts;
        Self { store, bus, clock, rng, warm: Arc::default(), crash: None, bell, tasks }
    }

    /// The session, folded as far as this process knows its log.
    pub async fn open(&self, id: SessionId) -> store::Result<Arc<Live>> {
        if let Some(live) = self.warm.lock().get(&id) {
            *live.used.lock() = Instant::now();
            return Ok(live.clone());
        }
        let head = self.store.head(id).await?;
        let document = self.store.get(head.workspace, Kind::Session, &id.to_string()).await?.document;
        let record = serde_json::from_str(&document.body).map_err(|error| Error::Failed(error.to_string()))?;
        let mut rows = self.store.rows(id, 0, BATCH).await?.into_iter();
        let first = rows.next().ok_or(Error::NotFound)?;
        let first = Row::load(&first, |_| None).map_err(|error| Error::Failed(error.to_string()))?;
        let state = State::begin(&first)
            .ok_or_else(|| Error::Failed(format!("the log of {id} does not begin with its creation")))?;
        let mut folded = Folded { state, transcript: Transcript::default() };
        folded.take(rows.as_slice())?;
        self.catch_up(id, &mut folded).await?;
        let used = Mutex::new(Instant::now());
        let live =
            Live { id, workspace: head.workspace, record, folded: Arc::new(tokio::sync::Mutex::new(folded)), used };
        Ok(self.keep(Arc::new(live)))
    }

    /// Makes a session known that was just created.
    pub fn adopt(&self, id: SessionId, workspace: WorkspaceId, record: SessionRecord, state: State) {
        let folded = Folded { state, transcript: Transcript::default() };
        let used = Mutex::new(Instant::now());
        self.keep(Arc::new(Live { id, workspace, record, folded: Arc::new(tokio::sync::Mutex::new(folded)), used }));
    }

    #[must_use]
    pub fn with_crash(self, crash: Option<Crash>) -> Self {
        Self { crash: crash.map(Arc::new), ..self }
    }

    pub fn forget(&self, id: SessionId) {
        self.warm.lock().remove(&id);
    }

    fn keep(&self, live: Arc<Live>) -> Arc<Live> {
        let mut warm = self.warm.lock();
        if warm.len() >= WARM {
            // Rare, and a scan of a few hundred: no list to keep in order on every use.
            // One in use must stay the only one: two would not see each other's rows.
            let unused = warm.iter().filter(|(_, live)| Arc::strong_count(live) == 1);
            let oldest = unused.min_by_key(|(_, live)| *live.used.lock()).map(|(id, _)| *id);
            oldest.and_then(|id| warm.remove(&id));
        }
        // Two may fold the same log at once: they must end up with the same one.
        warm.entry(live.id).or_insert(live).clone()
    }

    /// Forgets what has not been used for a while.
    pub fn cool(&self) {
        let now = Instant::now();
        self.warm.lock().retain(|_, live| now.duration_since(*live.used.lock()) < COLD || Arc::strong_count(live) > 1);
    }

    async fn catch_up(&self, id: SessionId, folded: &mut Folded) -> store::Result<()> {
        loop {
            let rows = self.store.rows(id, folded.state.head, BATCH).await?;
            if rows.is_empty() {
                return Ok(());
            }
            folded.take(&rows)?;
        }
    }

    pub fn mint(&self) -> EventId {
        EventId::from_bits(self.rng.bits())
    }

    /// Reads the state.
    pub async fn state<T>(&self, live: &Live, read: impl FnOnce(&State) -> T) -> T {
        read(&live.folded.lock().await.state)
    }

    pub async fn conversation(&self, live: &Live) -> Vec<model::Message> {
        live.folded.lock().await.transcript.messages()
    }

    /// Decides on the present state and appends what was decided. If the log has grown meanwhile, folds that and decides
    /// again. What is appended is published once it is durable, also when whoever asked has stopped waiting.
    pub async fn write<T, E>(
        &self,
        live: &Live,
        mut decide: impl FnMut(&State, &mut dyn Stamp) -> Result<Write<T>, E>,
    ) -> Result<(T, Appended), WriteError<E>> {
        let mut folded = live.folded.clone().lock_owned().await;
        *live.used.lock() = Instant::now();
        loop {
            let mut moment = Moment { now: self.clock.now(), rng: &*self.rng };
            let Write { rows, lease, changes, value } =
                decide(&folded.state, &mut moment).map_err(WriteError::Refused)?;
            if rows.is_empty() && changes.is_empty() && lease == Lease::None {
                return Ok((value, Appended { head: folded.state.head, epoch: 0 }));
            }
            let sessions = self.clone();
            let id = live.id;
            // A task of its own: a client that hangs up must not leave the log ahead of the state and of its watchers.
            let append = self.tasks.spawn(async move { sessions.append(id, folded, rows, lease, changes).await });
            let appended;
            (folded, appended) = append.await.map_err(|error| Error::Failed(error.to_string()))?;
            match appended {
                Ok(appended) => return Ok((value, appended)),
                Err(Error::Conflict { .. }) => self.catch_up(live.id, &mut folded).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn append(
        &self,
        session: SessionId,
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
            session,
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
            rows.iter().for_each(|row| folded.transcript.push(row));
            // Still under the lock: watchers get the rows of a session in their order.
            self.bus.publish(session, || {
                rows.iter().zip(&*stored).map(|(row, stored)| Published::new(row, stored)).collect()
            });
            if by_client && runnable {
                (self.bell)(session);
            }
        }
        (folded, appended)
    }
}

impl Folded {
    fn take(&mut self, rows: &[Stored]) -> store::Result<()> {
        for stored in rows {
            let row = Row::load(stored, |position| self.state.waiting(position));
            let row = row.map_err(|error| Error::Failed(error.to_string()))?;
            self.state.fold(&row);
            self.transcript.push(&row);
        }
        Ok(())
    }
}

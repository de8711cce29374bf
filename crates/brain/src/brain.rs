//! The brain of one node: it works on whatever session rings.

mod house;
mod office;
mod rest;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bus::Bus;
use futures::FutureExt;
use hands::{Limits, Sandbox};
use parking_lot::{Mutex, RwLock};
use store::{AnyStore, Clock, Rng};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use wire::SessionId;

use crate::elsewhere::Elsewhere;
use crate::grounds::Grounds;
use crate::hands_of::HandsOf;
use crate::judge::Judge;
use crate::live::{Crash, Live, Sessions};
use crate::retry::Backoff;
use crate::routes::Routes;
use crate::shelf::Shelf;
use crate::tasks::Tasks;
use crate::tenure::Tenure;
use crate::worker;

/// Sessions that are taken up at once.
const STARTS: usize = 16;

/// How long after an error of ours a session is taken up again.
const AGAIN: Duration = Duration::from_secs(2);

#[derive(Debug, Clone)]
pub struct Options {
    pub station: Station,
    /// How long this node's leases last without a heartbeat.
    pub lease: Duration,
    /// How long a model request that is under way may take once the node stops.
    pub drain: Duration,
    /// How long a brain waits for a sandbox whose node cannot be reached, before it is given up.
    pub grace: Duration,
    pub turn: Turn,
    pub backoff: Backoff,
    pub sandbox: Limits,
    /// How long a sandbox that nobody works with keeps its processes. None: for good.
    pub rest_after: Option<Duration>,
    /// How long the files of a sandbox that was put away are kept.
    pub keep_files: Duration,
    pub staging: PathBuf,
}

/// Where this node is, for the others.
#[derive(Debug, Clone)]
pub struct Station {
    /// The data directory's id.
    pub directory: String,
    pub machine: String,
    pub path: String,
    pub address: Option<String>,
}

/// Bounds of a turn.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// Answers with tool calls.
    pub rounds: u32,
    /// Requests in a row that fail.
    pub attempts: u32,
    /// Compactions in a row without an answer between them.
    pub compactions: u32,
}

/// What a brain is made of.
pub struct Parts {
    pub store: AnyStore,
    pub bus: Bus,
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
    pub routes: Routes,
    pub judge: Judge,
    pub hands: Arc<dyn Sandbox>,
    pub grounds: Arc<dyn Grounds>,
    /// Where other nodes find the files of sandboxes that were put away.
    pub shelf: Option<Arc<dyn Shelf>>,
    pub elsewhere: Arc<dyn Elsewhere>,
    pub crash: Option<Crash>,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Brain {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) sessions: Sessions,
    pub(crate) routes: Routes,
    pub(crate) judge: Judge,
    pub(crate) hands: HandsOf,
    pub(crate) options: Options,
    /// No lease is taken any more, and those that are held are handed over.
    pub(crate) stop: CancellationToken,
    /// All leases are handed over: the house is closed.
    closed: CancellationToken,
    elsewhere: Arc<dyn Elsewhere>,
    tenure: RwLock<Option<Arc<Tenure>>>,
    workers: Mutex<BTreeMap<SessionId, Arc<Worker>>>,
    /// The workers alone, so that their end can be waited for before the rest's.
    working: Tasks,
    tasks: Tasks,
    /// Somebody said that there is work.
    look: Notify,
    /// Sessions that are behind what others have appended to them, with how far those are.
    behind: Mutex<BTreeMap<SessionId, u64>>,
    /// Sessions that are taken up at once: a node that takes over thousands must not drown its store.
    pub(crate) starts: Semaphore,
}

/// A session that this node works on.
#[derive(Default)]
pub(crate) struct Worker {
    /// Something has come that it has not looked at.
    rung: AtomicBool,
    pub(crate) bell: Notify,
}

impl Inner {
    /// The present registration; `None` before the first, and once the node has left.
    pub(crate) fn tenure(&self) -> Option<Arc<Tenure>> {
        self.tenure.read().clone()
    }
}

impl Brain {
    pub fn new(parts: Parts, options: Options) -> Self {
        let Parts { store, bus, clock, rng, routes, judge, hands, grounds, shelf, elsewhere, crash } = parts;
        let tasks = Tasks::default();
        let inner = Arc::new_cyclic(|inner: &Weak<Inner>| {
            let brain = inner.clone();
            let bell = move |session| {
                // Without a brain there is nothing to wake.
                if let Some(inner) = brain.upgrade() {
                    Self { inner }.ring(session);
                }
            };
            let hands = HandsOf::new(hands, elsewhere.clone(), store.clone(), rng.clone(), (grounds, shelf), &options);
            let sessions = Sessions::new((store, bus, clock, rng), tasks.clone(), Arc::new(bell), crash);
            Inner {
                sessions,
                routes,
                judge,
                hands,
                options,
                stop: CancellationToken::new(),
                closed: CancellationToken::new(),
                elsewhere,
                tenure: RwLock::default(),
                workers: Mutex::default(),
                working: Tasks::default(),
                tasks,
                look: Notify::new(),
                behind: Mutex::default(),
                starts: Semaphore::new(STARTS),
            }
        });
        Self { inner }
    }

    /// Has the session's sandbox, if it has one, see what its document now says of the input file at this path.
    pub async fn upload(&self, live: &Live, path: &str) -> Result<(), String> {
        let sessions = &self.inner.sessions;
        sessions.fresh(live).await.map_err(|error| error.to_string())?;
        match sessions.state(live, |state| state.hand.clone()).await {
            Some(address) => self.inner.hands.upload(live.id, &address, path).await,
            None => Ok(()),
        }
    }

    pub fn sessions(&self) -> &Sessions {
        &self.inner.sessions
    }

    /// The id of this node's data directory.
    pub fn directory(&self) -> &str {
        &self.inner.options.station.directory
    }

    pub fn routes(&self) -> &Routes {
        &self.inner.routes
    }

    pub fn judge(&self) -> &Judge {
        &self.inner.judge
    }

    /// Takes up what earlier processes left, and keeps looking for work until stopped.
    pub async fn start(&self) -> store::Result<()> {
        self.take_office().await?;
        self.look().await;
        let brain = self.clone();
        self.inner.tasks.spawn("heartbeat", async move { brain.hold_office().await });
        let brain = self.clone();
        self.inner.tasks.spawn("house", async move { brain.keep_house().await });
        let brain = self.clone();
        self.inner.tasks.spawn("sandboxes", async move { brain.tend_hands().await });
        if let Some(after) = self.inner.options.rest_after {
            let brain = self.clone();
            self.inner.tasks.spawn("idle sandboxes", async move { brain.put_away_idle(after).await });
        }
        if self.inner.sessions.bus.is_shared() {
            let brain = self.clone();
            self.inner.tasks.spawn("other nodes", async move { brain.watch_others().await });
        }
        Ok(())
    }

    /// There may be something to do for this session.
    pub fn ring(&self, session: SessionId) {
        let mut workers = self.inner.workers.lock();
        if let Some(worker) = workers.get(&session) {
            worker.rung.store(true, Ordering::Release);
            worker.bell.notify_one();
            return;
        }
        if self.inner.stop.is_cancelled() {
            return;
        }
        let worker = Arc::new(Worker::default());
        workers.insert(session, worker.clone());
        let brain = self.clone();
        self.inner.working.spawn("worker", async move { brain.attend(session, &worker).await });
    }

    /// Works on the session until it rests and nobody rings.
    async fn attend(&self, session: SessionId, worker: &Worker) {
        loop {
            worker.rung.store(false, Ordering::Release);
            let work = AssertUnwindSafe(worker::work(&self.inner, session, &worker.bell)).catch_unwind();
            let failed = work.await.unwrap_or_else(|_| {
                tracing::error!(%session, "a defect: the session's work panicked");
                true
            });
            if failed {
                tokio::select! {
                    biased;
                    () = self.inner.stop.cancelled() => {}
                    () = tokio::time::sleep(AGAIN) => {}
                }
            }
            let mut workers = self.inner.workers.lock();
            // A ring that came after the last look must not be lost with the worker.
            let idle = !failed && !worker.rung.load(Ordering::Acquire);
            if idle || self.inner.stop.is_cancelled() {
                workers.remove(&session);
                return;
            }
        }
    }

    /// Whether this node works on the session now.
    pub(crate) fn has_worker(&self, session: SessionId) -> bool {
        self.inner.workers.lock().contains_key(&session)
    }

    /// Does all of it, also when the client that asked for it hangs up.
    pub async fn whole<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> store::Result<T> {
        self.inner.tasks.spawn("request", work).join().await
    }

    /// Removes the session's sandbox, if it has one, here or wherever it lives.
    pub async fn release_hand(&self, live: &Live) {
        let address = self.inner.sessions.state(live, |state| state.hand.clone()).await;
        if let Err(error) = self.inner.hands.release(live.id, address.as_deref()).await {
            tracing::error!(session = %live.id, %error, "the session's sandbox could not be removed");
        }
    }

    /// Takes no lease any more, hands over those that are held between two steps, and leaves. Sandboxes live on.
    pub async fn stop(&self) {
        self.inner.stop.cancel();
        self.inner.working.finish().await;
        self.leave_office().await;
        self.inner.closed.cancel();
        self.inner.tasks.finish().await;
    }

    /// Ends everything where it stands, as the death of the process would: for the simulation.
    pub fn kill(&self) {
        self.inner.working.kill();
        self.inner.tasks.kill();
    }
}

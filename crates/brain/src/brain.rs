//! The brain of one node: it works on whatever session rings.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bus::Bus;
use futures::FutureExt;
use hands::{Limits, Sandbox};
use parking_lot::Mutex;
use session::Limits as TurnLimits;
use store::{AnyStore, Clock, Rng};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::SessionId;

use crate::hands_of::HandsOf;
use crate::live::{Crash, Sessions};
use crate::retry::Backoff;
use crate::routes::Routes;
use crate::worker;

/// How long after an error of ours a session is taken up again.
const AGAIN: Duration = Duration::from_secs(2);

/// How often a node looks for work that no doorbell told it of.
const POLL: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub struct Options {
    /// Names this process in leases.
    pub node: String,
    pub turn: TurnLimits,
    pub backoff: Backoff,
    pub sandbox: Limits,
    pub staging: PathBuf,
}

/// What a brain is made of.
pub struct Parts {
    pub store: AnyStore,
    pub bus: Bus,
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
    pub routes: Routes,
    pub hands: Arc<dyn Sandbox>,
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
    pub(crate) hands: HandsOf,
    pub(crate) options: Options,
    pub(crate) stop: CancellationToken,
    workers: Mutex<HashMap<SessionId, Arc<Worker>>>,
    tasks: TaskTracker,
}

/// A session that this node works on.
#[derive(Default)]
pub(crate) struct Worker {
    /// Something has come that it has not looked at.
    rung: AtomicBool,
    pub(crate) bell: Notify,
}

impl Brain {
    pub fn new(parts: Parts, options: Options) -> Self {
        let Parts { store, bus, clock, rng, routes, hands, crash } = parts;
        let tasks = TaskTracker::new();
        let inner = Arc::new_cyclic(|inner: &Weak<Inner>| {
            let brain = inner.clone();
            let bell = move |session| {
                // Without a brain there is nothing to wake.
                if let Some(inner) = brain.upgrade() {
                    Self { inner }.ring(session);
                }
            };
            let sessions =
                Sessions::new((store.clone(), bus, clock, rng), tasks.clone(), Arc::new(bell)).with_crash(crash);
            let hands = HandsOf::new(hands, store, options.sandbox, options.staging.clone());
            let workers = Mutex::default();
            Inner { sessions, routes, hands, options, stop: CancellationToken::new(), workers, tasks }
        });
        Self { inner }
    }

    pub fn sessions(&self) -> &Sessions {
        &self.inner.sessions
    }

    pub fn routes(&self) -> &Routes {
        &self.inner.routes
    }

    /// Takes up what earlier processes left, and keeps looking for work until stopped.
    pub async fn start(&self) -> store::Result<()> {
        let reclaimed = self.inner.sessions.store.reclaim().await?;
        if reclaimed > 0 {
            tracing::info!(sessions = reclaimed, "taking up turns that an earlier process left");
        }
        self.look().await;
        let brain = self.clone();
        self.inner.tasks.spawn(async move { brain.keep_house().await });
        Ok(())
    }

    /// There may be something to do for this session.
    pub fn ring(&self, session: SessionId) {
        if self.inner.stop.is_cancelled() {
            return;
        }
        let mut workers = self.inner.workers.lock();
        if let Some(worker) = workers.get(&session) {
            worker.rung.store(true, Ordering::Release);
            worker.bell.notify_one();
            return;
        }
        let worker = Arc::new(Worker::default());
        workers.insert(session, worker.clone());
        let brain = self.clone();
        self.inner.tasks.spawn(async move {
            loop {
                worker.rung.store(false, Ordering::Release);
                let work = AssertUnwindSafe(worker::work(&brain.inner, session, &worker.bell)).catch_unwind();
                let failed = work.await.unwrap_or_else(|_| {
                    tracing::error!(%session, "a defect: the session's work panicked");
                    true
                });
                if failed {
                    tokio::select! {
                        () = brain.inner.stop.cancelled() => {}
                        () = tokio::time::sleep(AGAIN) => {}
                    }
                }
                let mut workers = brain.inner.workers.lock();
                // A ring that came after the last look must not be lost with the worker.
                let idle = !failed && !worker.rung.load(Ordering::Acquire);
                if idle || brain.inner.stop.is_cancelled() {
                    workers.remove(&session);
                    return;
                }
            }
        });
    }

    /// Does all of it, also when the client that asked for it hangs up.
    pub async fn whole<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> store::Result<T> {
        self.inner.tasks.spawn(work).await.map_err(|error| store::Error::Failed(error.to_string()))
    }

    /// Removes the session's sandbox, if it has one.
    pub async fn release_hand(&self, session: SessionId) {
        if let Err(error) = self.inner.hands.destroy(session).await {
            tracing::error!(%session, %error, "the session's sandbox could not be removed");
        }
    }

    /// Stops between two awaits: whatever is under way is taken up by the next process. Sandboxes live on.
    pub async fn stop(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    async fn keep_house(&self) {
        if let Err(error) = self.inner.hands.prepare().await {
            tracing::error!(%error, "no sandbox can be made on this machine; `stead doctor` says more. Sessions without tools work");
        }
        self.attach_hands().await;
        loop {
            tokio::select! {
                () = self.inner.stop.cancelled() => return,
                () = tokio::time::sleep(POLL) => {}
            }
            self.look().await;
            self.inner.sessions.cool();
        }
    }

    async fn look(&self) {
        match self.inner.sessions.store.runnable(1_000).await {
            Ok(sessions) => sessions.into_iter().for_each(|session| self.ring(session)),
            Err(error) => tracing::error!(%error, "the sessions with work could not be listed"),
        }
    }

    /// Attaches the sandboxes of idle sessions, which would end themselves otherwise, and removes those of deleted ones.
    async fn attach_hands(&self) {
        for name in self.inner.hands.names().await {
            let Ok(session) = name.parse::<SessionId>() else { continue };
            match self.inner.sessions.store.head(session).await {
                Ok(head) if !head.runnable => {
                    let Ok(live) = self.inner.sessions.open(session).await else { continue };
                    let address = self.inner.sessions.state(&live, |state| state.hand.clone()).await;
                    if let Some(address) = address {
                        // Gone is found out, and told, when a tool next needs it.
                        let _ = self.inner.hands.adopt(session, &address, head.epoch).await;
                    }
                }
                Ok(_) => {}
                Err(store::Error::NotFound) => self.release_hand(session).await,
                Err(error) => tracing::error!(%session, %error, "the session of a sandbox could not be read"),
            }
        }
    }
}

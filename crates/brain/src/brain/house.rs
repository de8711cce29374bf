//! What a node does beside its sessions: it listens to the others, looks for work that nobody rang for, and cleans up.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use bus::{Bell, Heard};
use store::Error;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use wire::SessionId;

use super::Brain;

/// How often a node that is alone looks for work that no doorbell told it of.
const POLL: Duration = Duration::from_secs(5);

/// The same beside other nodes, whose doorbells can be lost.
const POLL_SHARED: Duration = Duration::from_secs(1);

/// How long doorbells of others are gathered before one look for work answers them all.
const GATHER: Duration = Duration::from_millis(20);

/// Between two sweeps of what has expired.
const SWEEP: Duration = Duration::from_secs(60);

impl Brain {
    /// Hears the other nodes until nobody can speak any more, or the node has left.
    pub fn listen(&self, mut others: mpsc::Receiver<Heard>) {
        let brain = self.clone();
        self.inner.tasks.spawn("listener", async move {
            loop {
                let heard = tokio::select! {
                    biased;
                    () = brain.inner.closed.cancelled() => return,
                    heard = others.recv() => heard,
                };
                match heard {
                    None => return,
                    Some(Heard::Preview { session, preview }) => brain.inner.sessions.bus.hear(session, preview),
                    Some(Heard::Missed) => {
                        brain.refresh_used().await;
                        brain.ring_workers();
                        brain.inner.look.notify_one();
                    }
                    Some(Heard::Bell(bell)) => brain.heard(bell).await,
                }
            }
        });
    }

    async fn heard(&self, bell: Bell) {
        self.refresh(bell).await;
        if self.has_worker(bell.session) {
            self.ring(bell.session);
        } else {
            self.inner.look.notify_one();
        }
    }

    /// Takes in what others have appended to a session that is warm here.
    async fn refresh(&self, bell: Bell) {
        let sessions = &self.inner.sessions;
        let Some(live) = sessions.warm(bell.session).filter(|live| live.head() < bell.head) else { return };
        if let Err(error) = sessions.fresh(&live).await {
            tracing::warn!(session = %bell.session, %error, "a session could not be brought up to date");
        }
        // Nothing rings for rows that are not there, but the end of all rows does.
        if live.head() < bell.head
            && let Err(Error::NotFound) = sessions.store.head(bell.session).await
        {
            sessions.deleted(&live).await;
        }
    }

    /// Looks whether the sessions that are watched or worked on here have grown without a doorbell.
    async fn refresh_used(&self) {
        let mut used: BTreeSet<_> = self.inner.sessions.bus.watched().into_iter().collect();
        used.extend(self.inner.workers.lock().keys());
        if used.is_empty() {
            return;
        }
        let heads: HashMap<_, _> = match self.inner.sessions.store.heads(used.iter().copied().collect()).await {
            Ok(heads) => heads.into_iter().collect(),
            // The heartbeat tells when the store is silent.
            Err(_) => return,
        };
        for session in used {
            let Some(known) = self.inner.sessions.warm(session).map(|live| live.head()) else { continue };
            // What is not there any more counts as grown beyond all bounds.
            let head = heads.get(&session).copied().unwrap_or(u64::MAX);
            if head > known {
                self.refresh(Bell { session, head }).await;
                if self.has_worker(session) {
                    self.ring(session);
                }
            }
        }
    }

    fn ring_workers(&self) {
        let workers: Vec<_> = self.inner.workers.lock().keys().copied().collect();
        workers.into_iter().for_each(|session| self.ring(session));
    }

    pub(super) async fn look(&self) {
        match self.inner.sessions.store.runnable(1_000).await {
            Ok(sessions) => sessions.into_iter().for_each(|session| self.ring(session)),
            Err(error) => tracing::error!(%error, "the sessions with work could not be listed"),
        }
    }

    pub(super) async fn keep_house(&self) {
        let sessions = &self.inner.sessions;
        let is_shared = sessions.bus.is_shared();
        let poll = if is_shared { POLL_SHARED } else { POLL };
        let mut swept = tokio::time::Instant::now();
        // Made once: doorbells that come without a pause must not put the poll off for ever.
        let mut polls = tokio::time::interval(poll);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.inner.closed.cancelled() => return,
                _ = polls.tick() => {
                    if is_shared {
                        self.refresh_used().await;
                    }
                    self.inner.hands.clear_away().await;
                }
                () = self.inner.look.notified() => tokio::time::sleep(GATHER).await,
            }
            self.look().await;
            sessions.cool();
            if swept.elapsed() > SWEEP {
                swept = tokio::time::Instant::now();
                if let Err(error) = sessions.store.forget_answers(sessions.clock.now()).await {
                    tracing::warn!(%error, "expired answers could not be swept");
                }
            }
        }
    }

    /// Tries whether this machine can make sandboxes, and takes hold of those that earlier servers left.
    pub(super) async fn prepare_hands(&self) {
        if let Err(error) = self.inner.hands.prepare().await {
            tracing::error!(%error, "no sandbox can be made on this machine; `stead doctor` says more. Sessions without tools work");
        }
        self.attach_hands().await;
    }

    /// Attaches the sandboxes of idle sessions, which would end themselves otherwise, and removes those of ended ones.
    async fn attach_hands(&self) {
        for name in self.inner.hands.names().await {
            let Ok(session) = name.parse::<SessionId>() else { continue };
            match self.inner.sessions.store.head(session).await {
                Ok(head) if head.summary.status == wire::session::Status::Terminated => {
                    self.clear(session).await;
                }
                Ok(head) if !head.runnable => {
                    let Ok(live) = self.inner.sessions.open(session).await else { continue };
                    let address = self.inner.sessions.state(&live, |state| state.hand.clone()).await;
                    if let Some(address) = address {
                        // Gone is found out, and told, when a tool next needs it.
                        let _ = self.inner.hands.adopt(session, &address, head.epoch).await;
                    }
                }
                Ok(_) => {}
                Err(Error::NotFound) => self.clear(session).await,
                Err(error) => tracing::error!(%session, %error, "the session of a sandbox could not be read"),
            }
        }
    }

    async fn clear(&self, session: SessionId) {
        if let Err(error) = self.inner.hands.destroy(session).await {
            tracing::error!(%session, %error, "the sandbox of an ended session could not be removed");
        }
    }
}

//! What a node does beside its sessions: it listens to the others, looks for work that nobody rang for, and cleans up.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use bus::{Bell, Heard};
use store::Error;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use wire::{SessionId, Timestamp};

use super::Brain;
use crate::live::Live;

/// How often a node that is alone looks for work that no doorbell told it of.
const POLL: Duration = Duration::from_secs(5);

/// The same beside other nodes, whose doorbells can be lost.
const POLL_SHARED: Duration = Duration::from_secs(1);

/// How long doorbells of others are gathered before one look for work answers them all.
const GATHER: Duration = Duration::from_millis(20);

/// Between two looks after the sandboxes of this node.
const TEND: Duration = Duration::from_secs(300);

/// Between two sweeps of what has expired or was left lying.
const SWEEP: Duration = Duration::from_secs(30);

/// Milliseconds that an answer is kept after it has expired: an attempt that is under way may still be measured against it.
const KEEP_ANSWERS: i64 = 600_000;

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
                        let brain = brain.clone();
                        // The doorbells that come now must not wait for it.
                        brain.inner.tasks.clone().spawn("missed doorbells", async move {
                            brain.refresh_used().await;
                            brain.ring_workers();
                            brain.inner.look.notify_one();
                        });
                    }
                    Some(Heard::Bell(bell)) => brain.heard(bell),
                }
            }
        });
    }

    fn heard(&self, bell: Bell) {
        self.catch_up(bell);
        if !self.has_worker(bell.session) {
            self.inner.look.notify_one();
        }
    }

    /// Has what others have appended to a session taken in, if it is warm here, and then looked at by its worker. However
    /// often it is asked, one task at a time does so, and nobody waits for it: a store that hangs holds up this session alone.
    fn catch_up(&self, bell: Bell) {
        let sessions = &self.inner.sessions;
        let Some(live) = sessions.warm(bell.session).filter(|live| live.head() < bell.head) else { return };
        {
            let mut behind = self.inner.behind.lock();
            if let Some(head) = behind.get_mut(&bell.session) {
                *head = bell.head.max(*head);
                return;
            }
            behind.insert(bell.session, bell.head);
        }
        let brain = self.clone();
        self.inner.tasks.spawn("catch-up", async move {
            loop {
                let wanted = brain.inner.behind.lock().get(&live.id).copied().unwrap_or_default();
                brain.refresh(&live, wanted).await;
                if brain.has_worker(live.id) {
                    brain.ring(live.id);
                }
                let mut behind = brain.inner.behind.lock();
                // More may have come meanwhile.
                if behind.get(&live.id).is_none_or(|head| *head <= wanted) {
                    behind.remove(&live.id);
                    return;
                }
            }
        });
    }

    async fn refresh(&self, live: &Live, head: u64) {
        let sessions = &self.inner.sessions;
        if let Err(error) = sessions.fresh(live).await {
            tracing::warn!(session = %live.id, %error, "a session could not be brought up to date");
        }
        // Nothing rings for rows that are not there, but the end of all rows does.
        if live.head() < head
            && let Err(Error::NotFound) = sessions.store.head(live.id).await
        {
            sessions.deleted(live).await;
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
                self.catch_up(Bell { session, head });
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

    /// Takes up sessions whose lease is this node's without its knowing: the answer to a claim can be lost.
    async fn take_up_strays(&self) {
        let Some(tenure) = self.inner.tenure() else { return };
        // The heartbeat tells when the store is silent.
        for session in self.inner.sessions.store.leased(&tenure.id).await.unwrap_or_default() {
            if !self.has_worker(session) {
                self.ring(session);
            }
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
                    self.look().await;
                    if is_shared {
                        self.refresh_used().await;
                    }
                    self.inner.hands.clear_away().await;
                    self.inner.hands.bring_left().await;
                }
                () = self.inner.look.notified() => {
                    tokio::time::sleep(GATHER).await;
                    self.look().await;
                }
            }
            sessions.cool();
            if swept.elapsed() > SWEEP {
                swept = tokio::time::Instant::now();
                self.take_up_strays().await;
                let expired = sessions.clock.now().millis() - KEEP_ANSWERS;
                if let Err(error) = sessions.store.forget_answers(Timestamp::from_millis(expired)).await {
                    tracing::warn!(%error, "expired answers could not be swept");
                }
            }
        }
    }

    /// Tries whether this machine can make sandboxes, takes hold of those that earlier servers left, and looks after all of
    /// them from now on.
    pub(super) async fn tend_hands(&self) {
        if let Err(error) = self.inner.hands.prepare().await {
            tracing::error!(%error, "no sandbox can be made on this machine; `stead doctor` says more. Sessions without tools work");
        }
        loop {
            for kept in self.inner.hands.kept().await {
                let Ok(session) = kept.name.parse::<SessionId>() else { continue };
                if let Err(error) = self.tend(session, kept.incarnation.as_deref()).await {
                    tracing::warn!(%session, %error, "a sandbox could not be looked after");
                }
            }
            for (session, incarnation) in self.inner.hands.attached() {
                if !self.is_named(session, &incarnation).await.unwrap_or(true) {
                    self.inner.hands.detach(session, &incarnation);
                }
            }
            tokio::select! {
                biased;
                () = self.inner.closed.cancelled() => return,
                () = tokio::time::sleep(TEND) => {}
            }
        }
    }

    /// Attaches the sandbox of an idle session, which would end itself otherwise, and removes one that no log names.
    async fn tend(&self, session: SessionId, incarnation: Option<&str>) -> store::Result<()> {
        if self.has_worker(session) {
            return Ok(());
        }
        let head = match self.inner.sessions.store.head(session).await {
            Ok(head) if head.summary.status == wire::session::Status::Terminated => None,
            Ok(head) => Some(head),
            Err(Error::NotFound) => None,
            Err(error) => return Err(error),
        };
        let failed = |error: std::io::Error| Error::Failed(error.to_string());
        let Some(head) = head else { return self.inner.hands.destroy(session, incarnation).await.map_err(failed) };
        // Without one it is being made, or will be made anew.
        let Some(incarnation) = incarnation else { return Ok(()) };
        if !self.is_named(session, incarnation).await? {
            return self.inner.hands.destroy(session, Some(incarnation)).await.map_err(failed);
        }
        if !head.runnable && !self.inner.hands.attached().iter().any(|(attached, _)| *attached == session) {
            let live = self.inner.sessions.open(session).await?;
            if let Some(address) = self.inner.sessions.state(&live, |state| state.hand.clone()).await {
                // Gone is found out, and told, when a tool next needs it.
                let _ = self.inner.hands.adopt(session, &address, head.epoch).await;
            }
        }
        Ok(())
    }

    /// Whether the session's log names this sandbox, or may be about to.
    pub(super) async fn is_named(&self, session: SessionId, incarnation: &str) -> store::Result<bool> {
        if self.has_worker(session) {
            return Ok(true);
        }
        let live = match self.inner.sessions.open(session).await {
            Ok(live) => live,
            Err(Error::NotFound) => return Ok(false),
            Err(error) => return Err(error),
        };
        match self.inner.sessions.fresh(&live).await {
            Ok(_) => {}
            Err(Error::NotFound) => return Ok(false),
            Err(error) => return Err(error),
        }
        let address = self.inner.sessions.state(&live, |state| state.hand.clone()).await;
        let address = address.and_then(|address| serde_json::from_str::<hands::Address>(&address).ok());
        Ok(address.is_some_and(|address| address.incarnation == incarnation))
    }
}

//! A node's registration: taken, kept by a heartbeat, lost, taken anew.

use std::sync::Arc;
use std::time::Duration;

use store::{Dead, Error, Node};

use super::{Brain, Station};
use crate::tenure::Tenure;

/// Heartbeats in the time of one lease.
const BEATS: u32 = 5;

/// Before the next attempt to register with a store that does not answer.
const PAUSE: Duration = Duration::from_millis(500);

/// Attempts to sign off: each of a few connections that lie ready may have broken since it was last used.
const FAREWELLS: u32 = 4;

/// How often a node looks whether others are dead.
const WATCH: Duration = Duration::from_millis(250);

impl Brain {
    /// Registers under a new id. Whoever calls has the data directory's lock: every earlier node of it is dead.
    pub(super) async fn take_office(&self) -> store::Result<()> {
        let sessions = &self.inner.sessions;
        let Station { directory, machine, path, address } = self.inner.options.station.clone();
        let id = format!("{:032x}", sessions.rng.bits());
        let node = Node { id: id.clone(), directory: directory.clone(), machine, path, address };
        let sent = sessions.clock.elapsed();
        sessions.store.join(node, self.inner.options.lease).await?;
        let freed = sessions.store.bury(Dead::Before { directory, id: id.clone() }).await?;
        if freed > 0 {
            tracing::info!(sessions = freed, "taking up turns that an earlier process left");
        }
        let tenure = Tenure::new(id, self.inner.options.lease, sessions.clock.clone(), sent);
        *self.inner.tenure.write() = Some(Arc::new(tenure));
        Ok(())
    }

    /// Renews the registration. Once it cannot be sure to have it, stops all that is done in its name, and registers anew.
    pub(super) async fn hold_office(&self) {
        let lease = self.inner.options.lease;
        let store = &self.inner.sessions.store;
        let mut is_silent = false;
        loop {
            let Some(tenure) = self.inner.tenure() else { return };
            tokio::select! {
                biased;
                () = self.inner.closed.cancelled() => return,
                () = tokio::time::sleep((lease / BEATS).min(tenure.left())) => {}
            }
            let sent = self.inner.sessions.clock.elapsed();
            // No longer than the tenure lasts: it ends to the moment, whether the store answers or not.
            let patience = (lease / 2).min(tenure.left());
            let beat = tokio::time::timeout(patience, store.beat(&tenure.id, lease)).await;
            let lost = match beat {
                Ok(Ok(())) => {
                    tenure.renew(sent);
                    if std::mem::take(&mut is_silent) {
                        tracing::info!("the store answers again");
                    }
                    false
                }
                Ok(Err(Error::NotFound)) => true,
                Ok(Err(error)) => {
                    tell_silence(&mut is_silent, &error);
                    tenure.is_spent()
                }
                Err(late) => {
                    tell_silence(&mut is_silent, &late);
                    tenure.is_spent()
                }
            };
            if lost {
                tracing::warn!("this node's leases ran out: its sessions are others' to take up, and it starts anew");
                tenure.end();
                self.return_to_office().await;
            }
        }
    }

    async fn return_to_office(&self) {
        while let Err(error) = self.take_office().await {
            tracing::warn!(%error, "this node could not register");
            tokio::select! {
                biased;
                () = self.inner.closed.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        self.look().await;
    }

    /// The others need not wait until the registration has run out.
    pub(super) async fn leave_office(&self) {
        let Some(tenure) = self.inner.tenure.write().take() else { return };
        tenure.end();
        for _ in 0..FAREWELLS {
            match self.inner.sessions.store.bury(Dead::Node(tenure.id.clone())).await {
                Ok(_) => return,
                Err(error) => tracing::warn!(%error, "this node could not sign off"),
            }
        }
        tracing::warn!("this node's registration runs out by itself");
    }

    /// Frees the leases of nodes that are dead: of those whose time is over, and sooner of those that can be proved dead.
    pub(super) async fn watch_others(&self) {
        let store = &self.inner.sessions.store;
        loop {
            tokio::select! {
                biased;
                () = self.inner.closed.cancelled() => return,
                () = tokio::time::sleep(WATCH) => {}
            }
            // The heartbeat tells when the store is silent.
            let Ok(known) = store.nodes().await else { continue };
            let mine = &self.inner.options.station.directory;
            let others: Vec<_> = known.into_iter().filter(|known| known.node.directory != *mine).collect();
            let live: Vec<_> =
                others.iter().filter(|known| !known.is_expired).map(|known| known.node.clone()).collect();
            self.inner.elsewhere.known(&live);
            let mut freed = 0;
            if others.iter().any(|known| known.is_expired) {
                freed += store.bury(Dead::Expired).await.unwrap_or(0);
            }
            for node in &live {
                if let Some(proof) = self.inner.elsewhere.proof_of_death(node) {
                    freed += store.bury(Dead::Node(node.id.clone())).await.unwrap_or(0);
                    drop(proof);
                }
            }
            if freed > 0 {
                tracing::info!(sessions = freed, "taking up turns that another node left");
                self.look().await;
            }
        }
    }
}

fn tell_silence(is_silent: &mut bool, error: &dyn std::fmt::Display) {
    if !std::mem::replace(is_silent, true) {
        tracing::error!(%error, "the store does not answer: nothing new is started until it does");
    }
}

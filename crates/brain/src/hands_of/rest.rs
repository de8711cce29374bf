//! Sandboxes that are put away while nobody needs them: their processes end, their files stay.
//!
//! The log goes on naming a sandbox that was put away. Whoever then looks for it does not find it alive, but finds what is
//! left of it, and makes the next one of that. Until the log names the next one, nothing that is left is removed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hands::{Address, Lost};
use tokio::time::{Instant, sleep};
use wire::{SessionId, Timestamp};

use super::{AGAIN, HandsOf};

/// What a sandbox was put away as, on this machine.
pub(crate) struct Left {
    pub(crate) path: PathBuf,
    /// Whether it is a copy, made to be used once.
    is_copy: bool,
}

/// Why what is left of a sandbox was not fetched.
#[derive(Debug, thiserror::Error)]
enum Unfetched {
    /// Of the object store, or of this machine.
    #[error("{0}")]
    Store(String),
    /// Of the node that it lived on.
    #[error("{0}")]
    Node(String),
}

impl HandsOf {
    /// The sandboxes of this node that nobody has worked with for so long.
    pub(crate) fn idle(&self, longer_than: Duration) -> Vec<(SessionId, Address)> {
        let attached = self.attached.lock();
        let idle = attached.iter().filter(|(_, held)| held.used.elapsed() >= longer_than);
        let own = idle.filter(|(_, held)| self.is_home(held.hand.address()));
        own.map(|(session, held)| (*session, held.hand.address().clone())).collect()
    }

    /// Says that somebody works with it.
    pub(crate) fn touch(&self, session: SessionId) {
        if let Some(held) = self.attached.lock().get_mut(&session) {
            held.used = Instant::now();
        }
    }

    /// Puts a sandbox away, under the epoch of its session's last brain: a later one's calls are never cut off.
    pub(crate) async fn rest(&self, session: SessionId, address: &Address, epoch: u64) -> Result<u64, Lost> {
        let checkpoint = self.sandbox.rest(address, epoch).await?;
        self.detach(session, &address.incarnation);
        if let Some(shelf) = &self.shelf {
            // Here it stays all the same: what fails is only that other nodes can have it.
            if let Err(error) = shelf.put(session, &address.incarnation, &checkpoint.path).await {
                tracing::warn!(%session, error, "a sandbox's files are not where other nodes could reach them");
            }
        }
        Ok(checkpoint.bytes)
    }

    /// What is left of the sandbox at this address, if it was put away. An error where that cannot be found out just now:
    /// a sandbox that is made without it would have lost it for good.
    pub(crate) async fn left(&self, session: SessionId, address: &str) -> Result<Option<Left>, String> {
        let Ok(address) = serde_json::from_str::<Address>(address) else { return Ok(None) };
        if self.is_home(&address) {
            let found = self.sandbox.checkpoint(&address).await;
            let found = found.map_err(|error| format!("the files of its last sandbox cannot be read: {error}"))?;
            if let Some(checkpoint) = found {
                return Ok(Some(Left { path: checkpoint.path, is_copy: false }));
            }
        }
        let path = self.staging.join(format!("{session}-{:032x}", self.rng.bits()));
        let until = Instant::now() + self.grace;
        loop {
            match self.fetch_left(session, &address, &path).await {
                Ok(true) => return Ok(Some(Left { path, is_copy: true })),
                Ok(false) => return Ok(None),
                Err(error) => {
                    let _ = tokio::fs::remove_file(&path).await;
                    if Instant::now() < until {
                        tracing::debug!(%session, %error, "a sandbox's files cannot be fetched yet");
                        sleep(AGAIN).await;
                        continue;
                    }
                    return match error {
                        Unfetched::Store(error) => Err(format!("the files of its last sandbox cannot be had: {error}")),
                        // It may never come back.
                        Unfetched::Node(error) => {
                            tracing::warn!(%session, error, "a sandbox's files are lost with its node");
                            Ok(None)
                        }
                    };
                }
            }
        }
    }

    /// Copies it from the shelf, else from its own node. False if neither has it.
    async fn fetch_left(&self, session: SessionId, address: &Address, to: &Path) -> Result<bool, Unfetched> {
        tokio::fs::create_dir_all(&self.staging).await.map_err(|error| Unfetched::Store(error.to_string()))?;
        let on_shelf = match &self.shelf {
            Some(shelf) => shelf.get(session, &address.incarnation, to).await,
            None => Ok(false),
        };
        if let Ok(true) = on_shelf {
            return Ok(true);
        }
        let _ = tokio::fs::remove_file(to).await;
        let on_its_node = match &address.home {
            Some(home) if !self.is_home(address) => self.elsewhere.fetch_left(home, address, to).await,
            _ => Ok(false),
        };
        match (on_its_node, on_shelf) {
            (Ok(true), _) => Ok(true),
            (_, Err(error)) => Err(Unfetched::Store(error)),
            (Err(error), Ok(_)) => Err(Unfetched::Node(error)),
            (Ok(false), Ok(_)) => Ok(false),
        }
    }

    /// The next sandbox was made of it.
    pub(super) async fn used_up(&self, left: Left) {
        if left.is_copy {
            let _ = tokio::fs::remove_file(left.path).await;
        }
    }

    /// The log names a later sandbox than the one at this address: what is left of that is no longer needed.
    pub(crate) async fn forget_left(&self, session: SessionId, address: &str) {
        let Ok(address) = serde_json::from_str::<Address>(address) else { return };
        if self.is_home(&address)
            && let Err(error) = self.sandbox.forget(&address).await
        {
            tracing::warn!(%session, %error, "the files of an earlier sandbox could not be removed");
        }
        if let Some(removal) = self.removal(session, &address)
            && let Err(error) = self.store.apply(vec![removal]).await
        {
            // Its node finds out by itself, only later.
            tracing::debug!(%session, %error, "the node of an earlier sandbox was not asked to remove its files");
        }
        self.clear_shelf(session, None).await;
    }

    /// Removes from the shelf what was put away of this incarnation, or of every one.
    pub(crate) async fn clear_shelf(&self, session: SessionId, incarnation: Option<&str>) {
        if let Some(shelf) = &self.shelf
            && let Err(error) = shelf.remove(session, incarnation).await
        {
            tracing::warn!(%session, error, "the files of an earlier sandbox could not be removed from the object store");
        }
    }

    /// Removes what was put away before this time.
    pub(crate) async fn expire(&self, before: Timestamp) {
        for kept in self.sandbox.kept().await {
            let Some(checkpoint) = kept.checkpoint.filter(|checkpoint| checkpoint.at < before.millis()) else {
                continue;
            };
            let Ok(session) = kept.name.parse::<SessionId>() else { continue };
            tracing::info!(%session, bytes = checkpoint.bytes, "the files of a sandbox have been kept for as long as they are");
            if let Err(error) = self.destroy(session, kept.incarnation.as_deref()).await {
                tracing::warn!(%session, %error, "the files of a sandbox could not be removed");
            }
            // Another node may have put away a later one.
            self.clear_shelf(session, kept.incarnation.as_deref()).await;
        }
    }
}

//! Keeps the pool: makes what is missing, one after the other, and ends what nobody asks for any more.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use hand_protocol::Execute;
use serde_json::json;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};

use super::{
    Inner, Stock,
    demand::{Kind, Ready},
    is_unnamed,
};
use crate::ProvisionError;

/// Between two rounds in which nobody asks for anything.
const ROUND: Duration = Duration::from_secs(15);

/// After one could not be made.
const AGAIN: Duration = Duration::from_secs(60);

/// For the first command of a new sandbox.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whoever works with a sandbox has a higher one.
const EPOCH: u64 = 0;

/// Cancel policy: ends with the pool. Failure policy: what cannot be made or removed is logged, and what is missing is
/// tried again later; a panic ends the keeping, and sandboxes are made as they are asked for.
#[expect(clippy::disallowed_methods, reason = "named here: the keeper of one pool, which ends with it")]
pub(super) fn start<S: Stock + 'static>(pool: &Arc<Inner<S>>) {
    tokio::spawn(keep(Arc::downgrade(pool), Arc::clone(&pool.changed)));
}

async fn keep<S: Stock>(pool: Weak<Inner<S>>, changed: Arc<Notify>) {
    if let Some(pool) = pool.upgrade() {
        pool.sweep().await;
    }
    loop {
        let is_done = match pool.upgrade() {
            Some(pool) => pool.round().await,
            None => return,
        };
        if !is_done {
            sleep(AGAIN).await;
            continue;
        }
        tokio::select! {
            () = changed.notified() => {}
            () = sleep(ROUND) => {}
        }
    }
}

impl<S: Stock> Inner<S> {
    /// Removes what earlier servers have left.
    async fn sweep(&self) {
        let kept = self.sandbox.kept().await.into_iter().map(|kept| kept.name);
        let names = kept.filter(|name| is_unnamed(name) && !name.starts_with(&self.mark));
        self.spent.lock().extend(names);
        self.clear().await;
    }

    /// Returns whether all is done that there was to do.
    async fn round(&self) -> bool {
        loop {
            let surplus = self.demand.lock().surplus(Instant::now(), self.options);
            self.spent.lock().extend(surplus.iter().map(|ready| ready.name.clone()));
            drop(surplus);
            self.clear().await;
            if self.is_closed.load(Ordering::Relaxed) {
                return true;
            }
            let Some(kind) = self.demand.lock().missing(Instant::now(), self.options) else { return true };
            match self.make(&kind).await {
                Ok(ready) => self.put(kind, ready),
                Err(error) => {
                    tracing::warn!(%error, "no sandbox could be made ready ahead");
                    return false;
                }
            }
        }
    }

    /// A sandbox that has run a command: its shell is there.
    pub(super) async fn make(&self, kind: &Kind) -> Result<Ready, ProvisionError> {
        let failed = |why: String| ProvisionError::Failed(why);
        let name = format!("{}{}", self.mark, self.named.fetch_add(1, Ordering::Relaxed));
        let made = async {
            let hand = self.sandbox.provision(&kind.spec(name.clone()), EPOCH).await?;
            let input = json!({ "command": "true" }).as_object().cloned().unwrap_or_default();
            let first = hand.execute(Execute { call: name.clone(), tool: "bash".into(), input });
            match timeout(PATIENCE, first).await {
                Ok(Ok(outcome)) if !outcome.is_error => Ok(hand),
                Ok(Ok(outcome)) => Err(failed(format!("a command gave {:?}", outcome.content))),
                Ok(Err(lost)) => Err(failed(lost.to_string())),
                Err(_) => Err(failed(format!("a command gave nothing within {} seconds", PATIENCE.as_secs()))),
            }
        };
        match made.await {
            Ok(hand) => Ok(Ready { name, hand, since: Instant::now() }),
            Err(error) => {
                self.remove(&name).await;
                Err(error)
            }
        }
    }

    /// Removes what nobody needs.
    pub(super) async fn clear(&self) {
        let spent = std::mem::take(&mut *self.spent.lock());
        for name in spent {
            self.remove(&name).await;
        }
    }

    async fn remove(&self, name: &str) {
        if let Err(error) = self.sandbox.destroy(name, None).await {
            tracing::warn!(sandbox = name, %error, "a sandbox of the pool's could not be removed");
        }
    }
}

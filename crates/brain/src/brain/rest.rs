//! Sandboxes of idle sessions are put away.

use std::time::Duration;

use hands::{Address, Lost};
use wire::{SessionId, Timestamp};

use super::Brain;

/// Between two looks, at most.
const LOOK: Duration = Duration::from_secs(60);

impl Brain {
    pub(super) async fn put_away_idle(&self, after: Duration) {
        loop {
            tokio::select! {
                biased;
                () = self.inner.stop.cancelled() => return,
                () = tokio::time::sleep((after / 4).min(LOOK)) => {}
            }
            for (session, address) in self.inner.hands.idle(after) {
                if self.has_worker(session) {
                    self.inner.hands.touch(session);
                    continue;
                }
                if let Err(error) = self.put_away(session, &address).await {
                    tracing::warn!(%session, %error, "an idle sandbox could not be put away");
                    // Not again at once, nor for ever.
                    self.inner.hands.touch(session);
                }
            }
            let kept = i64::try_from(self.inner.options.keep_files.as_millis()).unwrap_or(i64::MAX);
            let before = self.inner.sessions.clock.now().millis().saturating_sub(kept);
            self.inner.hands.expire(Timestamp::from_millis(before)).await;
        }
    }

    async fn put_away(&self, session: SessionId, address: &Address) -> store::Result<()> {
        let head = match self.inner.sessions.store.head(session).await {
            Ok(head) => head,
            // Whoever tends the sandboxes removes this one.
            Err(store::Error::NotFound) => return Ok(()),
            Err(error) => return Err(error),
        };
        if head.runnable || !self.is_named(session, &address.incarnation).await? {
            return Ok(());
        }
        // Work may begin at this moment, here or elsewhere. Its brain has a later epoch: either the sandbox has seen that
        // and refuses, or the brain finds what is left.
        match self.inner.hands.rest(session, address, head.epoch).await {
            Ok(bytes) => {
                tracing::info!(%session, bytes, "an idle sandbox was put away");
                // Whoever no longer needs it may have cleared the shelf before all of it was there.
                if !self.is_named(session, &address.incarnation).await? {
                    self.inner.hands.clear_shelf(session, Some(&address.incarnation)).await;
                }
            }
            Err(Lost::Fenced(_)) => self.inner.hands.touch(session),
            // Found out, and told, when a tool next needs it.
            Err(Lost::Gone(reason)) => {
                tracing::debug!(%session, reason, "an idle sandbox has ended by itself");
                self.inner.hands.detach(session, &address.incarnation);
            }
            Err(Lost::Refused(reason)) => return Err(store::Error::Failed(reason)),
        }
        Ok(())
    }
}

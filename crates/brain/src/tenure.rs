//! A node's registration: while it lasts, the node's leases do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use store::Clock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// One registration, from `join` to its end. What is done under it is done in its name.
pub(crate) struct Tenure {
    /// The owner that leases name.
    pub(crate) id: String,
    ttl: Duration,
    clock: Arc<dyn Clock>,
    /// When the last heartbeat that succeeded was sent, in milliseconds of [`Clock::elapsed`]: the store counts from later.
    renewed_at: AtomicU64,
    renewed: Notify,
    over: CancellationToken,
}

/// The registration has ended: whatever was done in its name must stop.
#[derive(Debug)]
pub(crate) struct Over;

impl Tenure {
    pub(crate) fn new(id: String, ttl: Duration, clock: Arc<dyn Clock>, sent: Duration) -> Self {
        let renewed_at = AtomicU64::new(millis(sent));
        Self { id, ttl, clock, renewed_at, renewed: Notify::new(), over: CancellationToken::new() }
    }

    pub(crate) fn renew(&self, sent: Duration) {
        self.renewed_at.fetch_max(millis(sent), Ordering::AcqRel);
        self.renewed.notify_waiters();
    }

    fn age(&self) -> Duration {
        let renewed_at = Duration::from_millis(self.renewed_at.load(Ordering::Acquire));
        self.clock.elapsed().saturating_sub(renewed_at)
    }

    /// Whether something may be started: not in the last third, so that what is started in time is also done in time.
    fn may_start(&self) -> bool {
        !self.over.is_cancelled() && self.age() < self.ttl * 2 / 3
    }

    /// How long it still lasts.
    pub(crate) fn left(&self) -> Duration {
        self.ttl.saturating_sub(self.age())
    }

    /// Whether the store may have given the leases to others already.
    pub(crate) fn is_spent(&self) -> bool {
        self.left().is_zero()
    }

    /// Waits until something may be started.
    pub(crate) async fn ready(&self) -> Result<(), Over> {
        loop {
            // Listened for before the look, so that no renewal is missed between them.
            let renewed = self.renewed.notified();
            if self.may_start() {
                return Ok(());
            }
            tokio::select! {
                biased;
                () = self.over.cancelled() => return Err(Over),
                () = renewed => {}
            }
        }
    }

    pub(crate) fn end(&self) {
        self.over.cancel();
    }

    pub(crate) async fn over(&self) {
        self.over.cancelled().await;
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use parking_lot::Mutex;
    use wire::Timestamp;

    use super::*;

    struct Hands(Mutex<Duration>);

    impl Clock for Hands {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(0)
        }

        fn elapsed(&self) -> Duration {
            *self.0.lock()
        }
    }

    fn tenure() -> (Tenure, Arc<Hands>) {
        let clock = Arc::new(Hands(Mutex::new(Duration::from_secs(100))));
        (Tenure::new("one".into(), Duration::from_secs(9), clock.clone(), clock.elapsed()), clock)
    }

    #[test]
    fn nothing_is_started_in_the_last_third() {
        let (tenure, clock) = tenure();
        assert!(tenure.ready().now_or_never().is_some());
        *clock.0.lock() = Duration::from_millis(105_999);
        assert!(tenure.ready().now_or_never().is_some());
        *clock.0.lock() = Duration::from_secs(106);
        assert!(tenure.ready().now_or_never().is_none());
        assert!(!tenure.is_spent());
        *clock.0.lock() = Duration::from_secs(109);
        assert!(tenure.is_spent());
    }

    #[test]
    fn a_renewal_counts_from_when_it_was_sent() {
        let (tenure, clock) = tenure();
        *clock.0.lock() = Duration::from_secs(108);
        tenure.renew(Duration::from_secs(101));
        assert!(tenure.ready().now_or_never().is_none(), "the answer came too late to start anything");
        tenure.renew(Duration::from_secs(107));
        assert!(tenure.ready().now_or_never().is_some());
    }

    #[test]
    fn whoever_waits_hears_of_the_end() {
        let (tenure, clock) = tenure();
        *clock.0.lock() = Duration::from_secs(500);
        tenure.end();
        assert!(matches!(tenure.ready().now_or_never(), Some(Err(Over))));
    }
}

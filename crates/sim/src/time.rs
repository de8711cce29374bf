//! Virtual time: it passes when everybody waits.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use store::Clock;
use tokio::time::Instant;
use wire::Timestamp;

/// 2026-01-01.
const EPOCH: i64 = 1_767_225_600_000;

/// The clocks of one machine.
pub(crate) struct SimClock {
    start: Instant,
    /// How far the wall clock has been set wrong, in milliseconds.
    jumped: AtomicI64,
}

impl SimClock {
    pub(crate) fn new(start: Instant) -> Self {
        Self { start, jumped: AtomicI64::new(0) }
    }

    pub(crate) fn jump(&self, millis: i64) {
        self.jumped.store(millis, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(EPOCH + passed + self.jumped.load(Ordering::Relaxed))
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

pub(crate) async fn pass(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

/// A task of the world: it ends with the run.
#[expect(clippy::disallowed_methods, reason = "the simulation's runtime owns its tasks, and ends with the run")]
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}

//! How long ago something last moved on a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Shared by both sides of a connection: as long as either moves, it is not idle.
#[derive(Clone)]
pub(crate) struct Pulse {
    began: Instant,
    /// Milliseconds after `began`.
    last: Arc<AtomicU64>,
}

impl Pulse {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), last: Arc::default() }
    }

    pub(crate) fn beat(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.fetch_max(now, Ordering::Relaxed);
    }

    /// Returns once nothing has moved for as long as `idle`.
    pub(crate) async fn has_stopped(&self, idle: Duration) {
        loop {
            let end = self.began + Duration::from_millis(self.last.load(Ordering::Relaxed)) + idle;
            if end <= Instant::now() {
                return;
            }
            sleep_until(end).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_stops_after_the_last_beat_and_not_before() {
        let pulse = Pulse::new();
        let began = Instant::now();
        let beats = async {
            for _ in 0..5 {
                sleep(Duration::from_secs(8)).await;
                pulse.beat();
            }
        };
        tokio::join!(beats, pulse.has_stopped(Duration::from_secs(10)));
        assert_eq!(began.elapsed().as_secs(), 50);
    }
}

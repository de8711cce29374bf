//! How fast one sandbox may make the gateway decide. Each decision is a line on disk, and a flood of them would push
//! what matters out of the files that are kept.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// Decisions that may come at once, after a time of rest.
const BURST: u32 = 1_000;

/// Between two decisions in the long run.
const EACH: Duration = Duration::from_millis(10);

pub(crate) struct Pace {
    /// When all decisions so far would have been made, one after the other.
    full_until: Mutex<Instant>,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self { full_until: Mutex::new(Instant::now()) }
    }

    /// Counts one decision, and returns once it may be made.
    pub(crate) async fn keep(&self) {
        let due = {
            let mut full_until = self.full_until.lock();
            let before = (*full_until).max(Instant::now());
            *full_until = before + EACH;
            before
        };
        // A burst is ahead of its time.
        if let Some(due) = due.checked_sub(EACH * BURST)
            && due > Instant::now()
        {
            sleep_until(due).await;
        }
    }

    /// Counts one decision if it may be made now.
    pub(crate) fn try_keep(&self) -> bool {
        let now = Instant::now();
        let mut full_until = self.full_until.lock();
        let before = (*full_until).max(now);
        let is_early = before.duration_since(now) < EACH * BURST;
        if is_early {
            *full_until = before + EACH;
        }
        is_early
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_at_once_and_a_flood_is_held_to_the_pace() {
        let (pace, began) = (Pace::new(), Instant::now());
        for _ in 0..BURST {
            pace.keep().await;
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert!(!pace.try_keep());
        for _ in 0..100 {
            pace.keep().await;
        }
        assert!(began.elapsed() >= EACH * 99, "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn rest_gives_the_burst_back() {
        let pace = Pace::new();
        while pace.try_keep() {}
        tokio::time::advance(EACH * 5).await;
        assert_eq!((0..10).filter(|_| pace.try_keep()).count(), 5);
    }
}

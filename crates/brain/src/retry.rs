//! When to ask a failing model again.

use std::time::Duration;

/// Doubling delays, spread so that many sessions do not come back at once.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    pub first: Duration,
    pub most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(500), most: Duration::from_secs(30) }
    }
}

/// The longest that a provider can make us wait.
pub(crate) const MOST_ASKED: Duration = Duration::from_secs(120);

impl Backoff {
    /// `attempts` failed before this one. `random` is any number; `asked` is what the provider asks for.
    pub fn delay(&self, attempts: u32, asked: Option<Duration>, random: u128) -> Duration {
        let full = self.first.saturating_mul(1 << attempts.min(16)).min(self.most);
        // Between half of it and all of it.
        let share = 0.5 + (random % 1_000) as f64 / 2_000.0;
        full.mul_f64(share).max(asked.unwrap_or_default().min(MOST_ASKED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_to_a_bound_and_heed_the_provider() {
        let backoff = Backoff::default();
        assert_eq!(backoff.delay(0, None, 0), Duration::from_millis(250));
        assert_eq!(backoff.delay(1, None, 0), Duration::from_millis(500));
        assert_eq!(backoff.delay(60, None, 0), Duration::from_secs(15));
        assert_eq!(backoff.delay(0, Some(Duration::from_secs(9)), 0), Duration::from_secs(9));
        assert_eq!(backoff.delay(0, Some(Duration::from_secs(9_999)), 0), MOST_ASKED);
    }
}

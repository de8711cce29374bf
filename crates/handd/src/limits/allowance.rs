//! How long one call may take.

use std::time::{Duration, Instant};

use crate::clock;

/// More than any call's, and so little that no clock runs over.
const LONGEST: u64 = 10 * 365 * 24 * 60 * 60;

/// The time that a call has, whatever it does with it: waiting for its turn counts too.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    until: Instant,
    seconds: u64,
}

impl Allowance {
    /// From now on. No call has less than a second.
    pub(crate) fn of(seconds: u64) -> Self {
        let seconds = seconds.clamp(1, LONGEST);
        Self { until: clock::now() + Duration::from_secs(seconds), seconds }
    }

    pub(crate) fn until(&self) -> Instant {
        self.until
    }

    pub(crate) fn is_over(&self) -> bool {
        clock::now() >= self.until
    }

    /// What the model reads of a call that has used it up.
    pub(crate) fn words(&self) -> String {
        let unit = if self.seconds == 1 { "second" } else { "seconds" };
        format!("the call was ended after {} {unit}, the longest a call may take here", self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_of_seconds_is_too_large_or_too_small() {
        assert!(!Allowance::of(u64::MAX).is_over());
        let least = Allowance::of(0);
        assert!(!least.is_over());
        assert_eq!(least.words(), "the call was ended after 1 second, the longest a call may take here");
    }
}

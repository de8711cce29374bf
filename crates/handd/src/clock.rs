//! The one place that reads a clock.

use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

/// The unit of a process's start time in `/proc/PID/stat`: `USER_HZ`, which is 100 wherever this daemon is built for.
const TICKS_PER_SECOND: u64 = 100;

#[expect(clippy::disallowed_methods, reason = "the daemon waits on real processes: no test can own their time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Clock ticks since boot, rounded down: comparable with the start times that the kernel shows for processes.
pub(crate) fn boot_ticks() -> u64 {
    let since_boot = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(since_boot.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(since_boot.tv_nsec).unwrap_or(0);
    seconds * TICKS_PER_SECOND + nanoseconds / (1_000_000_000 / TICKS_PER_SECOND)
}

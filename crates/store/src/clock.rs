//! Time and randomness, injected so that tests and the simulation own them.

use std::time::Duration;

use wire::Timestamp;

pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
    /// Time since some origin of this machine's own. Setting the wall clock does not move it, and it goes on while the machine
    /// sleeps or the process is stopped.
    fn elapsed(&self) -> Duration;
}

pub trait Rng: Send + Sync {
    fn bits(&self) -> u128;
}

pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the system's time comes in")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
    }
}

/// The operating system's generator: ids are not guessable.
pub struct SystemRng;

impl Rng for SystemRng {
    fn bits(&self) -> u128 {
        let mut bytes = [0; 16];
        // The kernel's generator fails only before it is seeded, early at boot: then wait for it rather than go on without.
        while getrandom::fill(&mut bytes).is_err() {
            std::thread::yield_now();
        }
        u128::from_le_bytes(bytes)
    }
}

//! Who is connected, and since when nobody is.

use std::{
    sync::{Condvar, Mutex},
    time::{Duration, Instant},
};

use crate::{
    clock,
    sync::{self, lock},
};

pub(super) struct Adopters {
    presence: Mutex<Presence>,
    changed: Condvar,
}

struct Presence {
    connected: usize,
    /// Meaningful while nobody is connected.
    alone_since: Instant,
}

/// One adopter, present until this is dropped.
pub(super) struct Adopter<'a>(&'a Adopters);

impl Adopters {
    pub(super) fn new() -> Self {
        let presence = Presence { connected: 0, alone_since: clock::now() };
        Self { presence: Mutex::new(presence), changed: Condvar::new() }
    }

    pub(super) fn join(&self) -> Adopter<'_> {
        lock(&self.presence).connected += 1;
        self.changed.notify_all();
        Adopter(self)
    }

    pub(super) fn is_anybody(&self) -> bool {
        lock(&self.presence).connected > 0
    }

    /// Returns once nobody has been connected for this long without a break.
    pub(super) fn wait_until_orphaned(&self, patience: Duration) {
        let mut presence = lock(&self.presence);
        loop {
            if presence.connected > 0 {
                presence = sync::wait(&self.changed, presence);
                continue;
            }
            let left = patience.saturating_sub(clock::now().saturating_duration_since(presence.alone_since));
            if left.is_zero() {
                return;
            }
            presence = sync::wait_for(&self.changed, presence, left);
        }
    }
}

impl Drop for Adopter<'_> {
    fn drop(&mut self) {
        let mut presence = lock(&self.0.presence);
        presence.connected = presence.connected.saturating_sub(1);
        presence.alone_since = clock::now();
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn the_orphan_time_runs_from_the_last_ones_leaving() {
        let adopters = Adopters::new();
        let began = clock::now();
        thread::scope(|scope| {
            let adopter = adopters.join();
            let waiter = scope.spawn(|| adopters.wait_until_orphaned(Duration::from_millis(50)));
            thread::sleep(Duration::from_millis(100));
            assert!(!waiter.is_finished());
            drop(adopter);
        });
        assert!(clock::now() - began >= Duration::from_millis(150));
    }
}

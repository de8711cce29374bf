//! What one sandbox has used, and how much it may.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::crowd::{Crowd, Spot};

/// Counted since the sandbox was attached for the first time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Bytes that left.
    pub up: u64,
    /// Bytes that came back.
    pub down: u64,
    /// Connections that were let through.
    pub connections: u64,
    /// Requests of any kind that were refused.
    pub denials: u64,
    /// Connections from inside that are open now.
    pub open: u32,
}

#[derive(Default)]
pub(crate) struct Meter {
    up: AtomicU64,
    down: AtomicU64,
    connections: AtomicU64,
    denials: AtomicU64,
    open: AtomicU32,
    /// Of bytes that leave; all ones for none.
    limit: AtomicU64,
}

impl Meter {
    pub(crate) fn set_limit(&self, bytes: Option<u64>) {
        self.limit.store(bytes.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.up.load(Ordering::Relaxed) >= self.limit.load(Ordering::Relaxed)
    }

    /// How many of `wanted` bytes may leave. They count as gone until they are given back.
    pub(crate) fn take(&self, wanted: u64) -> u64 {
        let limit = self.limit.load(Ordering::Relaxed);
        let taken = |up: u64| wanted.min(limit.saturating_sub(up));
        let more = |up: u64| Some(up.saturating_add(taken(up)));
        self.up.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).map_or(0, taken)
    }

    /// What was taken and did not leave.
    pub(crate) fn give_back(&self, bytes: u64) {
        self.up.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn count_down(&self, bytes: u64) {
        self.down.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn count_connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_denial(&self) {
        self.denials.fetch_add(1, Ordering::Relaxed);
    }

    /// A place among `most`, until it is dropped. None if all are taken, or if too many are in the crowd.
    pub(crate) fn enter(self: &Arc<Self>, most: u32, crowd: &Arc<Crowd>) -> Option<Place> {
        let more = |open: u32| (open < most).then_some(open + 1);
        let own = self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        // Given back by its end if there is no spot.
        let taken = Taken(Arc::clone(self));
        Some(Place { _taken: taken, _spot: crowd.enter(own)? })
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage {
            up: self.up.load(Ordering::Relaxed),
            down: self.down.load(Ordering::Relaxed),
            connections: self.connections.load(Ordering::Relaxed),
            denials: self.denials.load(Ordering::Relaxed),
            open: self.open.load(Ordering::Relaxed),
        }
    }
}

/// One of the connections that a sandbox may have at once.
pub(crate) struct Place {
    _taken: Taken,
    _spot: Spot,
}

struct Taken(Arc<Meter>);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_leaves_beyond_the_limit() {
        let meter = Meter::default();
        meter.set_limit(Some(10));
        assert_eq!(meter.take(6), 6);
        assert_eq!(meter.take(6), 4);
        assert_eq!(meter.take(6), 0);
        assert!(meter.is_spent());
        meter.give_back(3);
        assert!(!meter.is_spent());
        assert_eq!(meter.take(6), 3);
        meter.set_limit(None);
        assert_eq!(meter.take(6), 6);
        assert_eq!(meter.usage().up, 16);
    }

    #[test]
    fn a_place_is_free_again_once_it_is_dropped() {
        let meter = Arc::new(Meter::default());
        let crowd = Arc::default();
        let first = meter.enter(2, &crowd);
        let second = meter.enter(2, &crowd);
        assert!(first.is_some() && second.is_some() && meter.enter(2, &crowd).is_none());
        drop(first);
        assert!(meter.enter(2, &crowd).is_some());
        assert_eq!(meter.usage().open, 1);
    }
}

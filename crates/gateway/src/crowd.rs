//! The descriptors of the whole process, shared out among the connections of all sandboxes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Resource, getrlimit};

/// A connection has two: one to the program, one to the host.
const EACH: u64 = 2;

/// Descriptors that no connection gets, besides a quarter of all: those of sandboxes' sockets, the audit, the operator.
const OTHERS: u64 = 64;

/// How many connections are open.
#[derive(Default)]
pub(crate) struct Crowd(AtomicU32);

/// One of them.
pub(crate) struct Spot(Arc<Crowd>);

impl Crowd {
    /// Lets one more of a sandbox in that has `own` already.
    pub(crate) fn enter(self: &Arc<Self>, own: u32) -> Option<Spot> {
        // Asked each time: it may be raised or lowered while this runs.
        self.enter_among(own, places(getrlimit(Resource::Nofile).current))
    }

    /// A sandbox may have as many as are left for all others. So one that takes all it gets leaves half of them, two leave a
    /// third, and whoever comes last still finds some.
    fn enter_among(self: &Arc<Self>, own: u32, all: u32) -> Option<Spot> {
        let more = |open: u32| (own < all.saturating_sub(open)).then_some(open + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Spot(Arc::clone(self)))
    }
}

impl Drop for Spot {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Connections that may be open at once where the process may have so many descriptors.
fn places(descriptors: Option<u64>) -> u32 {
    let all = descriptors.map_or(u64::MAX, |all| (all - all / 4).saturating_sub(OTHERS) / EACH);
    u32::try_from(all).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greedy(crowd: &Arc<Crowd>, all: u32) -> Vec<Spot> {
        let mut own = Vec::new();
        while let Some(spot) = crowd.enter_among(u32::try_from(own.len()).unwrap(), all) {
            own.push(spot);
        }
        own
    }

    #[test]
    fn however_many_are_greedy_the_next_one_finds_a_place() {
        let crowd = Arc::new(Crowd::default());
        let first = greedy(&crowd, 100);
        assert_eq!(first.len(), 50);
        let second = greedy(&crowd, 100);
        assert_eq!(second.len(), 25);
        let third = greedy(&crowd, 100);
        assert!(!third.is_empty());
        drop((first, second, third));
        assert_eq!(greedy(&crowd, 100).len(), 50, "what is given back is there again");
    }

    #[test]
    fn a_part_of_the_descriptors_is_not_for_connections() {
        assert_eq!(places(Some(1_024)), (1_024 - 256 - 64) / 2);
        assert_eq!(places(Some(10)), 0);
        assert_eq!(places(None), u32::MAX);
    }
}

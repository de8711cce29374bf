//! The sessions that are watched here, for the nodes that may work on them.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;
use tokio::sync::mpsc;
use wire::SessionId;

use crate::wants::Interest;

#[derive(Default)]
pub(crate) struct Interests {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    wanted: HashSet<SessionId>,
    told: HashMap<u64, mpsc::UnboundedSender<Interest>>,
    next: u64,
}

/// All interests there are, and every change of them from then on, for one connection.
pub(crate) struct Following<'a> {
    interests: &'a Interests,
    number: u64,
    /// Unbounded, but no longer than clients come and go while the kernel finds out that nobody takes them.
    pub(crate) changes: mpsc::UnboundedReceiver<Interest>,
}

impl Interests {
    pub(crate) fn set(&self, session: SessionId, is_wanted: bool) {
        let mut state = self.state.lock();
        let is_new = if is_wanted { state.wanted.insert(session) } else { state.wanted.remove(&session) };
        if is_new {
            let change = if is_wanted { Interest::Want(session) } else { Interest::Unwant(session) };
            for told in state.told.values() {
                // A connection that has just ended follows no more.
                let _ = told.send(change);
            }
        }
    }

    pub(crate) fn follow(&self) -> Following<'_> {
        let (told, changes) = mpsc::unbounded_channel();
        let mut state = self.state.lock();
        for session in &state.wanted {
            // Its other end is right here.
            let _ = told.send(Interest::Want(*session));
        }
        let number = state.next;
        state.next += 1;
        state.told.insert(number, told);
        drop(state);
        Following { interests: self, number, changes }
    }
}

impl Drop for Following<'_> {
    fn drop(&mut self) {
        self.interests.state.lock().told.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: SessionId = SessionId::from_bits(1);
    const TWO: SessionId = SessionId::from_bits(2);

    #[test]
    fn a_follower_is_told_what_there_is_and_what_changes() {
        let interests = Interests::default();
        interests.set(ONE, true);
        let mut following = interests.follow();
        interests.set(TWO, true);
        interests.set(TWO, true);
        interests.set(ONE, false);
        let told: Vec<_> = std::iter::from_fn(|| following.changes.try_recv().ok()).collect();
        assert_eq!(told, [Interest::Want(ONE), Interest::Want(TWO), Interest::Unwant(ONE)]);
    }

    #[test]
    fn nobody_following_leaves_nothing_behind() {
        let interests = Interests::default();
        drop(interests.follow());
        assert!(interests.state.lock().told.is_empty());
    }
}

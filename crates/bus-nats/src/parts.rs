//! The parts of a preview, counted: whoever shows one must never show it with a gap inside.
//!
//! Parts get lost with a connection of either side, or in a queue that was full. Numbers make that seen where they
//! arrive.

use std::collections::VecDeque;

use bus::Preview;
use wire::EventId;

/// Events of one session that are remembered as begun.
const BEGUN: usize = 32;

/// The events of one session, with the number of the next part of each.
#[derive(Debug, Default)]
pub(crate) struct Parts(VecDeque<(EventId, u64)>);

impl Parts {
    /// For a sender: this part's number. `None` if the event's start was never sent.
    pub(crate) fn number(&mut self, preview: &Preview) -> Option<u64> {
        if preview.starts {
            self.begin(preview.id);
            return Some(0);
        }
        let (_, next) = self.0.iter_mut().find(|(id, _)| *id == preview.id)?;
        *next += 1;
        Some(*next - 1)
    }

    /// For a receiver: whether it has everything before this part. If not, nothing of the event follows any more.
    pub(crate) fn follows(&mut self, preview: &Preview, number: u64) -> bool {
        if preview.starts {
            self.begin(preview.id);
            return true;
        }
        let Some(place) = self.0.iter().position(|(id, _)| *id == preview.id) else { return false };
        match self.0.get_mut(place) {
            Some((_, next)) if *next == number => {
                *next += 1;
                true
            }
            _ => {
                self.0.remove(place);
                false
            }
        }
    }

    fn begin(&mut self, event: EventId) {
        self.0.retain(|(id, _)| *id != event);
        self.0.push_back((event, 1));
        self.0.drain(..self.0.len().saturating_sub(BEGUN));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::ThreadId;

    fn start(id: u128) -> Preview {
        Preview::start(ThreadId::from_bits(1), EventId::from_bits(id), "agent.message")
    }

    fn text(id: u128) -> Preview {
        Preview::text(ThreadId::from_bits(1), EventId::from_bits(id), "text")
    }

    #[test]
    fn parts_are_counted_from_the_start_and_not_without_it() {
        let mut parts = Parts::default();
        assert_eq!(parts.number(&text(1)), None);
        assert_eq!(parts.number(&start(1)), Some(0));
        assert_eq!(parts.number(&start(2)), Some(0));
        let numbers = [text(1), text(1), text(2)].map(|part| parts.number(&part));
        assert_eq!(numbers, [Some(1), Some(2), Some(1)]);
    }

    #[test]
    fn nothing_follows_a_gap_in_its_event_and_other_events_do_not_mind() {
        let mut parts = Parts::default();
        assert!(!parts.follows(&text(1), 1));
        assert!(parts.follows(&start(1), 0) && parts.follows(&start(2), 0));
        assert!(parts.follows(&text(1), 1));
        assert!(!parts.follows(&text(1), 3));
        assert!(!parts.follows(&text(1), 2));
        assert!(parts.follows(&text(2), 1));
    }

    #[test]
    fn only_so_many_events_are_remembered() {
        let mut parts = Parts::default();
        for id in 0..=BEGUN as u128 {
            parts.number(&start(id));
        }
        assert_eq!(parts.number(&text(0)), None);
        assert_eq!(parts.number(&text(1)), Some(1));
        assert_eq!(parts.0.len(), BEGUN);
    }
}

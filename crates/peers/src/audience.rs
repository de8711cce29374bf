//! The nodes that want previews of sessions that are worked on here, by their connections.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use bus::Preview;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use wire::{EventId, SessionId};

use crate::frame;
use crate::wants::Carried;

/// Frames that wait for one connection.
const QUEUE: usize = 1_024;

/// Events of one session that are remembered as begun. Of those before them no more is sent.
const BEGUN: usize = 32;

#[derive(Default)]
pub(crate) struct Audience {
    sessions: Mutex<HashMap<SessionId, Vec<Listener>>>,
    next: AtomicU64,
}

/// One connection, as far as it wants one session.
struct Listener {
    connection: u64,
    queue: mpsc::Sender<Bytes>,
    /// The events of which all was sent so far. Whoever is there must never see a gap inside an event.
    whole: VecDeque<EventId>,
}

/// One connection's place. It is given up by dropping this.
pub(crate) struct Place<'a> {
    audience: &'a Audience,
    connection: u64,
    queue: mpsc::Sender<Bytes>,
}

impl Audience {
    /// A place for a connection, and the frames that are to go out on it.
    pub(crate) fn enter(&self) -> (Place<'_>, mpsc::Receiver<Bytes>) {
        let (queue, frames) = mpsc::channel(QUEUE);
        let connection = self.next.fetch_add(1, Ordering::Relaxed);
        (Place { audience: self, connection, queue }, frames)
    }

    pub(crate) fn wants(&self, session: SessionId) -> bool {
        self.sessions.lock().contains_key(&session)
    }

    pub(crate) fn send(&self, session: SessionId, preview: &Preview) {
        // Too large a frame counts as one that was lost.
        let frame = frame::encode(&Carried { session, preview: preview.encode() }).ok();
        if let Some(listeners) = self.sessions.lock().get_mut(&session) {
            listeners.iter_mut().for_each(|listener| listener.send(preview, frame.as_ref()));
        }
    }
}

impl Place<'_> {
    pub(crate) fn want(&self, session: SessionId) {
        let mut sessions = self.audience.sessions.lock();
        let listeners = sessions.entry(session).or_default();
        if listeners.iter().all(|listener| listener.connection != self.connection) {
            let (connection, queue) = (self.connection, self.queue.clone());
            listeners.push(Listener { connection, queue, whole: VecDeque::new() });
        }
    }

    pub(crate) fn unwant(&self, session: SessionId) {
        let mut sessions = self.audience.sessions.lock();
        if let Some(listeners) = sessions.get_mut(&session) {
            listeners.retain(|listener| listener.connection != self.connection);
            if listeners.is_empty() {
                sessions.remove(&session);
            }
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.audience.sessions.lock().retain(|_, listeners| {
            listeners.retain(|listener| listener.connection != self.connection);
            !listeners.is_empty()
        });
    }
}

impl Listener {
    fn send(&mut self, preview: &Preview, frame: Option<&Bytes>) {
        let begun = self.whole.iter().position(|id| *id == preview.id);
        if begun.is_none() && !preview.starts {
            return;
        }
        let is_sent = frame.is_some_and(|frame| self.queue.try_send(frame.clone()).is_ok());
        match begun {
            None if is_sent => {
                self.whole.push_back(preview.id);
                self.whole.drain(..self.whole.len().saturating_sub(BEGUN));
            }
            Some(place) if !is_sent => {
                self.whole.remove(place);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::ThreadId;

    const SESSION: SessionId = SessionId::from_bits(1);
    const THREAD: ThreadId = ThreadId::from_bits(1);

    fn start(id: u128) -> Preview {
        Preview::start(THREAD, EventId::from_bits(id), "agent.message")
    }

    fn text(id: u128, text: &str) -> Preview {
        Preview::text(THREAD, EventId::from_bits(id), text)
    }

    /// What waits for the connection.
    fn sent(frames: &mut mpsc::Receiver<Bytes>) -> Vec<Preview> {
        let mut sent = Vec::new();
        while let Ok(frame) = frames.try_recv() {
            let carried: Carried = serde_json::from_slice(frame.get(4..).unwrap()).unwrap();
            sent.push(Preview::decode(&carried.preview).unwrap());
        }
        sent
    }

    #[test]
    fn only_what_is_wanted_is_sent_and_only_from_its_start() {
        let audience = Audience::default();
        let (place, mut frames) = audience.enter();
        assert!(!audience.wants(SESSION));
        audience.send(SESSION, &start(1));
        place.want(SESSION);
        place.want(SESSION);
        assert!(audience.wants(SESSION));
        audience.send(SESSION, &text(1, "late"));
        audience.send(SessionId::from_bits(2), &start(2));
        audience.send(SESSION, &start(3));
        audience.send(SESSION, &text(3, "in time"));
        assert_eq!(sent(&mut frames), [start(3), text(3, "in time")]);
        place.unwant(SESSION);
        assert!(!audience.wants(SESSION));
        audience.send(SESSION, &text(3, "unheard"));
        assert!(sent(&mut frames).is_empty());
    }

    #[test]
    fn an_event_with_a_gap_is_not_gone_on_with_and_the_next_one_is_whole() {
        let audience = Audience::default();
        let (place, mut frames) = audience.enter();
        place.want(SESSION);
        audience.send(SESSION, &start(1));
        for _ in 0..QUEUE {
            audience.send(SESSION, &text(1, "more"));
        }
        assert_eq!(sent(&mut frames).len(), QUEUE);
        audience.send(SESSION, &text(1, "after the gap"));
        audience.send(SESSION, &start(2));
        audience.send(SESSION, &text(2, "whole"));
        assert_eq!(sent(&mut frames), [start(2), text(2, "whole")]);
    }

    #[test]
    fn what_is_too_large_for_a_frame_is_a_gap() {
        let audience = Audience::default();
        let (place, mut frames) = audience.enter();
        place.want(SESSION);
        audience.send(SESSION, &start(1));
        audience.send(SESSION, &text(1, &"x".repeat(frame::MOST)));
        audience.send(SESSION, &text(1, "after the gap"));
        assert_eq!(sent(&mut frames), [start(1)]);
    }

    #[test]
    fn a_connection_that_ends_takes_its_wishes_along() {
        let audience = Audience::default();
        let (one, _frames) = audience.enter();
        let (two, _more) = audience.enter();
        one.want(SESSION);
        two.want(SESSION);
        drop(one);
        assert!(audience.wants(SESSION));
        drop(two);
        assert!(!audience.wants(SESSION));
    }
}

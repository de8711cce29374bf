//! Watchers of sessions, in this process.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use wire::{EventId, SessionId};

use crate::{Bell, Bells, Preview, Previews, Published};

/// Items that wait for one watcher. A few hundred bytes when empty, whatever the bound.
const QUEUE: usize = 1_024;

#[derive(Debug, Clone)]
pub enum Item {
    Row(Arc<Published>),
    Preview(Arc<Preview>),
}

struct Watcher {
    queue: Sender<Item>,
    /// Rows were dropped: the watcher must read the log.
    lagged: Arc<AtomicBool>,
    /// The types of event whose previews it wants.
    previews: Vec<String>,
    /// Previews that it has the start of, and no gap in.
    whole: Mutex<HashSet<EventId>>,
}

#[derive(Default)]
struct Topics {
    topics: BTreeMap<SessionId, Vec<Arc<Watcher>>>,
}

#[derive(Clone, Default)]
pub struct Bus {
    topics: Arc<Mutex<Topics>>,
    bells: Option<Arc<dyn Bells>>,
    previews: Option<Arc<dyn Previews>>,
}

/// One watcher's end. Dropping it ends the subscription.
pub struct Subscription {
    session: SessionId,
    items: Receiver<Item>,
    lagged: Arc<AtomicBool>,
    watcher: Arc<Watcher>,
    bus: Bus,
}

impl Bus {
    /// A bus that reaches the other nodes too.
    pub fn with_relay(bells: Arc<dyn Bells>, previews: Arc<dyn Previews>) -> Self {
        Self { topics: Arc::default(), bells: Some(bells), previews: Some(previews) }
    }

    /// Whether there may be other nodes, so that what this one knows of a session may be old.
    pub fn is_shared(&self) -> bool {
        self.bells.is_some()
    }

    /// The session has grown, and its rows are published here: tells the other nodes.
    pub fn ring(&self, session: SessionId, head: u64) {
        if let Some(bells) = &self.bells {
            bells.ring(Bell { session, head });
        }
    }

    /// The sessions that are watched here.
    pub fn watched(&self) -> Vec<SessionId> {
        self.topics.lock().topics.keys().copied().collect()
    }

    /// Everything that is published from now on. `previews` are the types of event to preview.
    pub fn subscribe(&self, session: SessionId, previews: Vec<String>) -> Subscription {
        let (queue, items) = channel(QUEUE);
        let lagged = Arc::new(AtomicBool::new(false));
        let wants_previews = !previews.is_empty();
        let watcher = Arc::new(Watcher { queue, lagged: lagged.clone(), previews, whole: Mutex::default() });
        let mut topics = self.topics.lock();
        let watchers = topics.topics.entry(session).or_default();
        let wanted_before = watchers.iter().any(|watcher| !watcher.previews.is_empty());
        watchers.push(watcher.clone());
        // Still under the lock: wanting and not wanting must not overtake each other.
        if let Some(relay) = self.previews.as_ref().filter(|_| wants_previews && !wanted_before) {
            relay.want(session, true);
        }
        drop(topics);
        Subscription { session, items, lagged, watcher, bus: self.clone() }
    }

    pub fn publish(&self, session: SessionId, rows: impl FnOnce() -> Vec<Published>) {
        let watchers = self.watchers(session);
        if watchers.is_empty() {
            return;
        }
        for row in rows() {
            let row = Arc::new(row);
            for watcher in &watchers {
                watcher.whole.lock().remove(&row.id);
                if watcher.queue.try_send(Item::Row(row.clone())).is_err() {
                    watcher.lagged.store(true, Ordering::Release);
                    // Emptied in between, the queue would never wake its reader to see the mark.
                    let _ = watcher.queue.try_send(Item::Row(row.clone()));
                }
            }
        }
    }

    /// Best effort: a watcher whose queue is full gets no more of this event's preview.
    pub fn preview(&self, session: SessionId, preview: impl FnOnce() -> Preview) {
        let watchers = self.watchers(session);
        let elsewhere = self.previews.as_ref().filter(|relay| relay.is_wanted(session));
        if elsewhere.is_none() && watchers.iter().all(|watcher| watcher.previews.is_empty()) {
            return;
        }
        let preview = preview();
        if let Some(relay) = elsewhere {
            relay.send(session, &preview);
        }
        Self::deliver(&watchers, preview);
    }

    /// A preview from another node, for the watchers of this one.
    pub fn hear(&self, session: SessionId, preview: Preview) {
        Self::deliver(&self.watchers(session), preview);
    }

    fn deliver(watchers: &[Arc<Watcher>], preview: Preview) {
        let preview = Arc::new(preview);
        for watcher in watchers.iter().filter(|watcher| watcher.previews.iter().any(|kind| kind == preview.kind)) {
            let mut whole = watcher.whole.lock();
            if !preview.starts && !whole.contains(&preview.id) {
                continue;
            }
            match watcher.queue.try_send(Item::Preview(preview.clone())) {
                Ok(()) => whole.insert(preview.id),
                Err(_) => whole.remove(&preview.id),
            };
        }
    }

    fn watchers(&self, session: SessionId) -> Vec<Arc<Watcher>> {
        self.topics.lock().topics.get(&session).cloned().unwrap_or_default()
    }
}

impl Subscription {
    /// The next item; `None` once rows were dropped and the queue is empty: then read the log, and go on here.
    pub async fn next(&mut self) -> Option<Item> {
        if let Ok(item) = self.items.try_recv() {
            return Some(item);
        }
        if self.lagged.swap(false, Ordering::AcqRel) {
            return None;
        }
        self.items.recv().await
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut topics = self.bus.topics.lock();
        if let Some(watchers) = topics.topics.get_mut(&self.session) {
            watchers.retain(|watcher| !Arc::ptr_eq(watcher, &self.watcher));
            let wanted = watchers.iter().any(|watcher| !watcher.previews.is_empty());
            if let Some(relay) = self.bus.previews.as_ref().filter(|_| !wanted && !self.watcher.previews.is_empty()) {
                relay.want(self.session, false);
            }
            if watchers.is_empty() {
                topics.topics.remove(&self.session);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::ThreadId;

    const SESSION: SessionId = SessionId::from_bits(1);

    fn row(position: u64) -> Published {
        let (id, thread) = (EventId::from_bits(position.into()), ThreadId::from_bits(1));
        Published { position, id, thread, frame: None, last: false }
    }

    fn message(id: u128) -> (EventId, ThreadId) {
        (EventId::from_bits(id), ThreadId::from_bits(1))
    }

    #[tokio::test]
    async fn a_watcher_that_falls_behind_is_told_to_read_the_log_and_goes_on() {
        let bus = Bus::default();
        let mut watcher = bus.subscribe(SESSION, Vec::new());
        bus.publish(SESSION, || (1..=QUEUE as u64 + 5).map(row).collect());
        for _ in 0..QUEUE {
            assert!(watcher.next().await.is_some());
        }
        assert!(watcher.next().await.is_none());
        bus.publish(SESSION, || vec![row(5_000)]);
        assert!(matches!(watcher.next().await, Some(Item::Row(row)) if row.position == 5_000));
    }

    #[tokio::test]
    async fn a_preview_without_its_start_is_never_continued() {
        let bus = Bus::default();
        let (id, thread) = message(7);
        bus.preview(SESSION, || Preview::start(thread, id, "agent.message"));
        let mut late = bus.subscribe(SESSION, vec!["agent.message".into()]);
        bus.preview(SESSION, || Preview::text(thread, id, "lost"));
        bus.publish(SESSION, || vec![row(1)]);
        assert!(matches!(late.next().await, Some(Item::Row(_))));
    }

    #[test]
    fn nobody_watching_leaves_nothing_behind() {
        let bus = Bus::default();
        drop(bus.subscribe(SESSION, Vec::new()));
        assert!(bus.topics.lock().topics.is_empty());
    }
}

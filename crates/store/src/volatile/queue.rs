//! Items by queue and id, each with how often it was taken.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use wire::Timestamp;

use super::{Volatile, later};
use crate::{Error, Item, Queue, Result, Taken};

#[derive(Clone, Default)]
pub(super) struct Items(BTreeMap<(String, String), Entry>);

#[derive(Clone)]
struct Entry {
    /// Due when it may be taken next: taking it and postponing it move that.
    item: Item,
    attempt: u32,
}

impl Entry {
    fn take(&mut self, hidden_until: Timestamp) -> Taken {
        self.attempt = self.attempt.saturating_add(1);
        let taken = Taken { item: self.item.clone(), attempt: self.attempt };
        self.item.due_at = hidden_until;
        taken
    }
}

impl Items {
    pub(super) fn all(&self) -> impl Iterator<Item = &Item> {
        self.0.values().map(|entry| &entry.item)
    }

    /// Leaves the item out if its id is in the queue, whoever has taken it.
    pub(super) fn enqueue(&mut self, item: Item) {
        let key = (item.queue.clone(), item.id.clone());
        self.0.entry(key).or_insert(Entry { item, attempt: 0 });
    }

    /// The item, if no later attempt has overtaken this one.
    fn taken(&mut self, key: &(String, String), attempt: u32) -> Result<&mut Entry> {
        self.0.get_mut(key).filter(|entry| entry.attempt == attempt).ok_or(Error::NotFound)
    }
}

fn key(queue: &str, id: &str) -> (String, String) {
    (queue.to_owned(), id.to_owned())
}

#[async_trait]
impl Queue for Volatile {
    async fn take(&self, queue: &str, limit: usize, hidden: Duration) -> Result<Vec<Taken>> {
        let mut memory = self.memory.lock();
        let now = self.clock.now();
        let entries = memory.kept.items.0.values_mut();
        let mut due: Vec<&mut Entry> =
            entries.filter(|entry| entry.item.queue == queue && entry.item.due_at <= now).collect();
        due.sort_by_key(|entry| entry.item.due_at);
        Ok(due.into_iter().take(limit).map(|entry| entry.take(later(now, hidden))).collect())
    }

    async fn finish(&self, queue: &str, id: &str, attempt: u32) -> Result<()> {
        let mut memory = self.memory.lock();
        let key = key(queue, id);
        memory.kept.items.taken(&key, attempt)?;
        memory.kept.items.0.remove(&key);
        Ok(())
    }

    async fn postpone(&self, queue: &str, id: &str, attempt: u32, delay: Duration) -> Result<()> {
        let mut memory = self.memory.lock();
        let due_at = later(self.clock.now(), delay);
        memory.kept.items.taken(&key(queue, id), attempt)?.item.due_at = due_at;
        Ok(())
    }
}

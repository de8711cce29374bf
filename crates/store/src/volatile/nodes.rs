//! Nodes by their id, each with the time when it is over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use wire::Timestamp;

use super::{Volatile, later};
use crate::{Dead, Error, Known, Node, Nodes, Result};

#[derive(Clone, Default)]
pub(super) struct Registered(BTreeMap<String, Registration>);

#[derive(Clone)]
struct Registration {
    node: Node,
    expires_at: Timestamp,
}

impl Registration {
    fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.expires_at
    }

    fn is_dead(&self, dead: &Dead, now: Timestamp) -> bool {
        match dead {
            Dead::Expired => self.is_expired(now),
            Dead::Node(id) => self.node.id == *id,
            Dead::Before { directory, id } => self.node.directory == *directory && self.node.id != *id,
        }
    }
}

impl Registered {
    /// Whether the node is registered and its time is not over.
    pub(super) fn lives(&self, id: &str, now: Timestamp) -> bool {
        self.0.get(id).is_some_and(|registration| !registration.is_expired(now))
    }

    /// Ends the registrations of the dead. Returns their ids.
    fn end(&mut self, dead: &Dead, now: Timestamp) -> BTreeSet<String> {
        if matches!(dead, Dead::Before { id, .. } if !self.0.contains_key(id)) {
            return BTreeSet::new();
        }
        let ended = self.0.values().filter(|registration| registration.is_dead(dead, now));
        let ended: BTreeSet<String> = ended.map(|registration| registration.node.id.clone()).collect();
        self.0.retain(|id, _| !ended.contains(id));
        ended
    }
}

#[async_trait]
impl Nodes for Volatile {
    async fn join(&self, node: Node, ttl: Duration) -> Result<()> {
        let mut memory = self.memory.lock();
        let expires_at = later(self.clock.now(), ttl);
        if memory.nodes.0.contains_key(&node.id) {
            return Err(Error::Exists);
        }
        memory.nodes.0.insert(node.id.clone(), Registration { node, expires_at });
        Ok(())
    }

    async fn beat(&self, id: &str, ttl: Duration) -> Result<()> {
        let mut memory = self.memory.lock();
        let now = self.clock.now();
        let living = memory.nodes.0.get_mut(id).filter(|registration| !registration.is_expired(now));
        living.ok_or(Error::NotFound)?.expires_at = later(now, ttl);
        Ok(())
    }

    async fn nodes(&self) -> Result<Vec<Known>> {
        let memory = self.memory.lock();
        let now = self.clock.now();
        let known = memory
            .nodes
            .0
            .values()
            .map(|registration| Known { node: registration.node.clone(), is_expired: registration.is_expired(now) });
        Ok(known.collect())
    }

    async fn bury(&self, dead: Dead) -> Result<u64> {
        let mut memory = self.memory.lock();
        let ended = memory.nodes.end(&dead, self.clock.now());
        let owners = memory.logs.values_mut().map(|log| &mut log.owner);
        let freed = owners.filter_map(|owner| owner.take_if(|owner| ended.contains(owner.as_str())));
        Ok(freed.count() as u64)
    }
}

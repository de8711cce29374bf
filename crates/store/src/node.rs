//! Nodes: the processes that work on sessions, and the leases that they hold by being alive.
//!
//! A session's lease names its owner, a node; it lasts as long as the node's registration, by the store's own clock. So one
//! heartbeat renews all leases of a node, and one statement ends them.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Result;

/// One process. A process that was declared dead comes back as another node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Made anew for each registration; what leases name as their owner.
    pub id: String,
    /// The data directory's own id, which stays the same over restarts. Whoever has its lock proves every earlier node of it
    /// dead.
    pub directory: String,
    /// The machine, as one boot of it: nodes on the same one can try each other's lock.
    pub machine: String,
    /// The path of the data directory, on that machine.
    pub path: String,
    /// Where the other nodes reach this one, as `host:port`.
    pub address: Option<String>,
}

/// A registered node, and whether its time is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub node: Node,
    pub is_expired: bool,
}

/// Which nodes are dead for sure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dead {
    /// Those whose time is over.
    Expired,
    Node(String),
    /// All of the data directory but the one with this id: whoever says so has the directory's lock. None once that one is
    /// not registered itself: the word of a process that is dead by now may come late.
    Before {
        directory: String,
        id: String,
    },
}

/// Law: a node lives from `join` until `ttl` after its last `join` or `beat`, by the store's clock, or until it is buried.
/// What has expired stays so: only an append by a node that lives can claim, hold or release a lease.
#[async_trait]
pub trait Nodes: Send + Sync {
    /// Registers a node whose id is new.
    async fn join(&self, node: Node, ttl: Duration) -> Result<()>;
    /// Renews. `NotFound` if the node has expired or was buried: it must stop all it does, and may join under a new id.
    async fn beat(&self, id: &str, ttl: Duration) -> Result<()>;
    async fn nodes(&self) -> Result<Vec<Known>>;
    /// Ends registrations, and with them the leases of their sessions. Returns how many leases.
    async fn bury(&self, dead: Dead) -> Result<u64>;
}

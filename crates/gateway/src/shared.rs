//! What all connections of one gateway share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ipnet::Ipv4Net;
use parking_lot::RwLock;
use store::Clock;

use crate::audit::Spool;
use crate::crowd::Crowd;
use crate::keys::Keys;
use crate::tasks::Tasks;
use crate::{Resolve, Settings};

/// How long the gateway waits for others.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For the first bytes of a connection, and for each head of a request on it.
    pub head: Duration,
    /// For a name's addresses.
    pub resolve: Duration,
    /// For one of those addresses to answer.
    pub connect: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let ten = Duration::from_secs(10);
        Self { head: ten, resolve: ten, connect: ten }
    }
}

pub(crate) struct Shared {
    pub(crate) settings: RwLock<Arc<Settings>>,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) spool: Spool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) timeouts: Timeouts,
    /// The addresses that stand for names.
    pub(crate) names: Ipv4Net,
    pub(crate) tasks: Tasks,
    pub(crate) connections: AtomicU64,
    pub(crate) crowd: Arc<Crowd>,
    pub(crate) keys: Keys,
}

impl Shared {
    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read())
    }

    pub(crate) fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }
}

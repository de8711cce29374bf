//! What every handler shares.

use std::sync::Arc;

use brain::Brain;
use store::{AnyStore, Clock, Rng};
use tokio_util::sync::CancellationToken;
use wire::{Timestamp, WorkspaceId};

use crate::auth::Key;
use crate::coverage::Coverage;

/// Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub(crate) brain: Brain,
    pub(crate) key: Arc<Key>,
    pub(crate) coverage: Arc<Coverage>,
    /// Ends live streams when the server stops.
    pub(crate) stop: CancellationToken,
}

/// The one workspace of an installation, until there are more.
pub(crate) const WORKSPACE: WorkspaceId = WorkspaceId::from_bits(1);

impl App {
    pub fn new(brain: Brain, key: Key, stop: CancellationToken) -> Self {
        let coverage = Arc::new(Coverage::new(brain.sessions().store.clone()));
        Self { brain, key: Arc::new(key), coverage, stop }
    }

    pub(crate) fn store(&self) -> &AnyStore {
        &self.brain.sessions().store
    }

    pub(crate) fn now(&self) -> Timestamp {
        let clock: &Arc<dyn Clock> = &self.brain.sessions().clock;
        clock.now()
    }

    pub(crate) fn bits(&self) -> u128 {
        let rng: &Arc<dyn Rng> = &self.brain.sessions().rng;
        rng.bits()
    }
}

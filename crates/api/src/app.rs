//! What every handler shares.

use std::sync::Arc;

use brain::Brain;
use store::{AnyStore, Clock, Rng};
use tokio_util::sync::CancellationToken;
use vault::Sealer;
use wire::{Timestamp, WorkspaceId};

use crate::auth::Key;
use crate::coverage::Coverage;
use crate::idempotency::Answers;
use crate::work::Pollers;

/// Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub(crate) brain: Brain,
    pub(crate) key: Arc<Key>,
    pub(crate) coverage: Arc<Coverage>,
    pub(crate) answers: Arc<Answers>,
    pub(crate) pollers: Arc<Pollers>,
    /// Where new secrets go.
    pub(crate) sealer: Arc<dyn Sealer>,
    /// Ends live streams when the server stops.
    pub(crate) stop: CancellationToken,
}

/// The one workspace of an installation, until there are more.
pub(crate) const WORKSPACE: WorkspaceId = WorkspaceId::from_bits(1);

impl App {
    pub fn new(brain: Brain, key: Key, sealer: Arc<dyn Sealer>, stop: CancellationToken) -> Self {
        let sessions = brain.sessions();
        let coverage = Arc::new(Coverage::new(sessions.store.clone()));
        let (clock, rng) = (sessions.clock.clone(), sessions.rng.clone());
        let answers = Arc::new(Answers::new(sessions.store.clone(), clock, rng, key.id.clone()));
        let pollers = Arc::new(Pollers::new(sessions.store.clone(), brain.directory().to_owned()));
        Self { brain, key: Arc::new(key), coverage, answers, pollers, sealer, stop }
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

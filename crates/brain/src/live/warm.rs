//! The sessions that are kept folded.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::{Duration, Instant};
use wire::SessionId;

use super::Live;

/// Sessions kept warm. Beyond it the ones unused longest are forgotten; they are folded anew when needed.
const WARM: usize = 512;

/// A session that nobody has used for this long is forgotten.
const COLD: Duration = Duration::from_secs(120);

#[derive(Default)]
pub(super) struct Warm(Mutex<HashMap<SessionId, Arc<Live>>>);

impl Warm {
    pub(super) fn get(&self, id: SessionId) -> Option<Arc<Live>> {
        let live = self.peek(id)?;
        *live.used.lock() = Instant::now();
        Some(live)
    }

    /// As `get`, but looking does not count as use.
    pub(super) fn peek(&self, id: SessionId) -> Option<Arc<Live>> {
        self.0.lock().get(&id).cloned()
    }

    pub(super) fn remove(&self, id: SessionId) {
        self.0.lock().remove(&id);
    }

    pub(super) fn keep(&self, live: Arc<Live>) -> Arc<Live> {
        let mut warm = self.0.lock();
        if warm.len() >= WARM {
            // Rare, and a scan of a few hundred: no list to keep in order on every use.
            // One in use must stay the only one: two would not see each other's rows.
            let unused = warm.iter().filter(|(_, live)| Arc::strong_count(live) == 1);
            let oldest = unused.min_by_key(|(id, live)| (*live.used.lock(), **id)).map(|(id, _)| *id);
            oldest.and_then(|id| warm.remove(&id));
        }
        // Two may fold the same log at once: they must end up with the same one.
        warm.entry(live.id).or_insert(live).clone()
    }

    pub(super) fn cool(&self) {
        let now = Instant::now();
        self.0.lock().retain(|_, live| now.duration_since(*live.used.lock()) < COLD || Arc::strong_count(live) > 1);
    }
}

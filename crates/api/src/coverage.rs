//! Which inputs a key's clients have seen.
//!
//! Official examples send a message first and open the stream afterwards. A stream with no replay at all would hang them, so a
//! stream that opens on an input which no stream or list of its key has covered begins at that input.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use store::AnyStore;
use wire::SessionId;

/// Entries of the cache of written positions; past it the cache starts anew.
const CACHED: usize = 10_000;

pub(crate) struct Coverage {
    store: AnyStore,
    live: Mutex<HashMap<SessionId, Live>>,
    written: Mutex<HashMap<SessionId, u64>>,
}

/// The streams that are open on a session.
struct Live {
    streams: usize,
    delivered: Arc<AtomicU64>,
}

impl Coverage {
    pub(crate) fn new(store: AnyStore) -> Self {
        Self { store, live: Mutex::default(), written: Mutex::default() }
    }

    /// A stream opens. What it delivers it notes in the number that is returned, until it is detached.
    pub(crate) fn attach(&self, session: SessionId) -> Arc<AtomicU64> {
        let mut live = self.live.lock();
        let live = live.entry(session).or_insert_with(|| Live { streams: 0, delivered: Arc::default() });
        live.streams += 1;
        live.delivered.clone()
    }

    /// A stream has closed. Its deliveries are remembered until they are written, so that the next stream knows of them.
    pub(crate) async fn detach(&self, session: SessionId, key: &str) {
        let delivered = self.delivered(session);
        self.cover(session, key, delivered).await;
        let mut live = self.live.lock();
        if let Some(open) = live.get_mut(&session) {
            open.streams -= 1;
            if open.streams == 0 {
                live.remove(&session);
            }
        }
    }

    fn delivered(&self, session: SessionId) -> u64 {
        self.live.lock().get(&session).map_or(0, |live| live.delivered.load(Ordering::Relaxed))
    }

    /// Everything up to `position` has been seen. Best effort: what is lost here is only seen twice.
    pub(crate) async fn cover(&self, session: SessionId, key: &str, position: u64) {
        {
            let mut written = self.written.lock();
            if written.get(&session).is_some_and(|written| *written >= position) {
                return;
            }
            if written.len() >= CACHED {
                written.clear();
            }
            written.insert(session, position);
        }
        if let Err(error) = self.store.cover(session, key, position).await {
            tracing::warn!(%session, %error, "coverage could not be written");
        }
    }

    /// The first input that no stream and no list has covered.
    pub(crate) async fn first_uncovered(&self, session: SessionId, key: &str) -> store::Result<Option<u64>> {
        let covered = self.store.covered(session, key).await?;
        self.store.first_input_after(session, covered.max(self.delivered(session))).await
    }
}

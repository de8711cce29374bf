//! Which inputs a key's clients have seen.
//!
//! Official examples send a message first and open the stream afterwards. A stream with no replay at all would hang them, so a
//! stream that opens on an input which no stream or list of its key has covered begins at that input.

use std::collections::HashMap;

use parking_lot::Mutex;
use store::AnyStore;
use wire::SessionId;

/// Entries of the cache of written positions; past it the cache starts anew.
const CACHED: usize = 10_000;

pub(crate) struct Coverage {
    store: AnyStore,
    attached: Mutex<HashMap<SessionId, usize>>,
    written: Mutex<HashMap<SessionId, u64>>,
}

impl Coverage {
    pub(crate) fn new(store: AnyStore) -> Self {
        Self { store, attached: Mutex::default(), written: Mutex::default() }
    }

    /// A stream is attached from now on: it covers whatever arrives. Says whether another was attached already.
    pub(crate) fn attach(&self, session: SessionId) -> bool {
        let mut attached = self.attached.lock();
        let count = attached.entry(session).or_default();
        *count += 1;
        *count > 1
    }

    pub(crate) fn detach(&self, session: SessionId) {
        let mut attached = self.attached.lock();
        if let Some(count) = attached.get_mut(&session) {
            *count -= 1;
            if *count == 0 {
                attached.remove(&session);
            }
        }
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
        self.store.first_input_after(session, covered).await
    }
}

//! What carries the bus to the other nodes. All of it is best effort: losing it costs latency only.

use serde::{Deserialize, Serialize};
use wire::SessionId;

use crate::Preview;

/// Tells the other nodes that a session has changed.
pub trait Bells: Send + Sync {
    /// Returns at once. Bells may be dropped, doubled, and joined: only the latest of a session counts.
    fn ring(&self, bell: Bell);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bell {
    pub session: SessionId,
    /// The position of its last row, once that is committed.
    pub head: u64,
}

/// Carries previews to the nodes that have watchers for them.
pub trait Previews: Send + Sync {
    /// Whether any other node wants this session's previews. Asked for each token: cheap.
    fn is_wanted(&self, session: SessionId) -> bool;
    /// Returns at once. In order, or not at all.
    fn send(&self, session: SessionId, preview: &Preview);
    /// Whether this node has watchers for the session's previews, from now on.
    fn want(&self, session: SessionId, wanted: bool);
}

/// What comes from the other nodes.
#[derive(Debug, Clone)]
pub enum Heard {
    Bell(Bell),
    /// Bells may have been missed: whatever is watched must be looked at.
    Missed,
    Preview {
        session: SessionId,
        preview: Preview,
    },
}

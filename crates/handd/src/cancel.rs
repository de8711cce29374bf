//! How a running call is told to stop.

use std::sync::atomic::{AtomicBool, Ordering};

/// What the model reads in place of a cancelled call's result.
pub(crate) const INTERRUPTED: &str = "Tool execution was interrupted before completion. Please retry.";

/// Set once, never cleared. Whoever sets it also wakes whoever may be asleep.
#[derive(Debug, Default)]
pub(crate) struct Cancel(AtomicBool);

impl Cancel {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

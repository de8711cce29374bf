//! What the connection tells of itself.

use std::sync::atomic::{AtomicBool, Ordering};

use async_nats::Event;
use tokio::sync::Notify;

#[derive(Default)]
pub(crate) struct Signals {
    /// There is a connection again, or for the first time.
    pub(crate) up: Notify,
    /// Something that others have said may have been lost.
    pub(crate) missed: Notify,
    is_away: AtomicBool,
}

impl Signals {
    /// Tells of each loss once, however often it is tried to connect meanwhile.
    pub(crate) fn take(&self, event: Event) {
        match event {
            Event::Connected => {
                if self.is_away.swap(false, Ordering::Relaxed) {
                    tracing::info!("NATS is back");
                }
                self.up.notify_one();
            }
            Event::Disconnected | Event::ClientError(_) => {
                if !self.is_away.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%event, "NATS cannot be reached; until it can, nodes hear of each other's work late");
                }
            }
            Event::SlowConsumer(_) => self.missed.notify_one(),
            Event::ServerError(error) => tracing::warn!(%error, "NATS complains"),
            Event::LameDuckMode | Event::Draining | Event::Closed => {}
        }
    }
}

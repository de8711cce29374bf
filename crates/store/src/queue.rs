//! Durable queues: work that must be done at least once, by whichever node comes first.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use wire::Timestamp;

use crate::Result;

/// Something to do. Enqueued as a [`crate::Change`], so together with what it follows from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    pub queue: String,
    /// Unique in the queue: a second item with the same id is left out.
    pub id: String,
    /// Not taken before.
    pub due_at: Timestamp,
    pub body: String,
}

/// An item that this caller has for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub item: Item,
    /// How often it has been taken, this time included. Names this taking: a later one fences it.
    pub attempt: u32,
}

/// Law: `take` gives each due item to one caller, earliest first, and hides it from others for `hidden`, by the store's
/// clock. An item that is not finished by then is due again. `finish` and `postpone` of an attempt that was overtaken give
/// `NotFound`, and change nothing.
#[async_trait]
pub trait Queue: Send + Sync {
    async fn take(&self, queue: &str, limit: usize, hidden: Duration) -> Result<Vec<Taken>>;
    async fn finish(&self, queue: &str, id: &str, attempt: u32) -> Result<()>;
    /// Due again after `delay`.
    async fn postpone(&self, queue: &str, id: &str, attempt: u32, delay: Duration) -> Result<()>;
}

//! Where the files of sandboxes that were put away lie so that every node can reach them.

use std::path::Path;

use async_trait::async_trait;
use wire::SessionId;

/// One place for all nodes. Nothing on it is ever changed: a sandbox has its incarnation's own object.
#[async_trait]
pub trait Shelf: Send + Sync {
    async fn put(&self, session: SessionId, incarnation: &str, from: &Path) -> Result<(), String>;
    /// Copies it to a new file of this machine. False if there is none.
    async fn get(&self, session: SessionId, incarnation: &str, to: &Path) -> Result<bool, String>;
    /// Removes whatever there is of the session, or what there is of this incarnation.
    async fn remove(&self, session: SessionId, incarnation: Option<&str>) -> Result<(), String>;
}

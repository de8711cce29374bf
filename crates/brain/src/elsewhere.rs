//! The other nodes, as far as a brain needs them.

use std::path::Path;

use async_trait::async_trait;
use hands::{Address, Hand, Lost};
use store::Node;

/// Law: nothing here is needed for safety. A node that cannot be reached costs time, or a sandbox.
#[async_trait]
pub trait Elsewhere: Send + Sync {
    /// The other nodes that live, told whenever the store was asked for them.
    fn known(&self, nodes: &[Node]);
    /// A hand that lives on the node of this data directory. `Refused` if that cannot be reached now, `Gone` if it is known
    /// that the hand is no more.
    async fn adopt(&self, home: &str, address: &Address, epoch: u64) -> Result<Box<dyn Hand>, Lost>;
    /// Copies what a hand of that node was put away as to a new file, which may be there in part if this fails. False if
    /// nothing is left of it.
    async fn fetch_left(&self, _home: &str, _address: &Address, _to: &Path) -> Result<bool, String> {
        Ok(false)
    }
    /// Proof that a node is dead, if there is one. While it is kept, the node does not come back.
    fn proof_of_death(&self, node: &Node) -> Option<Box<dyn Send>>;
}

/// There are none.
pub struct Alone;

#[async_trait]
impl Elsewhere for Alone {
    fn known(&self, _: &[Node]) {}

    async fn adopt(&self, home: &str, _: &Address, _: u64) -> Result<Box<dyn Hand>, Lost> {
        Err(Lost::Gone(format!("it was made by the server of another data directory, {home}")))
    }

    fn proof_of_death(&self, _: &Node) -> Option<Box<dyn Send>> {
        None
    }
}

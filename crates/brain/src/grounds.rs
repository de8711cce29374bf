//! What the sandboxes of a session stand on, and what they may reach, as its environment says.

use async_trait::async_trait;
use hands::{Ground, Network};
use wire::environment::Config;

/// Makes environments real on this machine.
#[async_trait]
pub trait Grounds: Send + Sync {
    /// Ready to make a sandbox over. May take long the first time, while packages are installed. `mcp` are the hosts of
    /// the agent's MCP servers. What goes wrong is said in words for the model and its user.
    async fn ready(&self, config: &Config, mcp: &[String]) -> Result<(Ground, Option<Network>), String>;
}

/// The host's own system, and no network.
pub struct Bare;

#[async_trait]
impl Grounds for Bare {
    async fn ready(&self, _: &Config, _: &[String]) -> Result<(Ground, Option<Network>), String> {
        Ok((Ground::default(), None))
    }
}

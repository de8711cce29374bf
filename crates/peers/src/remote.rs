//! The way to a sandbox of another node.

use std::sync::Arc;

use async_trait::async_trait;
use hands::{Address, BoxedStream, Dial, Lost};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::frame::{self, MOST};
use crate::peers::Shared;
use crate::socket::PATIENCE;
use crate::wants::{Verdict, Want};

pub(crate) struct Remote {
    shared: Arc<Shared>,
    /// The data directory where it lives.
    home: String,
    address: Address,
}

impl Remote {
    pub(crate) fn new(shared: Arc<Shared>, home: String, address: Address) -> Self {
        Self { shared, home, address }
    }
}

#[async_trait]
impl Dial for Remote {
    /// Only the sandbox's own node can say that it is gone.
    async fn dial(&self) -> Result<BoxedStream, Lost> {
        let want = Want::Hand { address: self.address.clone() };
        Ok(Box::new(ask(&self.shared, &self.home, &want).await?))
    }
}

/// Asks the node of this data directory for one thing of its own, and returns what it says once it has agreed.
pub(crate) async fn ask(shared: &Shared, home: &str, want: &Want) -> Result<TcpStream, Lost> {
    let away = |why: &dyn std::fmt::Display| Lost::Refused(format!("its node, of {home}, is away: {why}"));
    // Looked up anew: the node may have come back elsewhere.
    let node = shared.address_of(home).ok_or_else(|| away(&"it is not among those that live"))?;
    let mut stream = shared.reach(home, &node, want).await.map_err(|error| away(&error))?;
    let verdict = timeout(PATIENCE, frame::read::<Verdict, _>(&mut stream, MOST)).await;
    let verdict = verdict.map_err(|_| away(&"it does not answer"))?.map_err(|error| away(&error))?;
    verdict.into_result()?;
    Ok(stream)
}

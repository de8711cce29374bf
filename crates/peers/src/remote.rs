//! The way to a sandbox of another node.

use std::sync::Arc;

use async_trait::async_trait;
use hands::{Address, BoxedStream, Dial, Lost};
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
        let Self { shared, home, address } = self;
        let away = |why: &dyn std::fmt::Display| Lost::Refused(format!("its node, of {home}, is away: {why}"));
        // Asked for anew: the node may have come back elsewhere.
        let node = shared.address_of(home).ok_or_else(|| away(&"it is not among those that live"))?;
        let want = Want::Hand { address: address.clone() };
        let mut stream = shared.reach(home, &node, &want).await.map_err(|error| away(&error))?;
        let verdict = timeout(PATIENCE, frame::read::<Verdict, _>(&mut stream, MOST)).await;
        let verdict = verdict.map_err(|_| away(&"it does not answer"))?.map_err(|error| away(&error))?;
        verdict.into_result()?;
        Ok(Box::new(stream))
    }
}

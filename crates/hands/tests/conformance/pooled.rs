//! gVisor with a pool before it, from which each sandbox comes that can: one is had ready first.

use std::{io, path::Path, time::Duration};

use async_trait::async_trait;
use hands::{
    Address, BoxedStream, Checkpoint, Hand, Kept, Lost, ProvisionError, Sandbox, Spec,
    gvisor::Gvisor,
    pool::{Options, Pool, is_unnamed},
};

/// Nothing is remembered, so that none is made but for somebody.
const OPTIONS: Options = Options { most: 1, remember: Duration::ZERO };

pub(crate) struct Pooled(Pool<Gvisor>);

impl Pooled {
    pub(crate) fn over(gvisor: Gvisor) -> Self {
        Self(Pool::new(gvisor, OPTIONS))
    }
}

#[async_trait]
impl Sandbox for Pooled {
    async fn prepare(&self) -> Result<(), ProvisionError> {
        self.0.prepare().await
    }

    async fn provision(&self, spec: &Spec, epoch: u64) -> Result<Box<dyn Hand>, ProvisionError> {
        // What cannot be made ahead is refused when it is asked for.
        let _ = self.0.stock(spec).await;
        self.0.provision(spec, epoch).await
    }

    async fn adopt(&self, address: &Address, epoch: u64) -> Result<Box<dyn Hand>, Lost> {
        self.0.adopt(address, epoch).await
    }

    async fn dial(&self, address: &Address) -> Result<BoxedStream, Lost> {
        self.0.dial(address).await
    }

    async fn destroy(&self, name: &str, incarnation: Option<&str>) -> io::Result<()> {
        self.0.destroy(name, incarnation).await
    }

    /// Without those that are nobody's, which the law says nothing of.
    async fn kept(&self) -> Vec<Kept> {
        let mut kept = self.0.kept().await;
        kept.retain(|kept| !is_unnamed(&kept.name));
        kept
    }

    async fn upload(&self, address: &Address, path: &str, file: Option<&Path>) -> io::Result<()> {
        self.0.upload(address, path, file).await
    }

    async fn reopen(&self) -> io::Result<()> {
        self.0.reopen().await
    }

    fn installs_for_others(&self) -> bool {
        self.0.installs_for_others()
    }

    async fn harvest(&self, name: &str) -> io::Result<()> {
        self.0.harvest(name).await
    }

    async fn rest(&self, address: &Address, epoch: u64) -> Result<Checkpoint, Lost> {
        self.0.rest(address, epoch).await
    }

    async fn checkpoint(&self, address: &Address) -> io::Result<Option<Checkpoint>> {
        self.0.checkpoint(address).await
    }

    async fn forget(&self, address: &Address) -> io::Result<()> {
        self.0.forget(address).await
    }
}

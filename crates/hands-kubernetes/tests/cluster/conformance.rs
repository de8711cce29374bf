//! The law that every backend keeps, as far as a cluster shows it whose pods are processes of this machine.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use hands::{
    Gate, Sandbox,
    conformance::{self, Machine, Supports},
};

use crate::fake::Cluster;

#[async_trait]
impl Machine for Cluster {
    fn supports(&self) -> Supports {
        Supports::of_a_fake(self.scratch())
    }

    fn scratch(&self) -> &Path {
        self.directory.path()
    }

    async fn open(&self, _: Option<Arc<dyn Gate>>) -> Arc<dyn Sandbox> {
        Arc::new(self.kubernetes())
    }
}

#[tokio::test]
async fn pods_of_a_cluster_conform() {
    conformance::run(async || Cluster::start().await).await;
}

//! The law that every backend keeps, as far as an engine shows it whose containers are processes of this machine.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use hands::{
    Gate, Sandbox,
    conformance::{self, Machine, Supports},
};

use crate::fake::Engine;

#[async_trait]
impl Machine for Engine {
    fn supports(&self) -> Supports {
        // The journal is taken from the last container of a session into the next.
        Supports { journal: true, ..Supports::of_a_fake(self.scratch()) }
    }

    fn scratch(&self) -> &Path {
        self.directory.path()
    }

    async fn open(&self, _: Option<Arc<dyn Gate>>) -> Arc<dyn Sandbox> {
        Arc::new(self.docker())
    }
}

#[tokio::test]
async fn containers_of_an_engine_conform() {
    conformance::run(async || Engine::start()).await;
}

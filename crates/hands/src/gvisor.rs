//! Sandboxes whose processes run on gVisor: a kernel in user space, so that what they ask for reaches this machine's
//! only in the few ways that gVisor itself needs. For code that nobody trusts.
//!
//! The rest is as with [`crate::namespace`], whose sandboxes these are: the same layers, users, way to the network,
//! groups and directories. What is within those namespaces differs. The first process is a porter, `handd` too, in a
//! root with nothing in it but gVisor; it starts `runsc`, and `handd` is the first process of what runs on that.
//! gVisor's programs cannot take connections on a socket of the host's, nor hand out the host's sockets: the porter
//! does both. As all that `runsc` keeps of a sandbox lies in that root too, ending the porter leaves nothing behind,
//! and `runsc` is never asked to list or to delete.

mod facts;
mod kernel;
mod runsc;
mod sources;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use tokio::{task::spawn_blocking, time::timeout};

use self::kernel::Kernel;
pub use self::{runsc::Platform, sources::suite_from_sources};
pub use crate::Missing;
use crate::{
    Address, BoxedStream, Checkpoint, Gate, Hand, Kept, Lost, ProvisionError, Sandbox, Spec,
    namespace::{Namespace, Options, Report},
    pool::Stock,
    within::Engine,
};

/// What the addresses of these sandboxes say.
pub(crate) const BACKEND: &str = "gvisor";

/// For a trial. It takes a quarter of a second; a platform that does not work here may also never answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// This machine's sandboxes on gVisor, those of earlier servers on the same data directory included.
pub struct Gvisor {
    machine: Namespace,
    kernel: Arc<Kernel>,
}

impl Gvisor {
    /// With the program that the operator has configured, or else the one on the search path. Reads files and runs the
    /// program once, to learn what it can do.
    pub async fn find(options: Options, program: Option<PathBuf>) -> Result<Self, Missing> {
        let data_dir = std::path::absolute(&options.data_dir).unwrap_or_else(|_| options.data_dir.clone());
        let found = spawn_blocking(move || runsc::find(program.as_deref())).await;
        let runsc = found.unwrap_or_else(|error| Err(Missing { why: error.to_string(), fix: None }))?;
        let kernel = Arc::new(Kernel::new(runsc, &data_dir));
        let machine = Namespace::new(options).on(Arc::clone(&kernel) as Arc<dyn Engine>);
        Ok(Self { machine, kernel })
    }

    /// Sandboxes that are to reach something do so through it. Without one, none does.
    #[must_use]
    pub fn with_gate(self, gate: Arc<dyn Gate>) -> Self {
        Self { machine: self.machine.with_gate(gate), ..self }
    }

    /// How gVisor gets hold of what processes ask for, as the last [`Sandbox::prepare`] has found it to work.
    #[must_use]
    pub fn platform(&self) -> Platform {
        self.kernel.platform()
    }

    /// What holds a sandbox on this machine, and how long one takes.
    pub async fn doctor(&self) -> Report {
        let trial = match self.prepare().await {
            // Once more, for its time: the first one of a machine has things to make that others find.
            Ok(()) => self.machine.trial().await,
            Err(error) => Err(error),
        };
        self.machine.report(trial.map_err(|error| error.to_string())).await
    }
}

#[async_trait]
impl Sandbox for Gvisor {
    /// Tries the platforms, the quickest first, and stays with the first that works.
    async fn prepare(&self) -> Result<(), ProvisionError> {
        self.machine.settle().await;
        let mut refusals = Vec::new();
        for platform in self.kernel.platforms() {
            self.kernel.use_platform(platform);
            let trial = timeout(PATIENCE, self.machine.self_test()).await;
            match trial {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => refusals.push(format!("{platform}: {error}")),
                Err(_) => refusals.push(format!("{platform}: no answer within {} seconds", PATIENCE.as_secs())),
            }
        }
        Err(ProvisionError::Unsupported { step: BACKEND.into(), reason: refusals.join("; ") })
    }

    async fn provision(&self, spec: &Spec, epoch: u64) -> Result<Box<dyn Hand>, ProvisionError> {
        self.machine.provision(spec, epoch).await
    }

    async fn adopt(&self, address: &Address, epoch: u64) -> Result<Box<dyn Hand>, Lost> {
        self.machine.adopt(address, epoch).await
    }

    async fn dial(&self, address: &Address) -> Result<BoxedStream, Lost> {
        self.machine.dial(address).await
    }

    async fn destroy(&self, name: &str, incarnation: Option<&str>) -> io::Result<()> {
        self.machine.destroy(name, incarnation).await
    }

    async fn kept(&self) -> Vec<Kept> {
        self.machine.kept().await
    }

    async fn upload(&self, address: &Address, path: &str, file: Option<&Path>) -> io::Result<()> {
        self.machine.upload(address, path, file).await
    }

    async fn reopen(&self) -> io::Result<()> {
        self.machine.reopen().await
    }

    fn installs_for_others(&self) -> bool {
        self.machine.installs_for_others()
    }

    async fn harvest(&self, name: &str) -> io::Result<()> {
        self.machine.harvest(name).await
    }

    async fn rest(&self, address: &Address, epoch: u64) -> Result<Checkpoint, Lost> {
        self.machine.rest(address, epoch).await
    }

    async fn checkpoint(&self, address: &Address) -> io::Result<Option<Checkpoint>> {
        self.machine.checkpoint(address).await
    }

    async fn forget(&self, address: &Address) -> io::Result<()> {
        self.machine.forget(address).await
    }
}

#[async_trait]
impl Stock for Gvisor {
    async fn is_free(&self, name: &str) -> bool {
        self.machine.is_free(name).await
    }

    async fn give(&self, ready: &Address, spec: &Spec, epoch: u64) -> Result<Box<dyn Hand>, ProvisionError> {
        self.machine.give(ready, spec, epoch).await
    }
}

//! Sandboxes of Linux namespaces, with `handd` as their first process.
//!
//! No daemon, no image and no privilege is needed: a launcher makes the namespaces, and what is inside outlives this
//! process. As root each sandbox gets users of its own and control groups; as anybody else, a watchdog bounds its memory.
//! All sandboxes share the machine's kernel, which suits code that is half trusted; see `docs/SECURITY.md`.

mod base;
mod dialer;
mod directory;
mod groups;
mod identity;
mod launcher;
mod memory;
mod process;
mod report;
mod shared;
mod watchdog;

use std::{fs, io, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use hand_protocol::{Execute, Outcome};
use serde_json::json;
use tokio::{task::spawn_blocking, time::Instant};

pub use self::report::{Fact, Report};
use self::{
    dialer::Dialer,
    directory::{Directory, Record},
    shared::Shared,
    watchdog::{Watchdog, Watched},
};
use crate::{
    Address, BoxedStream, Hand, Kept, Limits, Lost, ProvisionError, Sandbox, Spec,
    attach::SandboxHand,
    connection::{Failure, gone},
};

const BACKEND: &str = "namespace";

/// The sandbox that `doctor` makes, and nobody's session.
const TRIAL: &str = "trial";

#[derive(Debug, Clone)]
pub struct Options {
    /// Everything is kept below it. Made when first needed; not below `/usr`, which every sandbox sees.
    pub data_dir: PathBuf,
    /// The data directory's id, which the sandboxes' addresses name.
    pub home: String,
}

/// This machine's sandboxes, those of earlier servers on the same data directory included.
pub struct Namespace {
    shared: Arc<Shared>,
    watchdog: Watchdog,
}

impl Namespace {
    #[must_use]
    pub fn new(options: Options) -> Self {
        // Kept absolute: the launcher works from another directory.
        let data_dir = std::path::absolute(&options.data_dir).unwrap_or(options.data_dir);
        Self { shared: Arc::new(Shared::new(data_dir, options.home)), watchdog: Watchdog::default() }
    }

    /// Leaves control groups alone, even where there are some: the watchdog alone bounds memory.
    #[must_use]
    pub fn without_groups(self) -> Self {
        self.shared.leave_groups_alone();
        self
    }

    /// Makes a sandbox, runs a command in it and takes it away again: whether this backend can be offered here.
    pub async fn self_test(&self) -> Result<(), ProvisionError> {
        let limits = Limits { memory: 256 << 20, processes: 64, disk: 64 << 20, orphan_seconds: 10 };
        let spec = Spec { name: TRIAL.into(), uploads: Vec::new(), limits };
        let failed = |error: &dyn std::fmt::Display| ProvisionError::Failed(error.to_string());
        self.destroy(TRIAL, None).await.map_err(|error| failed(&error))?;
        let hand = self.provision(&spec, 1).await?;
        let input = json!({ "command": "echo works" }).as_object().cloned().unwrap_or_default();
        let outcome = hand.execute(Execute { call: "trial".into(), tool: "bash".into(), input }).await;
        self.destroy(TRIAL, None).await.map_err(|error| failed(&error))?;
        match outcome {
            Ok(outcome) if outcome == Outcome::text("works\n") || outcome == Outcome::text("works") => Ok(()),
            Ok(outcome) => Err(ProvisionError::Failed(format!("a command gave {:?}", outcome.content))),
            Err(lost) => Err(failed(&lost)),
        }
    }

    /// What holds a sandbox on this machine, and how long one takes.
    pub async fn doctor(&self) -> Report {
        let started = Instant::now();
        let trial = self.self_test().await.map(|()| started.elapsed()).map_err(|error| error.to_string());
        let shared = Arc::clone(&self.shared);
        let groups = spawn_blocking(move || shared.groups()).await.unwrap_or(groups::Groups::Unavailable);
        Report::new(&groups, trial)
    }

    /// A connection to the daemon. As somebody works with the sandbox, it is looked after from now on.
    async fn reach(&self, record: Record) -> Result<BoxedStream, Lost> {
        let Record { address, daemon, limits, groups } = record;
        let stream = dialer::connect(&self.shared.data_dir().join(&address.directory)).await?;
        if let Some(name) = name(&address) {
            self.watchdog.watch(name, Watched { daemon, limit: limits.memory, groups });
        }
        Ok(stream)
    }

    async fn attach(&self, record: Record, epoch: u64) -> Result<Box<dyn Hand>, Lost> {
        let address = record.address.clone();
        let stream = self.reach(record).await?;
        let dial = Arc::new(Dialer { shared: Arc::clone(&self.shared), address: address.clone() });
        match SandboxHand::over(stream, dial, address, epoch).await {
            Ok(hand) => Ok(Box::new(hand)),
            // There is nothing between here and the daemon that could fail in its place.
            Err(Failure::Ended(why)) => Err(gone(why)),
            Err(Failure::Lost(lost)) => Err(lost),
        }
    }

    /// Does work with files and processes where it holds up nobody. It runs to its end even when nobody waits any more, so
    /// that no sandbox is left half made.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> T + Send + 'static,
    ) -> Result<T, io::Error> {
        let shared = Arc::clone(&self.shared);
        spawn_blocking(move || work(&shared)).await.map_err(io::Error::other)
    }
}

#[async_trait]
impl Sandbox for Namespace {
    async fn prepare(&self) -> Result<(), ProvisionError> {
        self.self_test().await
    }

    async fn provision(&self, spec: &Spec, epoch: u64) -> Result<Box<dyn Hand>, ProvisionError> {
        let failed = |error: io::Error| ProvisionError::Failed(error.to_string());
        self.watchdog.forget(&spec.name);
        let wanted = spec.clone();
        let record = self.blocking(move |shared| shared.make(&wanted)).await.map_err(failed)??;
        match self.attach(record, epoch).await {
            Ok(hand) => Ok(hand),
            Err(lost) => {
                let name = spec.name.clone();
                let words = self.blocking(move |shared| shared.give_up(&name)).await.map_err(failed)?;
                Err(ProvisionError::Failed(format!("{lost}; its log ends with: {words}")))
            }
        }
    }

    async fn adopt(&self, address: &Address, epoch: u64) -> Result<Box<dyn Hand>, Lost> {
        self.attach(dialer::find(&self.shared, address).await?, epoch).await
    }

    async fn dial(&self, address: &Address) -> Result<BoxedStream, Lost> {
        self.reach(dialer::find(&self.shared, address).await?).await
    }

    async fn destroy(&self, name: &str, incarnation: Option<&str>) -> io::Result<()> {
        let (name, incarnation) = (name.to_owned(), incarnation.map(str::to_owned));
        let (watchdog, forgotten) = (&self.watchdog, name.clone());
        let is_gone = self
            .blocking(move |shared| {
                let _alone = shared.alone(&name);
                let directory = Directory::of(shared.data_dir(), &name)?;
                if incarnation.is_some() && incarnation != directory.incarnation() {
                    return Ok(false);
                }
                directory.destroy().map(|()| true)
            })
            .await??;
        if is_gone {
            watchdog.forget(&forgotten);
        }
        Ok(())
    }

    async fn kept(&self) -> Vec<Kept> {
        let list = |shared: &Shared| {
            let entries = fs::read_dir(shared.data_dir().join(directory::HANDS)).into_iter().flatten().flatten();
            let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
            let kept = names.map(|name| {
                let directory = Directory::of(shared.data_dir(), &name).ok();
                Kept { incarnation: directory.and_then(|directory| directory.incarnation()), name }
            });
            kept.collect()
        };
        self.blocking(list).await.unwrap_or_default()
    }
}

/// The name of the hand that lives in the address's directory.
fn name(address: &Address) -> Option<&str> {
    address.directory.file_name()?.to_str()
}

//! Sandboxes of Linux namespaces, with `handd` as their first process.
//!
//! No daemon, no image and no privilege is needed: a launcher makes the namespaces, and what is inside outlives this
//! process. As root each sandbox gets users of its own and control groups; as anybody else, a watchdog bounds its memory.
//! All sandboxes share the machine's kernel, which suits code that is half trusted; see `docs/SECURITY.md`.

mod base;
mod dialer;
mod directory;
mod given;
mod groups;
mod harvest;
mod identity;
mod keep;
mod kept;
pub(crate) mod launcher;
mod mask;
mod memory;
mod observed;
mod own;
mod process;
mod report;
mod rest;
mod shared;
mod sockets;
mod uploads;
mod watchdog;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use hand_protocol::{Execute, Outcome};
use serde_json::json;
use tokio::{task::spawn_blocking, time::Instant};

pub use self::report::{Fact, Report};
use self::{
    dialer::Dialer,
    directory::{Directory, Record},
    observed::{Ended, Observed},
    rest::Rested,
    shared::Shared,
    watchdog::{Watchdog, Watched},
};
use crate::{
    Address, BoxedStream, Checkpoint, Gate, Hand, Kept, Limits, Lost, Pass, ProvisionError, Sandbox, Spec,
    attach::SandboxHand,
    connection::{Failure, gone},
    within::{Engine, Within},
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
    gate: Option<Arc<dyn Gate>>,
}

impl Namespace {
    #[must_use]
    pub fn new(options: Options) -> Self {
        // Kept absolute: the launcher works from another directory.
        let data_dir = std::path::absolute(&options.data_dir).unwrap_or(options.data_dir);
        Self { shared: Arc::new(Shared::new(data_dir, options.home)), watchdog: Watchdog::default(), gate: None }
    }

    /// Has an engine run what sandboxes run, and calls them by its name. To be called before there is any.
    #[must_use]
    pub(crate) fn on(self, engine: Arc<dyn Engine>) -> Self {
        self.shared.run_within(Within::Engine(engine));
        self
    }

    /// Makes no sandboxes, but processes of this machine, and calls them so. To be called before there is any.
    #[must_use]
    pub(crate) fn within_nothing(self) -> Self {
        self.shared.run_within(Within::Nothing);
        self
    }

    /// Sandboxes that are to reach something do so through it. Without one, none does.
    #[must_use]
    pub fn with_gate(self, gate: Arc<dyn Gate>) -> Self {
        Self { gate: Some(gate), ..self }
    }

    /// Leaves control groups alone, even where there are some: the watchdog alone bounds memory.
    #[must_use]
    pub fn without_groups(self) -> Self {
        self.shared.leave_groups_alone();
        self
    }

    /// Makes a sandbox, runs a command in it and takes it away again: whether this backend can be offered here.
    pub async fn self_test(&self) -> Result<(), ProvisionError> {
        let limits =
            Limits { memory: 256 << 20, processes: 64, disk: 64 << 20, orphan_seconds: 10, ..Limits::default() };
        let name = format!("{TRIAL}-{}", self.shared.backend());
        let spec = Spec { name: name.clone(), limits, ..Spec::default() };
        let failed = |error: &dyn std::fmt::Display| ProvisionError::Failed(error.to_string());
        self.destroy(&name, None).await.map_err(|error| failed(&error))?;
        let hand = self.provision(&spec, 1).await?;
        let input = json!({ "command": "echo works" }).as_object().cloned().unwrap_or_default();
        let outcome = hand.execute(Execute { call: "trial".into(), tool: "bash".into(), input }).await;
        self.destroy(&name, None).await.map_err(|error| failed(&error))?;
        match outcome {
            Ok(outcome) if outcome == Outcome::text("works\n") || outcome == Outcome::text("works") => Ok(()),
            Ok(outcome) => Err(ProvisionError::Failed(format!("a command gave {:?}", outcome.content))),
            Err(lost) => Err(failed(&lost)),
        }
    }

    /// What holds a sandbox on this machine, and how long one takes.
    pub async fn doctor(&self) -> Report {
        let trial = self.trial().await.map_err(|error| error.to_string());
        self.report(trial).await
    }

    /// How long a sandbox takes from nothing to its first answer.
    pub(crate) async fn trial(&self) -> Result<Duration, ProvisionError> {
        let started = Instant::now();
        self.self_test().await.map(|()| started.elapsed())
    }

    pub(crate) async fn report(&self, trial: Result<Duration, String>) -> Report {
        let shared = Arc::clone(&self.shared);
        let groups = spawn_blocking(move || shared.groups()).await.unwrap_or(groups::Groups::Unavailable);
        let report = Report::new(&groups, trial);
        match self.shared.within() {
            Some(within) if within.is_nothing() => Report { facts: within.facts(), ..report },
            Some(within) => report.with(within.facts()),
            None => report,
        }
    }

    /// Clears away what earlier servers had begun to put away.
    pub(crate) async fn settle(&self) {
        // Only a server that ends leaves it, for the next one.
        let _ = self.blocking(Shared::settle).await;
    }

    /// A connection to the daemon. As somebody works with the sandbox, it is looked after from now on.
    async fn reach(&self, record: Record) -> Result<BoxedStream, Lost> {
        let Record { address, daemon, limits, groups, .. } = record;
        let stream = dialer::connect(&self.shared.data_dir().join(&address.directory)).await?;
        if let Some(name) = name(&address) {
            let watched = Watched { daemon, limit: limits.memory, groups, ended: Arc::default() };
            self.watchdog.watch(name, watched);
        }
        Ok(Box::new(stream))
    }

    async fn attach(&self, record: Record, epoch: u64) -> Result<Box<dyn Hand>, Lost> {
        let (address, groups, memory) = (record.address.clone(), record.groups.clone(), record.limits.memory);
        let stream = self.reach(record).await?;
        let by_watchdog = name(&address).map(|name| self.watchdog.ended(name)).unwrap_or_default();
        let dial = Arc::new(Dialer { shared: Arc::clone(&self.shared), address: address.clone() });
        match SandboxHand::over(stream, dial, address, epoch).await {
            Ok(hand) => Ok(Box::new(Observed::new(hand, Ended { groups, by_watchdog }, memory).await)),
            // There is nothing between here and the daemon that could fail in its place.
            Err(Failure::Ended(why)) => Err(gone(why)),
            Err(Failure::Lost(lost)) => Err(lost),
        }
    }

    /// The hand of a sandbox that is new under this name. One that cannot be worked with is ended.
    async fn begin(&self, name: &str, record: Record, epoch: u64) -> Result<Box<dyn Hand>, ProvisionError> {
        let made = match self.open_gate(&record).await {
            Ok(()) => self.attach(record, epoch).await.map_err(|lost| lost.to_string()),
            Err(error) => Err(format!("it has no way to the network: {error}")),
        };
        match made {
            Ok(hand) => Ok(hand),
            Err(why) => {
                let name = name.to_owned();
                let words = self.blocking(move |shared| shared.give_up(&name)).await;
                let words = words.map_err(|error| ProvisionError::Failed(error.to_string()))?;
                Err(ProvisionError::Failed(format!("{why}; its log ends with: {words}")))
            }
        }
    }

    /// Has the sandbox's way out served, if it has one.
    async fn open_gate(&self, record: &Record) -> io::Result<()> {
        let Some(network) = &record.network else { return Ok(()) };
        let gate = self.gate.as_ref().ok_or_else(|| io::Error::other("this server has no gateway"))?;
        let (daemon, place) = (record.daemon.clone(), record.address.directory.clone());
        let (life, sockets) = self
            .blocking(move |shared| {
                let life = daemon.life().ok_or_else(|| io::Error::other("it has ended"))?;
                Ok::<_, io::Error>((life, sockets::ask(&shared.data_dir().join(place))?))
            })
            .await??;
        let name = name(&record.address).unwrap_or_default();
        gate.open(Pass { name, incarnation: &record.address.incarnation, network, life }, sockets).await
    }

    /// Has the gateway forget a sandbox. It learns of the end by itself too, only later.
    async fn close_gate(&self, record: Option<Record>) {
        if let (Some(gate), Some(record)) = (&self.gate, record)
            && record.network.is_some()
            && let Err(error) = gate.close(&record.address.incarnation).await
        {
            tracing::debug!(%error, "the gateway was not told of a sandbox's end");
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
        self.settle().await;
        self.self_test().await
    }

    async fn provision(&self, spec: &Spec, epoch: u64) -> Result<Box<dyn Hand>, ProvisionError> {
        let failed = |error: io::Error| ProvisionError::Failed(error.to_string());
        self.watchdog.forget(&spec.name);
        let wanted = spec.clone();
        let record = self.blocking(move |shared| shared.make(&wanted)).await.map_err(failed)??;
        self.begin(&spec.name, record, epoch).await
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
        let (is_gone, record) = self
            .blocking(move |shared| {
                let _alone = shared.alone(&name);
                let directory = Directory::of(shared.data_dir(), &name)?;
                let rested = Rested::of(shared.data_dir(), &name)?;
                let record = directory.record();
                let found = record.as_ref().map(|record| &record.address.incarnation);
                let is_this = incarnation.is_none() || incarnation.as_ref() == found;
                if is_this {
                    directory.destroy()?;
                }
                match &incarnation {
                    Some(incarnation) => rested.remove(incarnation)?,
                    None => rested.remove_all()?,
                }
                io::Result::Ok((is_this, record.filter(|_| is_this)))
            })
            .await??;
        if is_gone {
            watchdog.forget(&forgotten);
        }
        self.close_gate(record).await;
        Ok(())
    }

    async fn kept(&self) -> Vec<Kept> {
        self.blocking(Shared::kept).await.unwrap_or_default()
    }

    async fn upload(&self, address: &Address, path: &str, file: Option<&Path>) -> io::Result<()> {
        let (address, path, file) = (address.clone(), path.to_owned(), file.map(Path::to_owned));
        let change = move |shared: &Shared| {
            let Some(name) = name(&address) else { return Ok(()) };
            let _alone = shared.alone(name);
            // Of another sandbox, or of none: the next one is made with the files as they are then.
            if shared.find(&address).is_none() || shared.away(&address).is_some() {
                return Ok(());
            }
            uploads::change(&shared.data_dir().join(&address.directory), &path, file.as_deref())
        };
        self.blocking(change).await?
    }

    fn installs_for_others(&self) -> bool {
        identity::can_chown() && !self.shared.within().is_some_and(Within::is_nothing)
    }

    async fn harvest(&self, name: &str) -> io::Result<()> {
        let wanted = name.to_owned();
        let (record, made) = self.blocking(move |shared| shared.harvest(&wanted)).await??;
        self.watchdog.forget(name);
        self.close_gate(Some(record)).await;
        made
    }

    async fn reopen(&self) -> io::Result<()> {
        let mut failed = None;
        for Kept { name, .. } in self.kept().await.into_iter().filter(|kept| kept.checkpoint.is_none()) {
            let sought = name.clone();
            let find = move |shared: &Shared| Directory::of(shared.data_dir(), &sought).ok()?.record();
            let record = self.blocking(find).await?;
            let Some(record) = record.filter(|record| record.daemon.is_alive()) else { continue };
            if let Err(error) = self.open_gate(&record).await {
                tracing::warn!(sandbox = name, %error, "a sandbox's way to the network cannot be opened again");
                failed = Some(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn rest(&self, address: &Address, epoch: u64) -> Result<Checkpoint, Lost> {
        let refused = |error: io::Error| Lost::Refused(error.to_string());
        let record = dialer::find(&self.shared, address).await?;
        let stream = dialer::connect(&self.shared.data_dir().join(&record.address.directory)).await?;
        let (stream, resting) = (stream.into_std().map_err(refused)?, record.clone());
        let checkpoint = self.blocking(move |shared| shared.rest(&resting, epoch, stream)).await.map_err(refused)??;
        self.close_gate(Some(record)).await;
        Ok(checkpoint)
    }

    async fn checkpoint(&self, address: &Address) -> io::Result<Option<Checkpoint>> {
        let address = address.clone();
        let left = self.blocking(move |shared| shared.what_is_left(&address)).await??;
        Ok(left.map(|away| away.checkpoint))
    }

    async fn forget(&self, address: &Address) -> io::Result<()> {
        let address = address.clone();
        self.blocking(move |shared| shared.forget(&address)).await?
    }
}

/// The name of the hand that lives in the address's directory.
fn name(address: &Address) -> Option<&str> {
    address.directory.file_name()?.to_str()
}

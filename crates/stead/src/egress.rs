//! The way out of this server's sandboxes: the gateway, a process of its own.
//!
//! It is started when a sandbox first needs it, outlives this server, and is found by the next one on the data
//! directory. When it ends it is started again, and given the sockets of all live sandboxes, which hold them meanwhile:
//! what programs ask for in between waits.

mod gate;
mod process;
mod report;
mod start;
#[cfg(test)]
mod tests;

pub(crate) use self::process::{Arguments, run};
pub(crate) use self::report::report;

use std::io;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use futures::FutureExt;
use gateway::{Client, Error, HostPattern, Settings, Watch};
use hands::Sandbox;
use parking_lot::RwLock;
use tokio::process::Child;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::Config;

use self::start::Place;

/// Before the sockets of live sandboxes are given to the gateway once more. Doubled each time.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Attempts at sandboxes that fail though the gateway runs: what stands in the way is their own.
const ATTEMPTS: u32 = 5;

/// For a process to be gone after its last connection.
const END: Duration = Duration::from_secs(5);

/// Where the gateway of a data directory is.
fn directory(data_dir: &Path) -> PathBuf {
    data_dir.join("gateway")
}

pub(crate) struct Options {
    pub(crate) data_dir: PathBuf,
    pub(crate) settings: Settings,
    /// Bytes that one sandbox may send in its life.
    pub(crate) egress: Option<u64>,
    /// Connections that one sandbox may have open at once.
    pub(crate) connections: u32,
}

impl Options {
    pub(crate) fn of(config: &Config) -> Self {
        let network = &config.network;
        Self {
            data_dir: config.data_dir.clone(),
            settings: network.settings(Some(config.vault.place(&config.data_dir))),
            egress: network.egress_mib.map(|mib| mib.saturating_mul(1 << 20)),
            connections: network.connections,
        }
    }
}

/// Looks after the gateway for as long as it is there. The gateway stays.
pub(crate) struct Egress(Arc<Inner>);

struct Inner {
    place: Place,
    /// For what must be done, by whichever gateway.
    client: Client,
    /// For questions about keys, which may take longer.
    keeper: Client,
    /// For what matters only if there is a gateway.
    impatient: Client,
    settings: RwLock<Settings>,
    egress: Option<u64>,
    connections: u32,
    /// Cancelled once the gateway that was last told the settings has ended.
    gone: Mutex<Option<CancellationToken>>,
    sandboxes: OnceLock<Weak<dyn Sandbox>>,
    /// Cancelled with this server.
    stop: CancellationToken,
}

impl Egress {
    pub(crate) fn new(options: Options) -> Self {
        let Options { data_dir, settings, egress, connections } = options;
        let place = Place::new(data_dir);
        Self(Arc::new(Inner {
            client: Client::new(&place.directory),
            keeper: Client::patient(&place.directory),
            impatient: Client::impatient(&place.directory),
            place,
            settings: RwLock::new(settings),
            egress,
            connections,
            gone: Mutex::new(None),
            sandboxes: OnceLock::new(),
            stop: CancellationToken::new(),
        }))
    }

    /// Takes up what an earlier server has left, and from now on gives these sandboxes to every gateway that takes the
    /// place of another. To be called once, with those whose gate it is.
    pub(crate) fn look_after(&self, sandboxes: &Arc<dyn Sandbox>) {
        // Weak, for they hold their gate.
        let _ = self.0.sandboxes.set(Arc::downgrade(sandboxes));
        let inner = Arc::clone(&self.0);
        self.0.spawn("taking up an earlier gateway", async move {
            inner.adopt().await;
            inner.reopen().await;
        });
    }

    /// The gateway, which keeps the keys of stored secrets. One is started if none runs.
    pub(crate) async fn keeper(&self) -> io::Result<&Client> {
        self.0.ensure().await?;
        Ok(&self.0.keeper)
    }

    /// Opens these too to environments that allow package managers: where the host's own get packages.
    pub(crate) async fn add_package_hosts(&self, hosts: impl IntoIterator<Item = String>) {
        let patterns = gate::patterns(hosts);
        let is_new = {
            let mut settings = self.0.settings.write();
            let new: Vec<HostPattern> =
                patterns.into_iter().filter(|pattern| !settings.package_hosts.contains(pattern)).collect();
            settings.package_hosts.extend(new.iter().cloned());
            !new.is_empty()
        };
        if is_new && self.0.is_running().await {
            let settings = self.0.settings.read().clone();
            if let Err(error) = self.0.client.settings(settings).await {
                tracing::warn!(%error, "the gateway does not know of all package hosts");
            }
            // What sandboxes may reach names them too.
            self.0.reopen().await;
        }
    }
}

impl Drop for Egress {
    fn drop(&mut self) {
        self.0.stop.cancel();
    }
}

impl Inner {
    /// Returns once a gateway runs that knows the settings. However many ask at once, one is started.
    async fn ensure(self: &Arc<Self>) -> io::Result<()> {
        let mut gone = self.gone.lock().await;
        if is_live(gone.as_ref()) {
            return Ok(());
        }
        let (watch, child) = match self.client.watch().await {
            Ok(watch) => (watch, None),
            Err(Error::Unreachable(_)) => {
                let (watch, child) = start::start(&self.place, &self.client).await?;
                (watch, Some(child))
            }
            Err(error) => return Err(self.place.failed(&error)),
        };
        *gone = Some(self.welcome(watch, child).await?);
        Ok(())
    }

    /// Takes up the gateway that runs already, if one does.
    async fn adopt(self: &Arc<Self>) {
        let mut gone = self.gone.lock().await;
        if is_live(gone.as_ref()) {
            return;
        }
        let adopted = match self.client.watch().await {
            Ok(watch) => self.welcome(watch, None).await,
            Err(Error::Unreachable(_)) => return,
            Err(error) => Err(self.place.failed(&error)),
        };
        match adopted {
            Ok(token) => *gone = Some(token),
            Err(error) => tracing::error!(%error, "the gateway that runs already cannot be used"),
        }
    }

    /// Tells a gateway the settings, and watches over it.
    async fn welcome(self: &Arc<Self>, watch: Watch, child: Option<Child>) -> io::Result<CancellationToken> {
        let settings = self.settings.read().clone();
        self.client.settings(settings).await.map_err(|error| self.place.failed(&error))?;
        tracing::info!(is_new = child.is_some(), "the gateway serves this server's sandboxes");
        let gone = CancellationToken::new();
        let (inner, token) = (Arc::clone(self), gone.clone());
        self.spawn("watch over the gateway", async move {
            watch.ended().await;
            token.cancel();
            let status = match child {
                // So that it is not left as a zombie either.
                Some(mut child) => timeout(END, child.wait()).await.ok().and_then(Result::ok),
                None => None,
            };
            let status = status.map(|status| status.to_string());
            tracing::warn!(status, "the gateway has ended; sandboxes that need one are given another");
            inner.reopen().await;
        });
        Ok(gone)
    }

    /// Gives the gateway the sockets of all live sandboxes. That starts one if there are any, and only then.
    async fn reopen(&self) {
        let mut pause = PAUSE;
        let mut attempt = 1;
        loop {
            let Some(sandboxes) = self.sandboxes.get().and_then(Weak::upgrade) else { return };
            let opened = sandboxes.reopen().await;
            // They may be dropped while nobody waits for them here.
            drop(sandboxes);
            let Err(error) = opened else { return };
            if attempt >= ATTEMPTS && self.is_running().await {
                tracing::error!(%error, "some sandboxes stay without a way to the network");
                return;
            }
            tracing::warn!(%error, attempt, "sandboxes wait for their way to the network");
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            attempt += 1;
        }
    }

    async fn is_running(&self) -> bool {
        is_live(self.gone.lock().await.as_ref())
    }

    /// Cancel policy: dropped where it waits once this server stops, for the next one does the same. Failure policy: a
    /// panic is logged as a defect, and ends nothing but the task.
    #[expect(clippy::disallowed_methods, reason = "named here, and ended with the server")]
    fn spawn(&self, task: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        tokio::spawn(async move {
            let done = AssertUnwindSafe(stop.run_until_cancelled(work)).catch_unwind().await;
            if done.is_err() {
                tracing::error!(task, "a defect: a task panicked");
            }
        });
    }
}

fn is_live(gone: Option<&CancellationToken>) -> bool {
    gone.is_some_and(|gone| !gone.is_cancelled())
}

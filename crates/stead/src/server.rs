//! The server: its parts put together, started and stopped.

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use api::{App, Key};
use brain::{Backoff, Brain, Crash, Options, Parts};
use bus::Bus;
use hands::Limits;
use hands::namespace::{self, Namespace};
use rustix::process::{Resource, Rlimit};
use serde::{Deserialize, Serialize};
use store::{Clock, Rng, SystemClock, SystemRng};
use store_sqlite::{OpenError, SqliteStore};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::{key, models};

/// How long requests that are being answered may take once the server stops.
const DRAIN: Duration = Duration::from_secs(10);

/// A server that is listening.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) key: String,
    pub(crate) key_is_new: bool,
    brain: Brain,
    app: App,
    listener: TcpListener,
    stop: CancellationToken,
}

/// Where a running server is, for other commands on its data directory.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) url: String,
}

impl Place {
    const FILE: &str = "server.json";

    pub(crate) fn read(data_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(data_dir.join(Self::FILE)).ok()?).ok()
    }

    fn write(&self, data_dir: &Path) -> anyhow::Result<()> {
        Ok(std::fs::write(data_dir.join(Self::FILE), serde_json::to_vec(self)?)?)
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl Server {
    pub(crate) async fn start(config: &Config) -> Result<Self, StartError> {
        let data_dir = &config.data_dir;
        make_private(data_dir)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let rng: Arc<dyn Rng> = Arc::new(SystemRng);
        let store = Arc::new(SqliteStore::open(data_dir, clock.clone())?);
        let (key, key_is_new) = key::first(config)?;
        let sandbox = Namespace::new(namespace::Options { data_dir: data_dir.clone() });
        let routes = models::routes(config)?;
        let options = Options {
            node: format!("{:032x}", rng.bits()),
            turn: session::Limits { rounds: config.turn.rounds, attempts: config.turn.attempts },
            backoff: Backoff { first: Duration::from_millis(config.turn.retry_ms), ..Backoff::default() },
            sandbox: Limits {
                memory: config.limits.memory_mib << 20,
                processes: config.limits.processes,
                disk: config.limits.disk_mib << 20,
                orphan_seconds: config.limits.orphan_seconds,
            },
            staging: data_dir.join("staging"),
        };
        let bus = Bus::default();
        let brain =
            Brain::new(Parts { store, bus, clock, rng, routes, hands: Arc::new(sandbox), crash: crash() }, options);
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("{} cannot be listened on", config.listen))?;
        let address = listener.local_addr().context("the listener has no address")?;
        Place { url: format!("http://{address}") }.write(data_dir)?;
        brain.start().await.context("the brain could not start")?;
        let stop = CancellationToken::new();
        let app = App::new(brain.clone(), Key::new(&key), stop.clone());
        Ok(Self { address, key, key_is_new, brain, app, listener, stop })
    }

    /// Answers until `until` is ready, then stops: live streams end, requests finish, turns are left for the next process.
    pub(crate) async fn run(self, until: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<()> {
        let stop = self.stop.clone();
        let stopping = async move {
            until.await;
            stop.cancel();
        };
        let served = api::serve(self.listener, self.app, stopping);
        let stopped = self.stop.clone();
        let overdue = async move {
            stopped.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            served = served => served.context("the server failed")?,
            () = overdue => tracing::warn!("requests were still being answered {} s after the stop", DRAIN.as_secs()),
        }
        self.brain.stop().await;
        Ok(())
    }
}

/// `STEAD_CRASH_AFTER_APPENDS`: for tests of recovery only.
fn crash() -> Option<Crash> {
    std::env::var("STEAD_CRASH_AFTER_APPENDS").ok()?.parse().ok().map(Crash::after)
}

/// Conversations are in it: nobody else on the machine is to read them.
fn make_private(data_dir: &Path) -> anyhow::Result<()> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir);
    made.with_context(|| format!("the data directory {} cannot be made", data_dir.display()))
}

/// Each live stream and each sandbox holds a descriptor; the usual soft limit is for programs that do not expect many.
fn allow_descriptors() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

pub(crate) async fn serve(config: Config) -> anyhow::Result<()> {
    allow_descriptors();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = Server::start(&config).await?;
    if server.key_is_new {
        println!("API key (kept in {}, shown once): {}", config.data_dir.join("api_key").display(), server.key);
    }
    println!("Stead serves http://{}", server.address);
    tracing::info!(address = %server.address, data_dir = %config.data_dir.display(), "serving");
    let until = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
    };
    server.run(until).await
}

pub(crate) async fn doctor(config: Config) -> anyhow::Result<()> {
    make_private(&config.data_dir)?;
    let sandbox = Namespace::new(namespace::Options { data_dir: config.data_dir.clone() });
    println!("{}", sandbox.doctor().await);
    Ok(())
}

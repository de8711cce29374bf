//! The server: its parts put together, started and stopped.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use api::{App, Key};
use brain::{Backoff, Brain, Crash, Options, Parts, Station, Turn};
use rustix::process::{Resource, Rlimit};
use serde::{Deserialize, Serialize};
use store::{Clock, Rng, SystemClock, SystemRng};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, JudgeKind};
use crate::installation::{Installation, OpenError};
use crate::secrets::Sealing;
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
    /// Owned for as long as the server is there.
    installation: Installation,
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
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let rng: Arc<dyn Rng> = Arc::new(SystemRng);
        let mut installation = Installation::open(config, clock.clone(), &*rng).await?;
        let (key, key_is_new) = key::first(config, &installation).await?;
        let options = options(config, installation.station.clone());
        let parts = Parts {
            store: installation.store.clone(),
            bus: installation.bus.clone(),
            clock,
            rng,
            routes: models::routes(config)?,
            judge: judge(config),
            hands: installation.workshop.sandbox.clone(),
            grounds: installation.workshop.grounds.clone(),
            shelf: shelf(config)?,
            elsewhere: installation.elsewhere.clone(),
            crash: crash(),
        };
        let brain = Brain::new(parts, options);
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("{} cannot be listened on", config.listen))?;
        let address = listener.local_addr().context("the listener has no address")?;
        Place { url: format!("http://{address}") }.write(data_dir)?;
        brain.start().await.context("the brain could not start")?;
        if let Some(heard) = installation.heard.take() {
            brain.listen(heard);
        }
        let stop = CancellationToken::new();
        let sealer = Sealing::new(installation.workshop.egress.clone(), installation.store.clone());
        let app = App::new(brain.clone(), Key::new(&key), Arc::new(sealer), stop.clone());
        Ok(Self { address, key, key_is_new, brain, app, listener, stop, installation })
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
        // Of no use to anybody but this process.
        if let Some(pool) = &self.installation.workshop.pool {
            pool.close().await;
        }
        Ok(())
    }
}

/// `STEAD_CRASH_AFTER_APPENDS`: for tests of recovery only.
fn crash() -> Option<Crash> {
    std::env::var("STEAD_CRASH_AFTER_APPENDS").ok()?.parse().ok().map(Crash::after)
}

fn options(config: &Config, station: Station) -> Options {
    let millis = Duration::from_millis;
    Options {
        station,
        lease: millis(config.node.lease_ms),
        drain: millis(config.node.drain_ms),
        grace: millis(config.node.grace_ms),
        turn: Turn { rounds: config.turn.rounds, attempts: config.turn.attempts, compactions: config.turn.compactions },
        backoff: Backoff { first: millis(config.turn.retry_ms), ..Backoff::default() },
        sandbox: config.limits.of_a_sandbox(),
        rest_after: config.environments.idle(),
        keep_files: config.environments.kept(),
        staging: staging(&config.data_dir),
    }
}

/// Empty: what an earlier server was about to hand over nobody waits for any more.
fn staging(data_dir: &Path) -> PathBuf {
    let staging = data_dir.join("staging");
    match std::fs::remove_dir_all(&staging) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(%error, "what an earlier server has left behind cannot be removed");
        }
        _ => {}
    }
    staging
}

/// Where sandboxes that were put away are found by every node.
fn shelf(config: &Config) -> anyhow::Result<Option<Arc<dyn brain::Shelf>>> {
    let Some(url) = &config.environments.shelf else { return Ok(None) };
    let shelf = shelf::Shelf::open(url, std::env::vars()).context("environments.shelf")?;
    Ok(Some(Arc::new(shelf)))
}

fn judge(config: &Config) -> brain::Judge {
    let rules = brain::Rules::new(config.judge.rules.clone());
    match config.judge.kind {
        JudgeKind::Rules => brain::Judge::rules(rules),
        JudgeKind::Model => brain::Judge::model(config.judge.model.clone(), rules),
    }
}

/// Each live stream and each sandbox holds a descriptor; the usual soft limit is for programs that do not expect many.
pub(crate) fn allow_descriptors() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Ready once somebody wants this process to end.
pub(crate) fn told_to_stop() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
    })
}

pub(crate) async fn serve(config: Config) -> anyhow::Result<()> {
    allow_descriptors();
    let until = told_to_stop()?;
    let server = Server::start(&config).await?;
    if server.key_is_new {
        println!("API key (kept in {}, shown once): {}", config.data_dir.join("api_key").display(), server.key);
    }
    println!("Stead serves http://{}", server.address);
    tracing::info!(address = %server.address, data_dir = %config.data_dir.display(), "serving");
    server.run(until).await
}

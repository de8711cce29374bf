//! `stead worker`: serves a self-hosted environment of any server with the sandboxes of this machine.

use std::sync::Arc;

use anyhow::Context;
use brain::Grounds;
use store::SystemRng;
use tokio_util::sync::CancellationToken;
use worker::{Client, Made, Options, Worker};

use crate::config::{Config, Flags};

use crate::server::{allow_descriptors, told_to_stop};
use crate::workshop::Workshop;

/// Below the data directory, which may be a server's.
const DIRECTORY: &str = "worker";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The environment's id
    #[arg(long, env = "ANTHROPIC_ENVIRONMENT_ID")]
    environment: String,
    /// A key of the environment, as `stead keys create` makes it
    #[arg(long, env = "ANTHROPIC_ENVIRONMENT_KEY", hide_env_values = true)]
    key: String,
    /// The server
    #[arg(long, env = "ANTHROPIC_BASE_URL", default_value = "http://127.0.0.1:8420")]
    url: String,
    #[command(flatten)]
    pub(crate) flags: Flags,
}

/// What the configuration says of the sandboxes, made ready each time.
struct Configured {
    grounds: Arc<dyn Grounds>,
    environment: wire::environment::Config,
    has_network: bool,
}

#[async_trait::async_trait]
impl worker::Grounds for Configured {
    async fn ready(&self) -> Result<Made, String> {
        let (ground, network) = self.grounds.ready(&self.environment, &[]).await?;
        Ok(Made { ground, network: network.filter(|_| self.has_network) })
    }
}

pub(crate) async fn run(arguments: &Arguments, mut config: Config) -> anyhow::Result<()> {
    allow_descriptors();
    let until = told_to_stop()?;
    let client = Client::new(&arguments.url, arguments.key.trim()).context("--key")?;
    config.data_dir.push(DIRECTORY);
    let workshop = Workshop::open(&config, &SystemRng).await?;
    workshop.sandbox.prepare().await.context("this machine makes no sandboxes (`stead doctor` says why)")?;
    let grounds = Configured {
        grounds: workshop.grounds.clone(),
        environment: config.worker.environment()?,
        has_network: config.worker.has_network(),
    };
    let options = Options {
        environment: arguments.environment.clone(),
        name: format!("stead-{}", workshop.directory.id()),
        sandbox: workshop.sandbox.clone(),
        grounds: Arc::new(grounds),
        limits: config.limits.of_a_sandbox(),
        concurrency: config.worker.concurrency,
        lease: config.worker.lease(),
        max_idle: config.worker.max_idle(),
        keep: config.worker.keep(),
        directory: config.data_dir.join("sessions"),
    };
    tracing::info!(environment = arguments.environment, server = arguments.url, "waiting for work");
    let stop = CancellationToken::new();
    let served = {
        let worker = Worker::new(client, options);
        let (served, stop) = (worker.run(stop.clone()), &stop);
        tokio::pin!(served);
        tokio::select! {
            served = &mut served => served,
            () = until => {
                stop.cancel();
                served.await
            }
        }
    };
    if let Some(pool) = &workshop.pool {
        pool.close().await;
    }
    served.context("there is no work to be had: is this a key of the environment, and was it not revoked?")
}

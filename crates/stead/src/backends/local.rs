//! Sandboxes that this server makes itself.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use hands::gvisor::Gvisor;
use hands::namespace::{Namespace, Options};
use hands::pool::Pool;
use hands::{Gate, Missing, Sandbox, oci, unconfined};
use tokio::time::timeout;

use super::Made;
use crate::config::{Config, Engine, SandboxKind};

/// For a trial, which takes a moment.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn sandbox(config: &Config, options: Options, gate: Arc<dyn Gate>) -> anyhow::Result<Made> {
    match config.sandbox {
        SandboxKind::Gvisor => {
            let found = Gvisor::find(options, None).await;
            let found = found.map_err(|missing| anyhow!("STEAD_SANDBOX=gvisor: {missing}"))?;
            let pool = Arc::new(Pool::new(found.with_gate(gate), config.pool.options()));
            Ok(Made { sandbox: pool.clone(), pool: Some(pool) })
        }
        SandboxKind::Oci => match oci::first_that_works(&options, config.oci.runtimes()).await {
            Ok((runtime, found)) => {
                tracing::info!(%runtime, "sandboxes are containers");
                Ok(Made::of(Arc::new(found.with_gate(gate))))
            }
            Err(missing) => instead(config, &options.home, &missing).await.map(Made::of),
        },
        SandboxKind::None => {
            let none = unconfined::new(options);
            let tried =
                timeout(PATIENCE, none.self_test()).await.context("STEAD_SANDBOX=none: a trial does not end")?;
            tried.context("STEAD_SANDBOX=none cannot be had here either")?;
            tracing::warn!("no sandbox holds what agents run: they can do whatever this user can");
            Ok(Made::of(Arc::new(none)))
        }
        SandboxKind::Namespace => Ok(Made::of(Arc::new(Namespace::new(options).with_gate(gate)))),
        SandboxKind::Kubernetes => bail!("this Stead was built without the feature `kubernetes`"),
    }
}

/// An engine, where no runtime works and none was named.
async fn instead(config: &Config, home: &str, missing: &Missing) -> anyhow::Result<Arc<dyn Sandbox>> {
    if config.oci.engine != Engine::Any {
        bail!("STEAD_SANDBOX=oci: {missing}");
    }
    let docker = match config.oci.check() {
        Ok(()) => {
            let mut named = config.clone();
            named.oci.engine = Engine::Docker;
            super::away(&named, home)?
        }
        Err(lacks) => bail!("STEAD_SANDBOX=oci: {missing}; docker: {lacks}"),
    };
    let docker = docker.with_context(|| format!("STEAD_SANDBOX=oci: {missing}"))?;
    match timeout(PATIENCE, docker.prepare()).await {
        Ok(Ok(())) => Ok(docker),
        Ok(Err(error)) => bail!("STEAD_SANDBOX=oci: {missing}; docker: {error}"),
        Err(_) => bail!("STEAD_SANDBOX=oci: {missing}; docker: no answer within {} seconds", PATIENCE.as_secs()),
    }
}

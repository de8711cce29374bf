//! The environments of one data directory.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use brain::Grounds;
use hands::{Ground, Limits, Network, Sandbox};
use images::Source;
use packages::Indexes;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;
use tokio::task::{JoinHandle, spawn_blocking};
use wire::environment::Config;

use crate::base::Base;
use crate::layers::{Cache, Wanted};
use crate::{directory, network, settings, variables};

/// Bytes of what the host says of itself, at most.
const RELEASE: &str = "/etc/os-release";

pub struct Options {
    pub data_dir: PathBuf,
    /// None: the host's own system.
    pub base: Option<Source>,
    pub registries: images::Registries,
    /// Bytes that layers may take which no sandbox stands on, and as many for base images.
    pub ceiling: u64,
    /// Of builds.
    pub limits: Limits,
}

#[derive(Debug, thiserror::Error)]
#[error("the directory of environments {path} cannot be used: {source}")]
pub struct OpenError {
    path: PathBuf,
    source: io::Error,
}

pub struct Environments {
    place: PathBuf,
    base: Option<Base>,
    layers: Arc<Cache>,
    indexes: OnceCell<Arc<Indexes>>,
    /// It takes a second to find out, so that is begun before anybody asks.
    finding: Mutex<Option<JoinHandle<Indexes>>>,
    on_indexes: OnIndexes,
}

/// Told of the hosts that package managers need, once they are known and before anything is built.
pub type OnIndexes = Box<dyn Fn(&Indexes) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

impl Environments {
    /// Ends what earlier servers of the data directory were still installing.
    pub async fn open(options: Options, sandbox: Arc<dyn Sandbox>, on_indexes: OnIndexes) -> Result<Self, OpenError> {
        let Options { data_dir, base, registries, ceiling, limits } = options;
        let place = data_dir.join("environments");
        let failed = |source| OpenError { path: place.clone(), source };
        directory::make(&place).map_err(failed)?;
        let base = base.map(|source| Base::open(source, &place, registries, (sandbox.clone(), ceiling)));
        let base = base.transpose().map_err(failed)?;
        let layers = Arc::new(Cache::open(&place, sandbox, (ceiling, limits)).await.map_err(failed)?);
        let finding = Mutex::new(Some(spawn_blocking(Indexes::of_this_host)));
        Ok(Self { place, base, layers, indexes: OnceCell::new(), finding, on_indexes })
    }

    async fn indexes(&self) -> Arc<Indexes> {
        let found = self.indexes.get_or_init(|| async {
            let finding = self.finding.lock().take().unwrap_or_else(|| spawn_blocking(Indexes::of_this_host));
            let found = Arc::new(finding.await.unwrap_or_default());
            for note in &found.notes {
                tracing::info!("package managers: {note}");
            }
            (self.on_indexes)(&found).await;
            found
        });
        Arc::clone(found.await)
    }

    /// Without packages: the base, and the host's settings of package managers over it.
    async fn base(&self, indexes: &Indexes) -> Result<(Ground, String), String> {
        let (rootfs, fingerprint, settings, own) = match &self.base {
            None => {
                let fingerprint = spawn_blocking(host).await.map_err(|error| error.to_string())?;
                let path = std::env::var("PATH").unwrap_or_default();
                (None, fingerprint, indexes.settings.clone(), variables::of_host(&path))
            }
            Some(base) => {
                let image = base.image().await?;
                let fingerprint = image.digest.to_string();
                let settings = indexes.settings.for_another_system();
                (Some(image.rootfs.clone()), fingerprint, settings, variables::of(&image.config))
            }
        };
        let directory = self.place.join("settings");
        let environment = variables::over(own, settings.environment.clone());
        let layer = spawn_blocking(move || settings::layer(&directory, &settings)).await;
        let layer = layer.map_err(|error| error.to_string())?;
        let layer = layer.map_err(|error| format!("the settings of package managers cannot be written: {error}"))?;
        Ok((Ground { rootfs, layers: layer.into_iter().collect(), environment }, fingerprint))
    }
}

#[async_trait]
impl Grounds for Environments {
    async fn ready(&self, config: &Config, mcp: &[String]) -> Result<(Ground, Option<Network>), String> {
        let Config::Cloud { networking, packages } = config else { return Ok((Ground::default(), None)) };
        let indexes = self.indexes().await;
        let (mut ground, fingerprint) = self.base(&indexes).await?;
        if !packages.is_empty() {
            let steps = packages::recipes(packages, &indexes);
            let wanted = Wanted { packages, networking, ground: &ground, fingerprint: &fingerprint, steps };
            let layer = self.layers.layer(wanted).await?;
            ground.layers.insert(0, layer.upper);
        }
        Ok((ground, Some(network::network(networking, mcp))))
    }
}

/// Changes when the host has another system, or other packages of it.
fn host() -> String {
    let mut hash = Sha256::new();
    hash.update(fs::read(RELEASE).unwrap_or_default());
    for path in ["/usr/bin", "/usr/lib", "/usr/local/bin", "/var/lib/dpkg/status"] {
        let found = fs::metadata(path).map(|found| (found.mtime(), found.mtime_nsec(), found.len()));
        hash.update(format!("{path} {:?}", found.ok()));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

//! The layers of packages: each made once, whoever asks for it, and kept while it is needed.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use hands::{Ground, Limits, Sandbox};
use images::{Building, Key, Layer, Layers, Locked};
use packages::Step;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;
use wire::environment::{Manager, Networking, Packages};

use crate::build::{self, Build, Failed};
use crate::given::Given;
use crate::{directory, network};

/// How long a build that failed is not tried again.
const REST: Duration = Duration::from_secs(30);

/// How the names of sandboxes begin in which something is installed. No session's name does.
const BUILDER: &str = "build-";

/// What a layer is made of.
pub(crate) struct Wanted<'a> {
    pub(crate) packages: &'a Packages,
    pub(crate) networking: &'a Networking,
    pub(crate) ground: &'a Ground,
    /// Of what lies below.
    pub(crate) fingerprint: &'a str,
    pub(crate) steps: Vec<Step>,
}

pub(crate) struct Cache {
    sandbox: Arc<dyn Sandbox>,
    layers: Layers,
    logs: PathBuf,
    /// Bytes that layers without a live sandbox may take.
    ceiling: u64,
    /// Of builds.
    limits: Limits,
    given: Given<Layer>,
    failed: Mutex<HashMap<Key, (Instant, Failed)>>,
}

/// One layer on its way.
struct Job {
    building: Building,
    key: Key,
    /// The beginning of the key, which says enough to people.
    short: String,
    steps: Vec<Step>,
    build: Build,
    meta: Value,
}

impl Cache {
    /// Ends what earlier servers were still installing, and clears it away.
    pub(crate) async fn open(
        place: &Path,
        sandbox: Arc<dyn Sandbox>,
        (ceiling, limits): (u64, Limits),
    ) -> io::Result<Self> {
        // Before the layers are opened: as long as such a sandbox lives it writes into what is to be cleared.
        for kept in sandbox.kept().await {
            if kept.name.starts_with(BUILDER) {
                tracing::info!(build = kept.name, "what an earlier server was installing is given up");
                sandbox.destroy(&kept.name, None).await?;
            }
        }
        let layers = Layers::open(place)?;
        let logs = place.join("logs");
        directory::make(&logs)?;
        let (given, failed) = (Given::default(), Mutex::default());
        Ok(Self { sandbox, layers, logs, ceiling, limits, given, failed })
    }

    /// The layer, made if it is not there. It is made also when nobody waits for it any more: others will want it.
    pub(crate) async fn layer(self: &Arc<Self>, wanted: Wanted<'_>) -> Result<Layer, String> {
        let Wanted { packages, networking, ground, fingerprint, steps } = wanted;
        let key: Key = packages::key(packages, fingerprint).parse().map_err(|error| format!("{error}"))?;
        if let Some(layer) = self.layers.find(&key).map_err(words)? {
            return Ok(self.give(layer));
        }
        let building = match self.layers.lock(&key).await.map_err(words)? {
            Locked::Built(layer) => return Ok(self.give(layer)),
            Locked::Empty(building) => building,
        };
        let failed = self.failed.lock().get(&key).filter(|(at, _)| at.elapsed() < REST).map(|(_, why)| why.to_string());
        if let Some(why) = failed {
            return Err(why);
        }
        if !packages.of(Manager::Apt).is_empty() && !self.sandbox.installs_for_others() {
            return Err(
                "apt: its packages need users of their own, which this server cannot give: run it as root, or take \
                        a base image that has them"
                    .into(),
            );
        }
        let short: String = key.as_str().chars().take(16).collect();
        let build = Build {
            sandbox: self.sandbox.clone(),
            name: format!("{BUILDER}{short}"),
            ground: ground.clone(),
            into: building.upper(),
            limits: self.limits,
            network: network::of_builds(networking),
            log: build::log(&self.logs, key.as_str()),
            calls: AtomicU64::new(0),
        };
        let job = Job { building, key, short, steps, build, meta: json!({ "packages": packages }) };
        self.begin(job).await.unwrap_or_else(|_| Err("a defect: the installation of packages panicked".into()))
    }

    /// Cancel policy: none, so that what one session began and gave up is there for the others; what ends with the
    /// server is cleared away by the next one. Failure policy: whoever waits is told of a panic.
    #[expect(clippy::disallowed_methods, reason = "named here, and bounded by the limits of its steps")]
    fn begin(self: &Arc<Self>, job: Job) -> JoinHandle<Result<Layer, String>> {
        let cache = Arc::clone(self);
        tokio::spawn(async move { cache.make(job).await })
    }

    async fn make(self: Arc<Self>, job: Job) -> Result<Layer, String> {
        let Job { building, key, short, steps, build, meta } = job;
        let log = build.log.display().to_string();
        tracing::info!(layer = short, %log, "packages are being installed for an environment");
        let started = Instant::now();
        if let Err(failed) = build.run(&steps).await {
            tracing::warn!(layer = short, %failed, %log, "the packages of an environment could not be installed");
            self.failed.lock().insert(key, (Instant::now(), failed.clone()));
            return Err(failed.to_string());
        }
        let cache = Arc::clone(&self);
        let committed = spawn_blocking(move || cache.layers.commit(building, meta)).await.map_err(io::Error::other);
        let layer = committed.and_then(|committed| committed).map_err(words)?;
        self.failed.lock().remove(&key);
        let seconds = started.elapsed().as_secs();
        tracing::info!(layer = short, seconds, bytes = layer.size, "an environment's packages are installed");
        let layer = self.give(layer);
        self.evict().await;
        Ok(layer)
    }

    fn give(&self, layer: Layer) -> Layer {
        self.given.hold(layer.key.as_str(), layer.clone());
        layer
    }

    /// Removes layers that nobody needs until the rest takes no more than it may.
    async fn evict(self: Arc<Self>) {
        let kept = self.sandbox.kept().await;
        let in_use: Vec<Key> = kept.iter().flat_map(|kept| &kept.layers).filter_map(|layer| key_of(layer)).collect();
        self.given.let_go_of_the_old();
        let evicted = spawn_blocking(move || self.layers.evict(self.ceiling, &in_use)).await;
        match evicted.map_err(io::Error::other).and_then(|evicted| evicted) {
            Ok(gone) if gone.is_empty() => {}
            Ok(gone) => tracing::info!(layers = gone.len(), "layers of packages were removed to make room"),
            Err(error) => tracing::warn!(%error, "layers of packages could not be removed"),
        }
    }
}

fn words(error: io::Error) -> String {
    format!("the layers of packages cannot be used: {error}")
}

/// The key of the layer with this upper.
fn key_of(upper: &Path) -> Option<Key> {
    upper.parent()?.file_name()?.to_str()?.parse().ok()
}

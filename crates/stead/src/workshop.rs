//! What makes sandboxes on this machine: the data directory, the backend, what sandboxes are made over, and their way out.

use std::sync::Arc;

use brain::Grounds;
use environments::Environments;
use hands::Sandbox;
use hands::gvisor::Gvisor;
use hands::namespace;
use hands::pool::Pool;
use store::{Directory, Rng};

use crate::backends;
use crate::config::Config;
use crate::egress::{self, Egress};
use crate::installation::{OpenError, make_private};

pub(crate) struct Workshop {
    /// Owned for as long as this lives.
    pub(crate) directory: Arc<Directory>,
    pub(crate) sandbox: Arc<dyn Sandbox>,
    /// Of sandboxes that are ready, for a backend that takes long to make them.
    pub(crate) pool: Option<Arc<Pool<Gvisor>>>,
    pub(crate) grounds: Arc<dyn Grounds>,
    pub(crate) egress: Arc<Egress>,
}

impl Workshop {
    pub(crate) async fn open(config: &Config, rng: &dyn Rng) -> Result<Self, OpenError> {
        make_private(&config.data_dir)?;
        let directory = Arc::new(Directory::own(&config.data_dir, rng)?);
        let options = namespace::Options { data_dir: config.data_dir.clone(), home: directory.id().to_owned() };
        let egress = Arc::new(Egress::new(egress::Options::of(config)));
        let backends::Made { sandbox, pool } = backends::sandbox(config, options, egress.clone()).await?;
        let grounds = grounds(config, &sandbox, &egress).await?;
        egress.look_after(&sandbox);
        Ok(Self { directory, sandbox, pool, grounds, egress })
    }
}

/// What sandboxes are made over. The gateway hears of the hosts of package managers once those are known.
async fn grounds(
    config: &Config,
    sandbox: &Arc<dyn Sandbox>,
    egress: &Arc<Egress>,
) -> anyhow::Result<Arc<dyn Grounds>> {
    let options = environments::Options {
        data_dir: config.data_dir.clone(),
        base: config.environments.source()?,
        registries: config.environments.registries(),
        ceiling: config.environments.layers_gib.saturating_mul(1 << 30),
        limits: config.limits.of_a_sandbox(),
    };
    let egress = egress.clone();
    let tell: environments::OnIndexes = Box::new(move |indexes| {
        let (egress, hosts) = (egress.clone(), indexes.hosts.clone());
        Box::pin(async move { egress.add_package_hosts(hosts).await })
    });
    Ok(Arc::new(Environments::open(options, sandbox.clone(), tell).await?))
}

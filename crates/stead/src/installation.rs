//! What a server stands on: its data directory, its database, and its way to the other nodes.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use brain::{Elsewhere, Station};
use bus::{Bus, Heard};
use bus_nats::Nats;
use peers::{Local, Peers, Secret as PeerSecret};
use store::{AnyStore, Clock, Directory, OwnError, Rng, SystemClock};
use store_postgres::{Doorbells, PostgresStore};
use store_sqlite::SqliteStore;
use tokio::sync::mpsc;

use crate::config::{Config, Secret};
use crate::others::Others;
use crate::workshop::Workshop;

/// What other nodes say, before this one has taken it in.
const HEARD: usize = 4_096;

/// Why a server has nothing to stand on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Owned(#[from] OwnError),
    #[error(transparent)]
    Sqlite(#[from] store_sqlite::OpenError),
    #[error(transparent)]
    Postgres(#[from] store_postgres::OpenError),
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

pub(crate) struct Installation {
    pub(crate) store: AnyStore,
    pub(crate) bus: Bus,
    pub(crate) workshop: Workshop,
    pub(crate) elsewhere: Arc<dyn Elsewhere>,
    pub(crate) station: Station,
    /// What the other nodes say; none if there can be none.
    pub(crate) heard: Option<mpsc::Receiver<Heard>>,
    /// Whether several nodes may stand on the same database.
    pub(crate) is_shared: bool,
}

/// Opens the store for a command that works on all of it: no server may use it meanwhile. Returns its name for people, too.
pub(crate) async fn open_alone(config: &Config) -> anyhow::Result<(AnyStore, String)> {
    make_private(&config.data_dir)?;
    match &config.database_url {
        None => {
            let directory = Arc::new(Directory::own(&config.data_dir, &store::SystemRng)?);
            let name = directory.path().join("stead.db").display().to_string();
            Ok((Arc::new(SqliteStore::open(directory, Arc::new(SystemClock))?), name))
        }
        Some(Secret(url)) => {
            let store = Arc::new(PostgresStore::connect(url, postgres(config)).await?);
            let live = store::Nodes::nodes(&*store).await?.into_iter().filter(|known| !known.is_expired).count();
            ensure!(live == 0, "{live} servers use this database: stop them first");
            Ok((store, "PostgreSQL".to_owned()))
        }
    }
}

pub(crate) fn postgres(config: &Config) -> store_postgres::Options {
    store_postgres::Options { connections: config.node.connections, ..Default::default() }
}

impl Installation {
    pub(crate) async fn open(config: &Config, clock: Arc<dyn Clock>, rng: &dyn Rng) -> Result<Self, OpenError> {
        let workshop = Workshop::open(config, rng).await?;
        let directory = &workshop.directory;
        let station = Station {
            directory: directory.id().to_owned(),
            machine: machine(),
            path: directory.path().display().to_string(),
            address: None,
        };
        match &config.database_url {
            None => Ok(Self {
                store: Arc::new(SqliteStore::open(directory.clone(), clock)?),
                bus: Bus::default(),
                elsewhere: Arc::new(brain::Alone),
                station,
                heard: None,
                is_shared: false,
                workshop,
            }),
            Some(Secret(url)) => Self::shared(config, url, workshop, station, rng).await,
        }
    }

    /// On a database that other nodes may use too.
    async fn shared(
        config: &Config,
        url: &str,
        workshop: Workshop,
        mut station: Station,
        rng: &dyn Rng,
    ) -> Result<Self, OpenError> {
        let store = Arc::new(PostgresStore::connect(url, postgres(config)).await?);
        let any: AnyStore = store.clone();
        let fresh = || format!("{:032x}{:032x}", rng.bits(), rng.bits());
        let settle = async |name: &str| any.settle(name, &fresh()).await.context("the database cannot be written");
        let installation = settle("installation").await?;
        let secret = settle("internal_secret").await?;
        let (to, heard) = mpsc::channel(HEARD);
        let local =
            Local { directory: station.directory.clone(), sandbox: workshop.sandbox.clone(), heard: to.clone() };
        let listen = config.node.internal_listen;
        if listen.ip().is_unspecified() {
            let reason = "it is told to the other nodes, so it must be one address of this machine that they can reach";
            return Err(anyhow::anyhow!("node.internal_listen: {listen} is every address: {reason}").into());
        }
        let peers = Peers::listen(listen, PeerSecret::new(secret), local).await;
        let peers = Arc::new(peers.with_context(|| format!("node.internal_listen: {listen} cannot be listened on"))?);
        station.address = Some(peers.address().to_string());
        let place = serde_json::json!({"machine": station.machine, "path": station.path}).to_string();
        any.set(&Others::place_of(&station.directory), &place).await.context("the database cannot be written")?;
        let node = station.directory.clone();
        let (bus, doorbells) = match &config.nats_url {
            Some(Secret(url)) => {
                let nats = Nats::connect(url, installation, node, to).await.context("STEAD_NATS_URL")?;
                let nats = Arc::new(nats);
                (Bus::with_relay(nats.clone(), nats), None)
            }
            None => {
                let doorbells = Arc::new(Doorbells::start(store, &installation, node, to));
                (Bus::with_relay(doorbells.clone(), peers.clone()), Some(doorbells))
            }
        };
        let elsewhere = Arc::new(Others::new(peers, doorbells, any.clone(), station.machine.clone()));
        let heard = Some(heard);
        let is_shared = true;
        Ok(Self { store: any, bus, workshop, elsewhere, station, heard, is_shared })
    }
}

/// Conversations are in it: nobody else on the machine is to read them.
pub(crate) fn make_private(data_dir: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir);
    made.with_context(|| format!("the data directory {} cannot be made", data_dir.display()))
}

/// This boot of this machine. Without a name of its own a machine is like no other.
fn machine() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    boot.map_or_else(|_| format!("{:032x}", store::SystemRng.bits()), |boot| boot.trim().to_owned())
}

//! The other nodes of the installation: how to reach their sandboxes, and how to know that they are dead.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use brain::Elsewhere;
use hands::namespace::{self, Namespace};
use hands::{Address, BoxedStream, Dial, Hand, Lost, Sandbox};
use parking_lot::Mutex;
use peers::Peers;
use serde::Deserialize;
use store::{AnyStore, Directory, Node};
use store_postgres::Doorbells;

pub(crate) struct Others {
    peers: Arc<Peers>,
    /// Only the database's own need to know whether anybody listens.
    doorbells: Option<Arc<Doorbells>>,
    orphans: Arc<Orphans>,
    machine: String,
}

/// The sandboxes of data directories of this machine whose servers are dead.
struct Orphans {
    store: AnyStore,
    machine: String,
    known: Mutex<HashMap<String, Arc<Namespace>>>,
}

/// The way to one sandbox, looked for anew each time: its node may die, and come back.
struct Way {
    peers: Arc<Peers>,
    orphans: Arc<Orphans>,
    home: String,
    address: Address,
}

#[async_trait]
impl Dial for Way {
    async fn dial(&self) -> Result<BoxedStream, Lost> {
        match self.peers.dialer(&self.home, &self.address) {
            Some(dialer) => match dialer.dial().await {
                // Its node is registered, and does not answer: it may be dead already.
                Err(Lost::Refused(reason)) => {
                    self.orphans.dial(&self.home, &self.address).await.map_err(|_| Lost::Refused(reason))
                }
                dialled => dialled,
            },
            None => self.orphans.dial(&self.home, &self.address).await,
        }
    }
}

/// Where a data directory is.
#[derive(Deserialize)]
struct Place {
    machine: String,
    path: PathBuf,
}

impl Others {
    pub(crate) fn new(peers: Arc<Peers>, doorbells: Option<Arc<Doorbells>>, store: AnyStore, machine: String) -> Self {
        let orphans = Arc::new(Orphans { store, machine: machine.clone(), known: Mutex::default() });
        Self { peers, doorbells, orphans, machine }
    }

    /// The setting in which each node leaves where its data directory is.
    pub(crate) fn place_of(directory: &str) -> String {
        format!("directory.{directory}")
    }
}

impl Orphans {
    /// A sandbox whose node is dead, but whose machine is this one: it is reached without its node.
    async fn dial(&self, home: &str, address: &Address) -> Result<BoxedStream, Lost> {
        self.of(home).await?.dial(address).await
    }

    /// The same for one that was put away.
    async fn fetch_left(&self, home: &str, address: &Address, to: &Path) -> Result<bool, String> {
        let sandbox = self.of(home).await.map_err(|lost| lost.to_string())?;
        match sandbox.checkpoint(address).await.map_err(|error| error.to_string())? {
            None => Ok(false),
            Some(left) => tokio::fs::copy(&left.path, to).await.map(|_| true).map_err(|error| error.to_string()),
        }
    }

    async fn of(&self, home: &str) -> Result<Arc<Namespace>, Lost> {
        let away = || Lost::Refused(format!("the server of data directory {home} cannot be reached"));
        let place = self.store.setting(&Others::place_of(home)).await;
        let place = place.map_err(|error| Lost::Refused(error.to_string()))?;
        let place: Place = place.and_then(|place| serde_json::from_str(&place).ok()).ok_or_else(away)?;
        // Containers of one host are one machine, and the same path may lead to another directory in each.
        let is_there = std::fs::read_to_string(place.path.join("directory_id")).is_ok_and(|id| id == home);
        if place.machine != self.machine || !is_there {
            return Err(away());
        }
        let make = || Arc::new(Namespace::new(namespace::Options { data_dir: place.path, home: home.to_owned() }));
        Ok(self.known.lock().entry(home.to_owned()).or_insert_with(make).clone())
    }
}

#[async_trait]
impl Elsewhere for Others {
    fn known(&self, nodes: &[Node]) {
        if let Some(doorbells) = &self.doorbells {
            doorbells.heard_by_others(!nodes.is_empty());
        }
        let reachable = nodes.iter().filter_map(|node| Some((node.directory.clone(), node.address.clone()?)));
        self.peers.set_nodes(reachable.collect());
    }

    async fn adopt(&self, home: &str, address: &Address, epoch: u64) -> Result<Box<dyn Hand>, Lost> {
        let (peers, orphans) = (self.peers.clone(), self.orphans.clone());
        let way = Way { peers, orphans, home: home.to_owned(), address: address.clone() };
        hands::attach(Arc::new(way), address.clone(), epoch).await
    }

    async fn fetch_left(&self, home: &str, address: &Address, to: &Path) -> Result<bool, String> {
        match self.peers.fetch_left(home, address, to).await {
            Ok(()) => return Ok(true),
            Err(Lost::Gone(_)) => return Ok(false),
            Err(lost) => tracing::debug!(home, %lost, "what is left of a sandbox is looked for without its node"),
        }
        // It may have come in part.
        let _ = tokio::fs::remove_file(to).await;
        self.orphans.fetch_left(home, address, to).await
    }

    fn proof_of_death(&self, node: &Node) -> Option<Box<dyn Send>> {
        if node.machine != self.machine {
            return None;
        }
        let directory = Directory::own_if_abandoned(Path::new(&node.path))?;
        // The path may lead elsewhere by now.
        (directory.id() == node.directory).then(|| Box::new(directory) as Box<dyn Send>)
    }
}

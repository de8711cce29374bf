//! The other nodes of the installation: how to reach their sandboxes, and how to know that they are dead.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use brain::Elsewhere;
use hands::namespace::{self, Namespace};
use hands::{Address, Hand, Lost, Sandbox};
use parking_lot::Mutex;
use peers::Peers;
use serde::Deserialize;
use store::{AnyStore, Directory, Node};
use store_postgres::Doorbells;

pub(crate) struct Others {
    peers: Arc<Peers>,
    /// Only the database's own need to know whether anybody listens.
    doorbells: Option<Arc<Doorbells>>,
    store: AnyStore,
    machine: String,
    /// The sandboxes of data directories of this machine whose servers are dead.
    orphaned: Mutex<HashMap<String, Arc<Namespace>>>,
}

/// Where a data directory is.
#[derive(Deserialize)]
struct Place {
    machine: String,
    path: PathBuf,
}

impl Others {
    pub(crate) fn new(peers: Arc<Peers>, doorbells: Option<Arc<Doorbells>>, store: AnyStore, machine: String) -> Self {
        Self { peers, doorbells, store, machine, orphaned: Mutex::default() }
    }

    /// The setting in which each node leaves where its data directory is.
    pub(crate) fn place_of(directory: &str) -> String {
        format!("directory.{directory}")
    }

    /// A sandbox whose node is dead, but whose machine is this one: it is reached without its node.
    async fn adopt_orphan(&self, home: &str, address: &Address, epoch: u64) -> Result<Box<dyn Hand>, Lost> {
        let away = || Lost::Refused(format!("the server of data directory {home} cannot be reached"));
        let place =
            self.store.setting(&Self::place_of(home)).await.map_err(|error| Lost::Refused(error.to_string()))?;
        let place: Place = place.and_then(|place| serde_json::from_str(&place).ok()).ok_or_else(away)?;
        if place.machine != self.machine || !place.path.is_dir() {
            return Err(away());
        }
        let sandbox = self
            .orphaned
            .lock()
            .entry(home.to_owned())
            .or_insert_with(|| {
                Arc::new(Namespace::new(namespace::Options { data_dir: place.path, home: home.to_owned() }))
            })
            .clone();
        sandbox.adopt(address, epoch).await
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
        match self.peers.dialer(home, address) {
            Some(dialer) => hands::attach(dialer, address.clone(), epoch).await,
            None => self.adopt_orphan(home, address, epoch).await,
        }
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

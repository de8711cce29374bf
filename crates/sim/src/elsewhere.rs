//! The other nodes as one of them sees them, and the way to their sandboxes.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use brain::Elsewhere;
use hands::{Address, Hand, Lost};
use parking_lot::Mutex;
use store::{Catalog, Node};

use crate::boxes::Boxes;
use crate::hands::SimHand;
use crate::places::{Place, Places};
use crate::time::pass;
use crate::weather::Distant;

/// The longest that a node waits for the answer of another, in milliseconds.
const PATIENCE: u64 = 5_000;

pub(crate) struct SimElsewhere {
    pub(crate) here: Arc<Place>,
    pub(crate) places: Arc<Places>,
    pub(crate) boxes: Boxes,
    pub(crate) store: Arc<Distant>,
    /// The data directories of the nodes that the store knows to live.
    pub(crate) known: Arc<Mutex<BTreeSet<String>>>,
}

/// The way from one node to the sandboxes of another's home.
pub(crate) struct Road {
    here: Arc<Place>,
    there: Arc<Place>,
    boxes: Boxes,
    store: Arc<Distant>,
    known: Arc<Mutex<BTreeSet<String>>>,
}

#[async_trait]
impl Elsewhere for SimElsewhere {
    fn known(&self, nodes: &[Node]) {
        let reachable = nodes.iter().filter(|node| node.address.is_some());
        *self.known.lock() = reachable.map(|node| node.directory.clone()).collect();
    }

    async fn adopt(&self, home: &str, address: &Address, epoch: u64) -> Result<Box<dyn Hand>, Lost> {
        self.here.weather.step().await;
        let there = self.places.of(home).ok_or_else(|| Lost::Refused(format!("nobody knows where {home} is")))?;
        let road = Road {
            here: self.here.clone(),
            there: there.clone(),
            boxes: self.boxes.clone(),
            store: self.store.clone(),
            known: self.known.clone(),
        };
        road.dial().await?;
        self.here.weather.step().await;
        let weather = self.here.weather.clone();
        Ok(Box::new(SimHand::greet(address.clone(), epoch, self.boxes.clone(), weather, Some(road))?))
    }

    fn proof_of_death(&self, node: &Node) -> Option<Box<dyn Send>> {
        let there = self.places.of(&node.directory).filter(|there| there.machine == self.here.machine)?;
        there.prove_dead().map(|proof| Box::new(proof) as Box<dyn Send>)
    }
}

impl Road {
    /// Whether a connection that leads over it holds.
    pub(crate) fn is_open(&self) -> bool {
        !self.here.is_cut_off_from(&self.there) && (self.is_short() || self.there.answers())
    }

    /// Whether it leads from one directory to another of the same machine, and so past the other's server.
    fn is_short(&self) -> bool {
        self.here.machine == self.there.machine
    }

    /// Makes a connection: through the other node's server, or past it.
    pub(crate) async fn dial(&self) -> Result<(), Lost> {
        pass(self.boxes.dice.between(1, 20)).await;
        let is_known = self.known.lock().contains(&self.there.home);
        if is_known && self.there.answers() && self.is_open() {
            return Ok(());
        }
        if self.is_short() {
            // Where the directory is stands in the store.
            let place = self.store.setting(&self.there.home).await;
            place.map_err(|error| Lost::Refused(error.to_string()))?;
            if self.is_open() {
                return Ok(());
            }
        }
        // Some refuse at once, others say nothing for as long as anybody waits.
        pass(self.boxes.dice.between(1, PATIENCE)).await;
        Err(Lost::Refused(format!("the server of {} cannot be reached", self.there.home)))
    }
}

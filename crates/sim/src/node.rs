//! A node: a brain over its own weather, that dies and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use brain::{Backoff, Bare, Brain, Judge, Options, Parts, Price, Route, Routes, Rules, Station, Turn};
use bus::Bus;
use context::Policy;
use hands::Limits;
use parking_lot::Mutex;
use store::volatile::Volatile;

use crate::boxes::Boxes;
use crate::check::Audit;
use crate::dice::Dice;
use crate::elsewhere::SimElsewhere;
use crate::hands::SimSandbox;
use crate::model::SimModel;
use crate::places::{Place, Places, Process};
use crate::relay::{Ears, SimRelay};
use crate::time::{SimClock, pass};
use crate::weather::{Distant, Weather};

/// Leases in the simulation, short, so that many run out.
const LEASE: Duration = Duration::from_secs(10);

pub(crate) struct Node {
    place: Arc<Place>,
    common: Common,
    dice: Dice,
    pub(crate) clock: Arc<SimClock>,
    server: Mutex<Option<Server>>,
    is_retired: AtomicBool,
}

/// A brain, and the process that ends with it.
struct Server {
    brain: Brain,
    _process: Arc<Process>,
}

/// What all nodes have in common.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) store: Arc<Volatile>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) boxes: Boxes,
    pub(crate) ears: Ears,
    pub(crate) places: Arc<Places>,
    /// Rules judge otherwise.
    pub(crate) is_judged_by_model: bool,
    /// Idle sandboxes are put away after so long; none are, without it.
    pub(crate) rest_after: Option<Duration>,
}

impl Node {
    pub(crate) fn new(place: Arc<Place>, common: Common, clock: Arc<SimClock>, dice: Dice) -> Self {
        Self { place, common, dice, clock, server: Mutex::default(), is_retired: AtomicBool::new(false) }
    }

    /// The brain, while the node lives.
    pub(crate) fn brain(&self) -> Option<Brain> {
        self.server.lock().as_ref().map(|server| server.brain.clone())
    }

    pub(crate) fn weather(&self) -> &Weather {
        &self.place.weather
    }

    pub(crate) fn home(&self) -> &str {
        &self.place.home
    }

    pub(crate) fn kill(&self) {
        if let Some(server) = self.server.lock().take() {
            server.brain.kill();
        }
    }

    /// Its machine loses its disk.
    pub(crate) fn wipe(&self) {
        self.kill();
        self.common.boxes.wipe(&self.place.home);
    }

    /// It dies, and is not brought back.
    pub(crate) fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
        self.kill();
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::Relaxed)
    }

    /// In good order: what it works on is handed over.
    pub(crate) async fn stop(&self) {
        let server = self.server.lock().take();
        if let Some(server) = server {
            // A store that is silent must not hold up the stop for ever: then it is a death.
            let stopped = tokio::time::timeout(Duration::from_secs(60), server.brain.stop()).await;
            if stopped.is_err() {
                server.brain.kill();
            }
        }
    }

    /// Comes up, as soon as its store lets it.
    pub(crate) async fn start(&self) {
        loop {
            let process = self.place.begin().await;
            let brain = self.build(&process);
            let started = tokio::select! {
                biased;
                // It may die before it is up.
                () = self.weather().dies.notified() => false,
                started = brain.start() => started.is_ok(),
            };
            if started {
                brain.listen(self.common.ears.open(self.place.number));
                *self.server.lock() = Some(Server { brain, _process: process });
                return;
            }
            brain.kill();
            drop(process);
            pass(1_000).await;
        }
    }

    fn build(&self, process: &Arc<Process>) -> Brain {
        let Common { store, audit, boxes, ears, places, .. } = self.common.clone();
        let weather = self.place.weather.clone();
        let distant = Arc::new(Distant { store, weather: weather.clone(), audit });
        let relay = Arc::new(SimRelay { node: self.place.number, ears, dice: self.dice.fork() });
        let process = Arc::downgrade(process);
        let sandbox = SimSandbox { home: self.place.home.clone(), boxes: boxes.clone(), weather, process };
        let (here, store) = (self.place.clone(), distant.clone());
        let elsewhere = SimElsewhere { here, places, boxes, store, known: Arc::default() };
        let parts = Parts {
            store: distant,
            bus: Bus::with_relay(relay.clone(), relay),
            clock: self.clock.clone(),
            rng: Arc::new(self.dice.fork()),
            routes: self.routes(),
            judge: self.judge(),
            hands: Arc::new(sandbox),
            grounds: Arc::new(Bare),
            shelf: None,
            elsewhere: Arc::new(elsewhere),
            crash: None,
        };
        Brain::new(parts, self.options())
    }

    fn judge(&self) -> Judge {
        let rules = Rules::default();
        if self.common.is_judged_by_model { Judge::model(None, rules) } else { Judge::rules(rules) }
    }

    fn routes(&self) -> Routes {
        let client = Arc::new(SimModel { dice: self.dice.fork(), weather: self.place.weather.clone() });
        let price = Price { input: 1_000_000, output: 5_000_000, cache_read: 100_000, cache_write: 1_250_000 };
        let route = Route {
            pattern: "*".into(),
            client,
            model: None,
            price: Some(price),
            max_tokens: 1_000,
            takes_effort: false,
            system_messages: Some(true),
            policy: Policy { compact_at: Some(0.8), clear_at: Some(0.5), keep_results: 3, window: Some(2_500) },
            only: Vec::new(),
        };
        // The pattern is ours, and a glob.
        Routes::new(vec![route]).unwrap_or_default()
    }

    fn options(&self) -> Options {
        let Place { number, home, machine, .. } = &*self.place;
        let station = Station {
            directory: home.clone(),
            machine: machine.clone(),
            path: String::new(),
            address: Some(format!("node-{number}")),
        };
        Options {
            station,
            lease: LEASE,
            drain: Duration::from_secs(3),
            grace: Duration::from_secs(5),
            turn: Turn { rounds: 20, attempts: 4, compactions: 3 },
            backoff: Backoff { first: Duration::from_millis(200), most: Duration::from_secs(5) },
            sandbox: Limits { orphan_seconds: 600, ..Limits::default() },
            rest_after: self.common.rest_after,
            keep_files: Duration::MAX,
            staging: "/nowhere".into(),
        }
    }
}

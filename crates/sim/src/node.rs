//! A node: a brain over its own weather, that dies and comes back.

use std::sync::Arc;
use std::time::Duration;

use brain::{Alone, Backoff, Brain, Judge, Options, Parts, Price, Route, Routes, Rules, Station, Turn};
use bus::Bus;
use context::Policy;
use hands::Limits;
use parking_lot::Mutex;
use store::volatile::Volatile;

use crate::check::Audit;
use crate::dice::Dice;
use crate::hands::{Boxes, SimSandbox};
use crate::model::SimModel;
use crate::relay::{Ears, SimRelay};
use crate::time::{SimClock, pass};
use crate::weather::{Distant, Weather};

/// Leases in the simulation, short, so that many run out.
const LEASE: Duration = Duration::from_secs(10);

pub(crate) struct Node {
    number: usize,
    store: Arc<Volatile>,
    audit: Arc<Audit>,
    boxes: Boxes,
    ears: Ears,
    dice: Dice,
    pub(crate) clock: Arc<SimClock>,
    pub(crate) weather: Arc<Weather>,
    brain: Mutex<Option<Brain>>,
}

/// What all nodes have in common.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) store: Arc<Volatile>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) boxes: Boxes,
    pub(crate) ears: Ears,
}

impl Node {
    pub(crate) fn new(number: usize, common: Common, clock: Arc<SimClock>, weather: Arc<Weather>, dice: Dice) -> Self {
        let Common { store, audit, boxes, ears } = common;
        Self { number, store, audit, boxes, ears, dice, clock, weather, brain: Mutex::default() }
    }

    /// The brain, while the node lives.
    pub(crate) fn brain(&self) -> Option<Brain> {
        self.brain.lock().clone()
    }

    pub(crate) fn kill(&self) {
        if let Some(brain) = self.brain.lock().take() {
            brain.kill();
        }
    }

    /// In good order: what it works on is handed over.
    pub(crate) async fn stop(&self) {
        let brain = self.brain.lock().take();
        if let Some(brain) = brain {
            // A store that is silent must not hold up the stop for ever: then it is a death.
            let stopped = tokio::time::timeout(Duration::from_secs(60), brain.stop()).await;
            if stopped.is_err() {
                brain.kill();
            }
        }
    }

    /// Comes up, as soon as its store lets it.
    pub(crate) async fn start(&self) {
        loop {
            let brain = self.build();
            let started = tokio::select! {
                biased;
                // It may die before it is up.
                () = self.weather.dies.notified() => false,
                started = brain.start() => started.is_ok(),
            };
            if started {
                brain.listen(self.ears.open(self.number));
                *self.brain.lock() = Some(brain);
                return;
            }
            brain.kill();
            pass(1_000).await;
        }
    }

    fn build(&self) -> Brain {
        let distant = Distant { store: self.store.clone(), weather: self.weather.clone(), audit: self.audit.clone() };
        let relay = SimRelay { node: self.number, ears: self.ears.clone(), dice: self.dice.fork() };
        let relay = Arc::new(relay);
        let sandbox = SimSandbox { boxes: self.boxes.clone(), weather: self.weather.clone() };
        let parts = Parts {
            store: Arc::new(distant),
            bus: Bus::with_relay(relay.clone(), relay),
            clock: self.clock.clone(),
            rng: Arc::new(self.dice.fork()),
            routes: self.routes(),
            judge: Judge::rules(Rules::default()),
            hands: Arc::new(sandbox),
            elsewhere: Arc::new(Alone),
            crash: None,
        };
        Brain::new(parts, self.options())
    }

    fn routes(&self) -> Routes {
        let client = Arc::new(SimModel { dice: self.dice.fork(), weather: self.weather.clone() });
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
        let directory = format!("directory-{}", self.number);
        let station = Station { directory, machine: "machine".into(), path: String::new(), address: None };
        Options {
            station,
            lease: LEASE,
            drain: Duration::from_secs(3),
            grace: Duration::from_secs(5),
            turn: Turn { rounds: 20, attempts: 4, compactions: 3 },
            backoff: Backoff { first: Duration::from_millis(200), most: Duration::from_secs(5) },
            sandbox: Limits { memory: 1, processes: 1, disk: 1, orphan_seconds: 600 },
            staging: "/nowhere".into(),
        }
    }
}

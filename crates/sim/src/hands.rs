//! Sandboxes that outlive brains: calls run in world time, whoever asked for them, and are remembered in a journal.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use hands::{Address, BoxedStream, Entry, Execute, Found, Hand, Lost, Outcome, ProvisionError, Sandbox, Spec};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::check::Audit;
use crate::dice::Dice;
use crate::time::{pass, spawn};
use crate::weather::Weather;

/// All sandboxes of the world, by name.
#[derive(Clone)]
pub(crate) struct Boxes {
    boxes: Arc<Mutex<BTreeMap<String, Arc<SimBox>>>>,
    audit: Arc<Audit>,
    dice: Dice,
}

struct SimBox {
    incarnation: String,
    inside: Mutex<Inside>,
    changed: Notify,
}

#[derive(Default)]
struct Inside {
    is_dead: bool,
    epoch: u64,
    journal: BTreeMap<String, Noted>,
}

/// A call in the journal.
#[derive(Clone)]
enum Noted {
    Running,
    Finished(Outcome),
    /// Started in an earlier sandbox of this session, which did not live to see its end.
    Unknown,
}

impl Boxes {
    pub(crate) fn new(audit: Arc<Audit>, dice: Dice) -> Self {
        Self { boxes: Arc::default(), audit, dice }
    }

    /// One of them dies, if there is any.
    pub(crate) fn kill_one(&self) {
        let boxes = self.boxes.lock();
        if boxes.is_empty() {
            return;
        }
        let chosen = self.dice.below(boxes.len() as u64) as usize;
        if let Some(chosen) = boxes.values().nth(chosen) {
            chosen.die();
        }
    }

    fn find(&self, address: &Address) -> Result<Arc<SimBox>, Lost> {
        let name = address.directory.display().to_string();
        let found = self.boxes.lock().get(&name).cloned();
        found
            .filter(|found| found.incarnation == address.incarnation && !found.inside.lock().is_dead)
            .ok_or_else(|| Lost::Gone("it is not there".into()))
    }
}

impl SimBox {
    fn die(&self) {
        self.inside.lock().is_dead = true;
        self.changed.notify_waiters();
    }

    /// Lets a brain of this epoch in, and no earlier one from now on.
    fn enter(&self, epoch: u64) -> Result<(), Lost> {
        let mut inside = self.inside.lock();
        if inside.is_dead {
            return Err(Lost::Gone("it has died".into()));
        }
        if epoch < inside.epoch {
            return Err(Lost::Fenced(inside.epoch));
        }
        inside.epoch = epoch;
        Ok(())
    }
}

/// The sandboxes as one node sees them.
pub(crate) struct SimSandbox {
    pub(crate) boxes: Boxes,
    pub(crate) weather: Arc<Weather>,
}

#[async_trait]
impl Sandbox for SimSandbox {
    async fn prepare(&self) -> Result<(), ProvisionError> {
        Ok(())
    }

    async fn provision(&self, spec: &Spec, epoch: u64) -> Result<Box<dyn Hand>, ProvisionError> {
        self.weather.step().await;
        pass(self.boxes.dice.between(5, 500)).await;
        self.weather.step().await;
        if self.weather.rough.load(std::sync::atomic::Ordering::Relaxed) && self.boxes.dice.in_thousand(20) {
            return Err(ProvisionError::Failed("no sandbox today".into()));
        }
        let earlier = self.boxes.boxes.lock().get(&spec.name).cloned();
        let mut inside = Inside { epoch, ..Inside::default() };
        if let Some(earlier) = earlier {
            if epoch < earlier.inside.lock().epoch {
                return Err(ProvisionError::Failed("a later brain has made one".into()));
            }
            earlier.die();
            let was = earlier.inside.lock();
            inside.journal = was
                .journal
                .iter()
                .map(|(call, noted)| {
                    let noted = match noted {
                        Noted::Finished(outcome) => Noted::Finished(outcome.clone()),
                        Noted::Running | Noted::Unknown => Noted::Unknown,
                    };
                    (call.clone(), noted)
                })
                .collect();
        }
        let incarnation = format!("{:016x}", self.boxes.dice.next());
        let made = SimBox { incarnation: incarnation.clone(), inside: Mutex::new(inside), changed: Notify::new() };
        let made = Arc::new(made);
        self.boxes.boxes.lock().insert(spec.name.clone(), made.clone());
        let address = Address { backend: "sim".into(), directory: spec.name.clone().into(), incarnation, home: None };
        Ok(Box::new(SimHand { address, epoch, inner: made, boxes: self.boxes.clone(), weather: self.weather.clone() }))
    }

    async fn adopt(&self, address: &Address, epoch: u64) -> Result<Box<dyn Hand>, Lost> {
        self.weather.step().await;
        pass(self.boxes.dice.between(1, 20)).await;
        let inner = self.boxes.find(address)?;
        inner.enter(epoch)?;
        let (boxes, weather) = (self.boxes.clone(), self.weather.clone());
        Ok(Box::new(SimHand { address: address.clone(), epoch, inner, boxes, weather }))
    }

    async fn dial(&self, _: &Address) -> Result<BoxedStream, Lost> {
        Err(Lost::Gone("the simulation has no sockets".into()))
    }

    async fn destroy(&self, name: &str) -> std::io::Result<()> {
        if let Some(gone) = self.boxes.boxes.lock().remove(name) {
            gone.die();
        }
        Ok(())
    }

    async fn names(&self) -> Vec<String> {
        self.boxes.boxes.lock().keys().cloned().collect()
    }
}

struct SimHand {
    address: Address,
    epoch: u64,
    inner: Arc<SimBox>,
    boxes: Boxes,
    weather: Arc<Weather>,
}

impl SimHand {
    async fn knock(&self) -> Result<(), Lost> {
        self.weather.step().await;
        pass(self.boxes.dice.below(5)).await;
        self.weather.step().await;
        self.inner.enter(self.epoch)
    }

    /// Begins the call, unless the journal knows it.
    fn begin(&self, call: &Execute) {
        let mut inside = self.inner.inside.lock();
        if inside.journal.contains_key(&call.call) {
            return;
        }
        inside.journal.insert(call.call.clone(), Noted::Running);
        self.boxes.audit.started(&call.call, &call.tool);
        let (inner, id) = (self.inner.clone(), call.call.clone());
        let millis = if self.boxes.dice.in_thousand(50) { 60_000 } else { self.boxes.dice.between(1, 3_000) };
        spawn(async move {
            pass(millis).await;
            let mut inside = inner.inside.lock();
            // What died or was cancelled meanwhile has no outcome of its own.
            if !inside.is_dead && matches!(inside.journal.get(&id), Some(Noted::Running)) {
                inside.journal.insert(id, Noted::Finished(Outcome::text("done")));
            }
            drop(inside);
            inner.changed.notify_waiters();
        });
    }
}

#[async_trait]
impl Hand for SimHand {
    fn address(&self) -> &Address {
        &self.address
    }

    async fn execute(&self, call: Execute) -> Result<Outcome, Lost> {
        self.knock().await?;
        self.begin(&call);
        loop {
            let changed = self.inner.changed.notified();
            {
                let inside = self.inner.inside.lock();
                match inside.journal.get(&call.call) {
                    Some(Noted::Finished(outcome)) => return Ok(outcome.clone()),
                    Some(Noted::Unknown) => return Ok(Outcome::error("its outcome is unknown")),
                    Some(Noted::Running) | None if inside.is_dead => return Err(Lost::Gone("it has died".into())),
                    Some(Noted::Running) | None => {}
                }
            }
            changed.await;
            self.weather.step().await;
        }
    }

    async fn look(&self, calls: Vec<String>) -> Result<Vec<Found>, Lost> {
        self.knock().await?;
        let inside = self.inner.inside.lock();
        let found = |call: String| match inside.journal.get(&call) {
            None => Found::NeverReceived,
            Some(Noted::Running) => Found::Running,
            Some(Noted::Finished(outcome)) => Found::Finished { outcome: outcome.clone() },
            Some(Noted::Unknown) => Found::Unknown,
        };
        Ok(calls.into_iter().map(found).collect())
    }

    async fn cancel(&self, call: &str) -> Result<(), Lost> {
        self.knock().await?;
        // A call that comes after its cancellation must not begin.
        self.inner.inside.lock().journal.insert(call.to_owned(), Noted::Finished(Outcome::error("cancelled")));
        self.inner.changed.notify_waiters();
        Ok(())
    }

    async fn outputs(&self) -> Result<(Vec<Entry>, bool), Lost> {
        self.knock().await?;
        Ok((Vec::new(), false))
    }

    async fn fetch(&self, _: &str, _: u64, _: u64) -> Result<(Vec<u8>, bool), Lost> {
        Err(Lost::Refused("there are no files".into()))
    }
}

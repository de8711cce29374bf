//! Sandboxes as a node sees them: those of its own home, made and reached here, and a hand on any.

use std::array::IntoIter;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use hands::{
    Address, BoxedStream, Checkpoint, Entry, Execute, Found, Hand, Kept, Lost, Outcome, ProvisionError, Sandbox, Spec,
};
use tokio::sync::oneshot;

use crate::boxes::{Boxes, SimBox, Site};
use crate::elsewhere::Road;
use crate::places::Process;
use crate::time::{pass, spawn};
use crate::weather::Weather;

/// Milliseconds before each attempt to make a connection again, as long as those of the real ones.
const PAUSES: [u64; 3] = [0, 1_000, 5_000];

/// How long a connection may hang before the kernel ends it.
const HANGS: Duration = Duration::from_secs(25);

/// Milliseconds between two looks whether a connection still holds.
const GLANCE: u64 = 200;

/// The sandboxes of one home, for the process that works there.
pub(crate) struct SimSandbox {
    pub(crate) home: String,
    pub(crate) boxes: Boxes,
    pub(crate) weather: Arc<Weather>,
    pub(crate) process: Weak<Process>,
}

impl SimSandbox {
    fn site(&self, name: &str) -> Site {
        (self.home.clone(), name.to_owned())
    }

    /// Makes a sandbox in the place of an earlier one. That goes on when nobody waits any more, but not without the
    /// process.
    async fn make(&self, spec: &Spec) -> Result<Address, ProvisionError> {
        let (boxes, weather) = (self.boxes.clone(), self.weather.clone());
        let (process, site, restore) = (self.process.clone(), self.site(&spec.name), spec.restore.clone());
        let (told, made) = oneshot::channel();
        spawn(async move {
            let lives = || process.strong_count() > 0;
            let _alone = boxes.alone(&site).await;
            let fails = weather.is_rough() && boxes.dice.in_thousand(20);
            // Some fail before anything is done, others when the earlier one has ended.
            if lives() && !(fails && boxes.dice.in_thousand(500)) {
                boxes.begin(&site);
            }
            pass(boxes.dice.between(5, 500)).await;
            weather.thawed().await;
            let address = (lives() && !fails).then(|| boxes.finish(&site, restore.as_deref()));
            // Nobody may wait for it any more.
            let _ = told.send(address);
        });
        made.await.ok().flatten().ok_or_else(|| ProvisionError::Failed("no sandbox today".into()))
    }
}

#[async_trait]
impl Sandbox for SimSandbox {
    async fn prepare(&self) -> Result<(), ProvisionError> {
        Ok(())
    }

    async fn provision(&self, spec: &Spec, epoch: u64) -> Result<Box<dyn Hand>, ProvisionError> {
        self.weather.step().await;
        let address = self.make(spec).await?;
        self.weather.step().await;
        let hand = SimHand::greet(address, epoch, self.boxes.clone(), self.weather.clone(), None);
        Ok(Box::new(hand.map_err(|lost| ProvisionError::Failed(lost.to_string()))?))
    }

    async fn adopt(&self, address: &Address, epoch: u64) -> Result<Box<dyn Hand>, Lost> {
        self.weather.step().await;
        pass(self.boxes.dice.between(1, 20)).await;
        self.weather.step().await;
        if address.home.as_ref() != Some(&self.home) {
            return Err(Lost::Gone("this server knows of no such sandbox".into()));
        }
        if self.weather.is_rough() && self.boxes.dice.in_thousand(10) {
            return Err(Lost::Refused("its socket cannot be reached just now".into()));
        }
        let (boxes, weather) = (self.boxes.clone(), self.weather.clone());
        Ok(Box::new(SimHand::greet(address.clone(), epoch, boxes, weather, None)?))
    }

    async fn dial(&self, _: &Address) -> Result<BoxedStream, Lost> {
        Err(Lost::Gone("the simulation has no sockets".into()))
    }

    async fn destroy(&self, name: &str, incarnation: Option<&str>) -> std::io::Result<()> {
        self.weather.step().await;
        let site = self.site(name);
        let _alone = self.boxes.alone(&site).await;
        pass(self.boxes.dice.between(1, 50)).await;
        self.boxes.remove(&site, incarnation);
        Ok(())
    }

    async fn rest(&self, address: &Address, epoch: u64) -> Result<Checkpoint, Lost> {
        self.weather.step().await;
        let _alone = self.boxes.alone(&self.site(&address.directory.display().to_string())).await;
        pass(self.boxes.dice.between(5, 200)).await;
        self.weather.step().await;
        if self.weather.is_rough() && self.boxes.dice.in_thousand(50) {
            return Err(Lost::Refused("the disk is full".into()));
        }
        let checkpoint = self.boxes.rest(address, epoch);
        self.weather.step().await;
        checkpoint
    }

    async fn checkpoint(&self, address: &Address) -> std::io::Result<Option<Checkpoint>> {
        self.weather.step().await;
        if self.weather.is_rough() && self.boxes.dice.in_thousand(50) {
            return Err(std::io::Error::other("the disk does not answer"));
        }
        Ok(self.boxes.checkpoint(address))
    }

    async fn forget(&self, address: &Address) -> std::io::Result<()> {
        self.weather.step().await;
        self.boxes.forget(address);
        Ok(())
    }

    async fn kept(&self) -> Vec<Kept> {
        self.weather.step().await;
        let kept = self.boxes.kept().into_iter().filter(|(home, _)| *home == self.home);
        kept.map(|(_, kept)| kept).collect()
    }
}

/// A connection to a sandbox, made again whenever it breaks.
pub(crate) struct SimHand {
    address: Address,
    epoch: u64,
    inner: Arc<SimBox>,
    boxes: Boxes,
    weather: Arc<Weather>,
    /// The way to another node's sandbox; none is needed at home.
    road: Option<Road>,
    /// Milliseconds from here to there: always the same, so that nothing overtakes what was sent before.
    distance: u64,
}

impl SimHand {
    /// The hand at this address. From now on it heeds no lower epoch.
    pub(crate) fn greet(
        address: Address,
        epoch: u64,
        boxes: Boxes,
        weather: Arc<Weather>,
        road: Option<Road>,
    ) -> Result<Self, Lost> {
        let inner = boxes.find(&address)?;
        inner.enter(epoch)?;
        let distance = boxes.dice.below(5);
        Ok(Self { address, epoch, inner, boxes, weather, road, distance })
    }

    /// Returns once the connection has broken. At home it breaks only with the sandbox.
    async fn broken(&self) {
        let Some(road) = &self.road else { return std::future::pending().await };
        while road.is_open() {
            pass(GLANCE).await;
        }
    }

    /// Sees to it that there is a connection. `pauses` are left before it is given up.
    async fn connected(&self, pauses: &mut IntoIter<u64, 3>) -> Result<(), Lost> {
        let Some(road) = self.road.as_ref().filter(|road| !road.is_open()) else { return Ok(()) };
        if self.boxes.dice.in_thousand(500) {
            // It hangs, and perhaps does not break at all.
            let healed = async {
                while !road.is_open() {
                    pass(GLANCE).await;
                }
            };
            if tokio::time::timeout(HANGS, healed).await.is_ok() {
                return Ok(());
            }
        }
        for pause in pauses {
            pass(pause).await;
            self.weather.step().await;
            match road.dial().await {
                Ok(()) => return self.boxes.find(&self.address)?.enter(self.epoch),
                Err(Lost::Refused(_)) => {}
                Err(lost) => return Err(lost),
            }
        }
        Err(Lost::Refused("the connection to the sandbox was lost, and it cannot be reached just now".into()))
    }

    /// For what is answered at once.
    async fn knock(&self) -> Result<(), Lost> {
        self.weather.step().await;
        let mut pauses = PAUSES.into_iter();
        self.connected(&mut pauses).await?;
        pass(self.distance).await;
        self.weather.step().await;
        self.inner.enter(self.epoch)
    }

    /// Sends the call. Once sent it arrives, also when whoever sent it has died; but it may come behind a later brain.
    fn send(&self, call: &Execute) -> oneshot::Receiver<Result<(), Lost>> {
        let (told, arrived) = oneshot::channel();
        let (inner, boxes, call, epoch) = (self.inner.clone(), self.boxes.clone(), call.clone(), self.epoch);
        let millis = self.distance;
        spawn(async move {
            pass(millis).await;
            let begun = inner.enter(epoch).map(|()| inner.begin(&call, &boxes));
            // Nobody may wait for it any more.
            let _ = told.send(begun);
        });
        arrived
    }

    /// Asks for the call's outcome; `None` if the connection broke before there was one.
    async fn ask(&self, call: &Execute) -> Option<Result<Outcome, Lost>> {
        let arrived = tokio::select! {
            biased;
            arrived = self.send(call) => arrived,
            () = self.broken() => return None,
        };
        if let Err(lost) = arrived.unwrap_or_else(|_| Err(Lost::Gone("the world has ended".into()))) {
            return Some(Err(lost));
        }
        loop {
            let changed = self.inner.changed.notified();
            match self.inner.outcome(&call.call) {
                Ok(Some(outcome)) => return Some(Ok(outcome)),
                Ok(None) => {}
                Err(lost) => return Some(Err(lost)),
            }
            tokio::select! {
                biased;
                () = self.broken() => return None,
                () = changed => {}
            }
        }
    }
}

#[async_trait]
impl Hand for SimHand {
    fn address(&self) -> &Address {
        &self.address
    }

    async fn execute(&self, call: Execute) -> Result<Outcome, Lost> {
        self.weather.step().await;
        let mut pauses = PAUSES.into_iter();
        loop {
            self.connected(&mut pauses).await?;
            if let Some(done) = self.ask(&call).await {
                self.weather.step().await;
                return done;
            }
        }
    }

    async fn look(&self, calls: Vec<String>) -> Result<Vec<Found>, Lost> {
        self.knock().await?;
        Ok(calls.iter().map(|call| self.inner.found(call)).collect())
    }

    async fn cancel(&self, call: &str) -> Result<(), Lost> {
        self.knock().await?;
        self.inner.cancel(call);
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

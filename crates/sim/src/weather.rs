//! What stands between a node and the rest of the world: delay, loss, silence, and death at any step.

mod distant;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use store::{Error, Result};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::dice::Dice;
use crate::time::{pass, spawn};

pub(crate) use distant::Distant;

/// The longest that the store takes for one request, in milliseconds.
pub(crate) const SLOWEST: u64 = 40_000;

/// One node's weather, from fair to deadly.
pub(crate) struct Weather {
    dice: Dice,
    /// Faults happen. Once the run is over, none do.
    rough: Arc<AtomicBool>,
    /// The store cannot be reached from here.
    silent: Spell,
    /// The store answers late, whatever it is asked.
    slow: Spell,
    /// The process stands still.
    frozen: Spell,
    /// No other node is reached from here, nor this one by any.
    cut_off: Spell,
    /// Steps until the node dies; 0 for never.
    fuse: AtomicU64,
    pub(crate) dies: Notify,
}

/// Something that lasts for a while.
#[derive(Default)]
struct Spell(Mutex<Option<Instant>>);

impl Spell {
    fn begin(&self, millis: u64) {
        *self.0.lock() = Some(Instant::now() + Duration::from_millis(millis));
    }

    /// When it ends, while it lasts.
    fn until(&self) -> Option<Instant> {
        let until = *self.0.lock();
        until.filter(|until| Instant::now() < *until)
    }

    fn is_on(&self) -> bool {
        self.until().is_some()
    }
}

impl Weather {
    pub(crate) fn new(dice: Dice, rough: Arc<AtomicBool>) -> Self {
        Self {
            dice,
            rough,
            silent: Spell::default(),
            slow: Spell::default(),
            frozen: Spell::default(),
            cut_off: Spell::default(),
            fuse: AtomicU64::new(0),
            dies: Notify::new(),
        }
    }

    pub(crate) fn silence(&self, millis: u64) {
        self.silent.begin(millis);
    }

    pub(crate) fn slow_down(&self, millis: u64) {
        self.slow.begin(millis);
    }

    pub(crate) fn freeze(&self, millis: u64) {
        self.frozen.begin(millis);
    }

    pub(crate) fn cut_off(&self, millis: u64) {
        self.cut_off.begin(millis);
    }

    /// The node dies at one of its next steps.
    pub(crate) fn light_fuse(&self, steps: u64) {
        self.fuse.store(steps, Ordering::Relaxed);
    }

    pub(crate) fn is_rough(&self) -> bool {
        self.rough.load(Ordering::Relaxed)
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen.is_on()
    }

    pub(crate) fn is_cut_off(&self) -> bool {
        self.cut_off.is_on()
    }

    /// Waits while the node is frozen.
    pub(crate) async fn thawed(&self) {
        while let Some(until) = self.frozen.until() {
            tokio::time::sleep_until(until).await;
        }
    }

    /// A step of the node: it does not return while the node is frozen, and never once it is dead.
    pub(crate) async fn step(&self) {
        self.thawed().await;
        let fuse = self.fuse.load(Ordering::Relaxed);
        if fuse > 0 {
            self.fuse.store(fuse - 1, Ordering::Relaxed);
            if fuse == 1 {
                self.dies.notify_one();
                std::future::pending::<()>().await;
            }
        }
    }

    /// Milliseconds on the way between the node and its store, whichever way.
    fn delay(&self) -> u64 {
        if !self.is_rough() {
            return 0;
        }
        let is_late = self.slow.is_on() && self.dice.in_thousand(500);
        if is_late { self.dice.between(2_000, SLOWEST) } else { self.dice.below(8) }
    }

    /// Before a request leaves the node.
    async fn before(&self) -> Result<()> {
        self.step().await;
        if self.is_rough() {
            if self.silent.is_on() {
                // Some connections break at once, others hang first.
                pass(self.dice.between(1, 4_000)).await;
                return Err(Error::Failed("the store cannot be reached".into()));
            }
            if self.dice.in_thousand(4) {
                return Err(Error::Failed("the request was lost".into()));
            }
        }
        Ok(())
    }

    /// On the way to the store.
    async fn under_way(&self) {
        pass(self.delay()).await;
        self.step().await;
    }

    /// The same for what is no longer in the node's hands once it has left.
    async fn sent<T: Send + 'static>(&self, call: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        let (told, answer) = oneshot::channel();
        let millis = self.delay();
        spawn(async move {
            pass(millis).await;
            // Nobody may wait for it any more.
            let _ = told.send(call.await);
        });
        answer.await.unwrap_or_else(|_| Err(Error::Failed("the store has gone".into())))
    }

    /// On the way back: what was done is done.
    async fn after(&self) -> Result<()> {
        self.step().await;
        if self.is_rough() {
            pass(self.delay()).await;
            if self.silent.is_on() || self.dice.in_thousand(4) {
                return Err(Error::Failed("the answer was lost".into()));
            }
        }
        self.step().await;
        Ok(())
    }
}

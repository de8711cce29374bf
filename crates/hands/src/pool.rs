//! Sandboxes that are ready before anybody asks for one, where making one takes long.
//!
//! As many of a kind are kept ready as were asked for lately, up to a bound for all kinds together; of what nobody has
//! asked for there is none. Who comes when none is ready has one made, as without a pool. One that is ready has a name
//! of the pool's, and nobody's files, name or way to the network: those it is given with the session. If the server dies
//! before that, the next one removes it.

mod demand;
mod keeper;
#[cfg(test)]
mod tests;

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use self::demand::{Demand, Kind, Ready};
use crate::{Address, BoxedStream, Checkpoint, Hand, Kept, Lost, ProvisionError, Sandbox, Spec};

/// Begins the names of sandboxes that are nobody's yet. No session's begins so. What follows is the pool's own mark, so
/// that each knows those that an earlier one has left.
const PREFIX: &str = "pool-";

/// Whether a sandbox of this name is nobody's yet.
#[must_use]
pub fn is_unnamed(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// A backend whose sandboxes can be made before it is known whose they will be.
///
/// Law: one that is made under a name of the pool's reaches nothing, also if its spec has a network, until it is given.
/// It is given once, to one name, and from then on is as any that was made under that. Until `give` has returned, and
/// whatever comes of it, what is there under the pool's name can be destroyed as any sandbox; what was given is not
/// there any more.
#[async_trait]
pub trait Stock: Sandbox {
    /// Whether a sandbox that is ready can have this name: there is nothing of an earlier one, which the next has to know.
    async fn is_free(&self, name: &str) -> bool;
    /// Gives the sandbox at this address to the session of this spec, which it otherwise fits, with the input files and the
    /// way to the network of the spec. Its incarnation stays; its address is another one.
    async fn give(&self, ready: &Address, spec: &Spec, epoch: u64) -> Result<Box<dyn Hand>, ProvisionError>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Sandboxes that are ready at the same time, of all kinds. 0: none are made ahead.
    pub most: usize,
    /// How long it is remembered that one was asked for.
    pub remember: Duration,
}

/// A backend with a pool before it.
pub struct Pool<S: Stock + 'static>(Arc<Inner<S>>);

struct Inner<S> {
    sandbox: S,
    options: Options,
    /// Begins the names of its own.
    mark: String,
    /// How many it has named.
    named: AtomicU64,
    demand: Mutex<Demand>,
    /// Names under which something may be that nobody needs.
    spent: Mutex<Vec<String>>,
    /// There is something for the keeper to do.
    changed: Arc<Notify>,
    is_closed: AtomicBool,
}

impl<S: Stock + 'static> Pool<S> {
    /// To be called on a runtime, on which the pool is then kept.
    pub fn new(sandbox: S, options: Options) -> Self {
        let inner = Arc::new(Inner {
            sandbox,
            options,
            mark: format!("{PREFIX}{:016x}-", RandomState::new().build_hasher().finish()),
            named: AtomicU64::new(0),
            demand: Mutex::default(),
            spent: Mutex::default(),
            changed: Arc::default(),
            is_closed: AtomicBool::new(false),
        });
        keeper::start(&inner);
        Self(inner)
    }

    /// Has one ready that fits this spec, whether or not any was asked for lately. For who cannot wait for that.
    pub async fn stock(&self, spec: &Spec) -> Result<(), ProvisionError> {
        let Some(kind) = Kind::of(spec) else { return Ok(()) };
        let ready = self.0.make(&kind).await?;
        self.0.put(kind, ready);
        Ok(())
    }

    /// Ends those that are ready, and makes no more. Sandboxes that were given are not touched.
    pub async fn close(&self) {
        self.0.is_closed.store(true, Ordering::Relaxed);
        let all = self.0.demand.lock().clear();
        let names = all.iter().map(|ready| ready.name.clone());
        self.0.spent.lock().extend(names);
        drop(all);
        self.0.clear().await;
    }
}

impl<S: Stock> Inner<S> {
    /// One that is ready and fits, if there is one. Remembers that it was asked for in any case.
    fn take(&self, kind: &Kind) -> Option<Taken<'_, S>> {
        let ready = {
            let mut demand = self.demand.lock();
            demand.ask(kind, Instant::now(), self.options.most);
            demand.take(kind)
        };
        // The next one is made, whatever becomes of this one.
        self.changed.notify_one();
        ready.map(|ready| Taken { pool: self, ready })
    }

    fn put(&self, kind: Kind, ready: Ready) {
        let mut demand = self.demand.lock();
        if self.is_closed.load(Ordering::Relaxed) {
            self.spent.lock().push(ready.name.clone());
        } else {
            demand.put(kind, ready);
        }
    }
}

/// One that is being given away. It is no longer the pool's when this goes, whether or not anybody has it.
struct Taken<'a, S: Stock> {
    pool: &'a Inner<S>,
    ready: Ready,
}

impl<S: Stock> Drop for Taken<'_, S> {
    fn drop(&mut self) {
        // Of what was given nothing is there under this name.
        self.pool.spent.lock().push(self.ready.name.clone());
        self.pool.changed.notify_one();
    }
}

impl<S> Drop for Inner<S> {
    fn drop(&mut self) {
        self.changed.notify_one();
    }
}

#[async_trait]
impl<S: Stock + 'static> Sandbox for Pool<S> {
    async fn prepare(&self) -> Result<(), ProvisionError> {
        self.0.sandbox.prepare().await
    }

    async fn provision(&self, spec: &Spec, epoch: u64) -> Result<Box<dyn Hand>, ProvisionError> {
        let inner = &self.0;
        if let Some(kind) = Kind::of(spec)
            && inner.sandbox.is_free(&spec.name).await
            && let Some(taken) = inner.take(&kind)
        {
            match inner.sandbox.give(taken.ready.hand.address(), spec, epoch).await {
                Ok(hand) => return Ok(hand),
                Err(error) => tracing::info!(sandbox = spec.name, %error, "one that was ready is of no use"),
            }
        }
        inner.sandbox.provision(spec, epoch).await
    }

    async fn adopt(&self, address: &Address, epoch: u64) -> Result<Box<dyn Hand>, Lost> {
        self.0.sandbox.adopt(address, epoch).await
    }

    async fn dial(&self, address: &Address) -> Result<BoxedStream, Lost> {
        self.0.sandbox.dial(address).await
    }

    async fn destroy(&self, name: &str, incarnation: Option<&str>) -> io::Result<()> {
        self.0.sandbox.destroy(name, incarnation).await
    }

    /// Those that are ready too, for they stand on layers as any.
    async fn kept(&self) -> Vec<Kept> {
        self.0.sandbox.kept().await
    }

    async fn upload(&self, address: &Address, path: &str, file: Option<&Path>) -> io::Result<()> {
        self.0.sandbox.upload(address, path, file).await
    }

    async fn reopen(&self) -> io::Result<()> {
        self.0.sandbox.reopen().await
    }

    fn installs_for_others(&self) -> bool {
        self.0.sandbox.installs_for_others()
    }

    async fn harvest(&self, name: &str) -> io::Result<()> {
        self.0.sandbox.harvest(name).await
    }

    async fn rest(&self, address: &Address, epoch: u64) -> Result<Checkpoint, Lost> {
        self.0.sandbox.rest(address, epoch).await
    }

    async fn checkpoint(&self, address: &Address) -> io::Result<Option<Checkpoint>> {
        self.0.sandbox.checkpoint(address).await
    }

    async fn forget(&self, address: &Address) -> io::Result<()> {
        self.0.sandbox.forget(address).await
    }
}

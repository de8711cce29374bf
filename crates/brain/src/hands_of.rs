//! The hands of sessions: provisioned when a tool first needs one, kept attached while this server lives.

mod inputs;
mod rest;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hands::{Address, Execute, Found, Ground, Hand, Kept, Limits, Lost, Network, Outcome, Sandbox, Spec};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use store::{AnyStore, Change, Item, Kind, Rng};
use tokio::time::Instant;
use wire::content::{Content, Source};
use wire::environment::{Environment, Settings};
use wire::{EventId, SessionId, Timestamp};

use crate::brain::Options;
use crate::elsewhere::Elsewhere;
use crate::grounds::Grounds;
use crate::limits::limits;
use crate::live::Live;
use crate::record::Mount;
use crate::shelf::Shelf;

pub(crate) use self::rest::Left;

/// The hands that this node works with: those of its own machine, and those of other nodes.
#[derive(Clone)]
pub(crate) struct HandsOf {
    sandbox: Arc<dyn Sandbox>,
    elsewhere: Arc<dyn Elsewhere>,
    store: AnyStore,
    rng: Arc<dyn Rng>,
    limits: Limits,
    /// This node's data directory, by its id.
    home: String,
    grace: Duration,
    /// Where input files are laid out before a sandbox takes them.
    staging: PathBuf,
    /// A hand without a server ends itself after a while: these connections keep those of idle sessions.
    attached: Arc<Mutex<BTreeMap<SessionId, Held>>>,
    grounds: Arc<dyn Grounds>,
    /// Where other nodes find what was put away.
    shelf: Option<Arc<dyn Shelf>>,
}

/// A connection to a sandbox, which keeps it from ending itself.
struct Held {
    hand: Arc<dyn Hand>,
    /// When somebody last began to work with it.
    used: Instant,
}

/// A sandbox that was made, and the input files that it was given.
pub(crate) struct Made {
    pub(crate) hand: Arc<dyn Hand>,
    pub(crate) mounts: Vec<Mount>,
}

/// Between two attempts to reach a sandbox whose node does not answer.
const AGAIN: Duration = Duration::from_millis(250);

/// How long one taking of what is to be cleared away lasts.
const CLEARING: Duration = Duration::from_secs(60);

/// The queue of sandboxes that the node of this data directory is to remove.
fn queue(home: &str) -> String {
    format!("hands.{home}")
}

impl HandsOf {
    pub(crate) fn new(
        sandbox: Arc<dyn Sandbox>,
        elsewhere: Arc<dyn Elsewhere>,
        store: AnyStore,
        rng: Arc<dyn Rng>,
        (grounds, shelf): (Arc<dyn Grounds>, Option<Arc<dyn Shelf>>),
        options: &Options,
    ) -> Self {
        let Options { station, grace, sandbox: limits, staging, .. } = options.clone();
        let attached = Arc::default();
        Self {
            sandbox,
            elsewhere,
            store,
            rng,
            limits,
            home: station.directory,
            grace,
            staging,
            attached,
            grounds,
            shelf,
        }
    }

    /// A new sandbox, with the session's input files. An earlier one ends; its journal of calls is carried over.
    pub(crate) async fn provision(&self, live: &Live, epoch: u64, left: Option<Left>) -> Result<Made, String> {
        let name = live.id.to_string();
        self.attached.lock().remove(&live.id);
        let (_, mounts) = self.mounts(live.id).await?;
        // By epoch: one that was given up may still be copying.
        let staging = self.staging.join(format!("{name}-{epoch}"));
        let restore = left.as_ref().map(|left| left.path.clone());
        // First: it may take long, and may fail.
        let (ground, network, limits) = self.ground(live).await?;
        let uploads = self.lay_out(live, &mounts, &staging).await;
        let uploads = uploads.map_err(|error| format!("the input files cannot be laid out: {error}"))?;
        let spec = Spec { name, uploads, limits, ground, network, restore, keep: None };
        let hand = self.sandbox.provision(&spec, epoch).await.map_err(|error| error.to_string());
        if !spec.uploads.is_empty() {
            let _ = tokio::fs::remove_dir_all(&staging).await;
        }
        if let Some(left) = left {
            self.used_up(left).await;
        }
        let hand: Arc<dyn Hand> = Arc::from(hand?);
        self.hold(live.id, hand.clone());
        Ok(Made { hand, mounts })
    }

    /// The sandbox that the log names, if it still lives. From now on it heeds no lower epoch.
    pub(crate) async fn adopt(&self, session: SessionId, address: &str, epoch: u64) -> Result<Arc<dyn Hand>, Lost> {
        let address: Address = serde_json::from_str(address).map_err(|error| Lost::Gone(error.to_string()))?;
        let hand: Arc<dyn Hand> = match &address.home {
            Some(home) if *home != self.home => Arc::from(self.reach(home, &address, epoch).await?),
            _ => Arc::from(self.sandbox.adopt(&address, epoch).await?),
        };
        self.hold(session, hand.clone());
        Ok(hand)
    }

    /// What the session's environment is on this machine, as it is now: a change of it holds for new sandboxes.
    async fn ground(&self, live: &Live) -> Result<(Ground, Option<Network>, Limits), String> {
        let record = live.record();
        let id = record.environment_id.to_string();
        let listed = self.store.get(live.workspace, Kind::Environment, &id).await.map_err(|error| error.to_string())?;
        let environment: Environment =
            serde_json::from_str(&listed.document.body).map_err(|error| error.to_string())?;
        let Settings { config, metadata, .. } = environment.settings;
        let (limits, egress) = limits(self.limits, &metadata).map_err(|invalid| invalid.to_string())?;
        // No agent has MCP servers yet.
        let (ground, network) = self.grounds.ready(&config, &[]).await?;
        let network = network.map(|network| Network { egress: egress.or(network.egress), ..network });
        Ok((ground, network, limits))
    }

    fn hold(&self, session: SessionId, hand: Arc<dyn Hand>) {
        self.attached.lock().insert(session, Held { hand, used: Instant::now() });
    }

    /// A sandbox of another node. That may be restarting: it is waited for a while, as a new sandbox would have lost what is
    /// in the old one.
    async fn reach(&self, home: &str, address: &Address, epoch: u64) -> Result<Box<dyn Hand>, Lost> {
        let until = Instant::now() + self.grace;
        loop {
            match self.elsewhere.adopt(home, address, epoch).await {
                Err(Lost::Refused(reason)) if Instant::now() < until => {
                    tracing::debug!(home, reason, "a sandbox's node cannot be reached yet");
                    tokio::time::sleep(AGAIN).await;
                }
                Err(Lost::Refused(reason)) => return Err(Lost::Gone(reason)),
                done => return done,
            }
        }
    }

    /// Whether what the sandbox at this address was asked to do, and what became of that, is known to the next one that is
    /// made here.
    pub(crate) async fn has_journal(&self, session: SessionId, address: &str) -> bool {
        let Ok(address) = serde_json::from_str::<Address>(address) else { return false };
        let name = session.to_string();
        let is_this = |kept: &Kept| kept.name == name && kept.incarnation.as_ref() == Some(&address.incarnation);
        self.is_home(&address) && self.sandbox.kept().await.iter().any(is_this)
    }

    fn is_home(&self, address: &Address) -> bool {
        address.home.as_ref().is_none_or(|home| *home == self.home)
    }

    /// What makes the node of a sandbox that was given up remove it. Here the next one takes its place.
    pub(crate) fn forget(&self, session: SessionId, address: &str) -> Vec<Change> {
        let Ok(address) = serde_json::from_str::<Address>(address) else { return Vec::new() };
        self.removal(session, &address).into_iter().collect()
    }

    /// `None` if this node has to do it.
    fn removal(&self, session: SessionId, address: &Address) -> Option<Change> {
        let home = address.home.as_ref().filter(|home| **home != self.home)?;
        let id = format!("{session}.{}", address.incarnation);
        Some(Change::Enqueue(Item { queue: queue(home), id, due_at: Timestamp::from_millis(0), body: String::new() }))
    }

    /// Removes the sandbox, or has its node do so.
    pub(crate) async fn release(&self, session: SessionId, address: Option<&str>) -> Result<(), String> {
        self.clear_shelf(session, None).await;
        let address: Option<Address> = address.and_then(|address| serde_json::from_str(address).ok());
        match address.and_then(|address| self.removal(session, &address)) {
            None => self.destroy(session, None).await.map_err(|error| error.to_string()),
            Some(removal) => {
                self.attached.lock().remove(&session);
                self.store.apply(vec![removal]).await.map_err(|error| error.to_string())
            }
        }
    }

    /// Removes the sandboxes that other nodes have asked this one to.
    pub(crate) async fn clear_away(&self) {
        let queue = queue(&self.home);
        // A store that does not answer is told of by the heartbeat.
        for taken in self.store.take(&queue, 100, CLEARING).await.unwrap_or_default() {
            let Some((session, incarnation)) = taken.item.id.split_once('.') else { continue };
            let Ok(session) = session.parse::<SessionId>() else { continue };
            match self.destroy(session, Some(incarnation)).await {
                Ok(()) => {
                    // Done twice does no harm.
                    let _ = self.store.finish(&queue, &taken.item.id, taken.attempt).await;
                }
                Err(error) => tracing::error!(%session, %error, "a sandbox could not be removed"),
            }
        }
    }

    pub(crate) async fn destroy(&self, session: SessionId, incarnation: Option<&str>) -> std::io::Result<()> {
        match incarnation {
            Some(incarnation) => self.detach(session, incarnation),
            None => drop(self.attached.lock().remove(&session)),
        }
        self.sandbox.destroy(&session.to_string(), incarnation).await
    }

    /// The sessions whose sandboxes this node holds, with their incarnations.
    pub(crate) fn attached(&self) -> Vec<(SessionId, String)> {
        let attached = self.attached.lock();
        attached.iter().map(|(session, held)| (*session, held.hand.address().incarnation.clone())).collect()
    }

    /// Lets go of a sandbox, unless it is another one by now.
    pub(crate) fn detach(&self, session: SessionId, incarnation: &str) {
        let mut attached = self.attached.lock();
        if attached.get(&session).is_some_and(|held| held.hand.address().incarnation == incarnation) {
            attached.remove(&session);
        }
    }

    /// Gets ready what all sandboxes share, and tries one.
    pub(crate) async fn prepare(&self) -> Result<(), hands::ProvisionError> {
        self.sandbox.prepare().await
    }

    /// All sandboxes on this node, live or dead.
    pub(crate) async fn kept(&self) -> Vec<Kept> {
        self.sandbox.kept().await
    }
}

/// Runs one call, for as long as it takes.
pub(crate) async fn execute(
    hand: Arc<dyn Hand>,
    call: EventId,
    name: String,
    input: Arc<Map<String, Value>>,
) -> Result<Outcome, Lost> {
    let input = Arc::unwrap_or_clone(input);
    hand.execute(Execute { call: call.to_string(), tool: name, input }).await
}

/// What became of a call that an earlier brain may have started.
pub(crate) async fn found(hand: &dyn Hand, call: EventId) -> Result<Found, Lost> {
    let found = hand.look(vec![call.to_string()]).await?;
    found.into_iter().next().ok_or_else(|| Lost::Refused("the sandbox did not answer for the call".into()))
}

/// The result as the log keeps it. The hand is not trusted: what it sends is data.
pub(crate) fn content(outcome: Outcome) -> (Vec<Content>, bool) {
    let content = outcome.content.into_iter().map(|content| match content {
        hands::Content::Text { text } => Content::Text { text },
        hands::Content::Image { media_type, data } => Content::Image { source: Source::Base64 { media_type, data } },
        hands::Content::Document { media_type, data } => {
            Content::Document { source: Source::Base64 { media_type, data }, title: None, context: None }
        }
    });
    (content.collect(), outcome.is_error)
}

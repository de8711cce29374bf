//! Doorbells between nodes over LISTEN and NOTIFY.
//!
//! Rung after the commit and on a connection of their own, because a NOTIFY inside a transaction takes a lock of the whole
//! database at its commit. Bells of a few milliseconds go out together, the latest of each session only.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus::{Bell, Bells, Heard};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use wire::SessionId;

use crate::{Notice, PostgresStore};

/// How long bells are gathered before they go out.
const GATHER: Duration = Duration::from_millis(2);

/// Before the next attempt, when the database does not take them.
const PAUSE: Duration = Duration::from_millis(200);

/// Bells in one notification, whose text must stay below 8,000 bytes.
const TOGETHER: usize = 100;

/// This node's end. Dropping it ends its tasks.
pub struct Doorbells {
    waiting: Arc<Waiting>,
    /// Whether any other node is there to hear them.
    heard_by_others: AtomicBool,
    stop: CancellationToken,
}

#[derive(Default)]
struct Waiting {
    bells: Mutex<HashMap<SessionId, u64>>,
    some: Notify,
}

#[derive(Serialize, Deserialize)]
struct Rung {
    node: String,
    bells: Vec<Bell>,
}

impl Doorbells {
    /// Hears the other nodes of the installation from now on, and tells `heard` of what they ring.
    pub fn start(store: Arc<PostgresStore>, installation: &str, node: String, heard: mpsc::Sender<Heard>) -> Self {
        // A channel's name has at most 63 bytes; half of the installation's name is still unlike any other.
        let channel = format!("stead_{installation:.32}");
        let (waiting, stop) = (Arc::new(Waiting::default()), CancellationToken::new());
        let out = ring_out(store.clone(), channel.clone(), node.clone(), waiting.clone());
        spawn(stop.clone(), out);
        spawn(stop.clone(), listen(store, channel, node, heard));
        Self { waiting, heard_by_others: AtomicBool::new(true), stop }
    }

    /// Alone, a node need not ring.
    pub fn heard_by_others(&self, are_there: bool) {
        self.heard_by_others.store(are_there, Ordering::Relaxed);
    }
}

impl Drop for Doorbells {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Bells for Doorbells {
    fn ring(&self, bell: Bell) {
        if !self.heard_by_others.load(Ordering::Relaxed) {
            return;
        }
        let mut bells = self.waiting.bells.lock();
        let head = bells.entry(bell.session).or_default();
        *head = bell.head.max(*head);
        drop(bells);
        self.waiting.some.notify_one();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the two tasks of one node's doorbells: they end with it, and log their failures"
)]
fn spawn(stop: CancellationToken, task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(async move {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = task => {}
        }
    });
}

async fn ring_out(store: Arc<PostgresStore>, channel: String, node: String, waiting: Arc<Waiting>) {
    loop {
        waiting.some.notified().await;
        tokio::time::sleep(GATHER).await;
        let bells: Vec<Bell> = waiting.bells.lock().drain().map(|(session, head)| Bell { session, head }).collect();
        let texts = bells
            .chunks(TOGETHER)
            .filter_map(|bells| serde_json::to_string(&Rung { node: node.clone(), bells: bells.to_vec() }).ok());
        if let Err(error) = store.notify(&channel, texts.collect()).await {
            // Lost: the other nodes look for themselves.
            tracing::warn!(%error, "the doorbells could not be rung");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn listen(store: Arc<PostgresStore>, channel: String, node: String, heard: mpsc::Sender<Heard>) {
    let mut listener = store.listen(&channel);
    loop {
        let told = match listener.next().await {
            Notice::Text(text) => match serde_json::from_str::<Rung>(&text) {
                Ok(rung) if rung.node != node => rung.bells.into_iter().map(Heard::Bell).collect(),
                // Our own, or a later version's.
                _ => Vec::new(),
            },
            Notice::Reconnected => vec![Heard::Missed],
            Notice::Lost(reason) => {
                tracing::warn!(
                    reason,
                    "the doorbells of other nodes cannot be heard; they are looked after by polling"
                );
                Vec::new()
            }
        };
        for heard_now in told {
            if heard.send(heard_now).await.is_err() {
                return;
            }
        }
    }
}

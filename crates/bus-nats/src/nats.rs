//! The connection of one node, and the tasks that speak and listen over it.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{ConnectError, ConnectOptions, ServerAddr, SubscribeError, Subscriber};
use bus::{Bell, Heard, Preview, Previews};
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;
use wire::SessionId;

use crate::audience::Audience;
use crate::bells::{self, Bells};
use crate::line::{Line, Subject};
use crate::signals::Signals;
use crate::wishes::Wishes;
use crate::words::{Arrival, Carried};

/// Previews that wait for the connection.
const QUEUE: usize = 4_096;

/// Words of others that wait to be taken in, on each subject.
const UNHEARD: usize = 16_384;

/// A connection that says nothing is asked so often whether it is one.
const PING: Duration = Duration::from_secs(5);

/// Between two attempts to connect, at most.
const AGAIN: Duration = Duration::from_secs(1);

/// All that may have been missed within this time is looked for once.
const GATHER: Duration = Duration::from_millis(100);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("not the address of a NATS server: {0}")]
    Address(io::Error),
    #[error("the name of the installation, {0:?}, cannot be part of a subject")]
    Installation(String),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Subscribe(#[from] SubscribeError),
}

/// A node's doorbells and previews. Its tasks end when this is dropped.
pub struct Nats {
    bells: Arc<Bells>,
    audience: Arc<Audience>,
    wishes: Arc<Wishes>,
    previews: mpsc::Sender<(SessionId, Vec<u8>)>,
    node: String,
    /// All are aborted with it. One that panics says so, and what it did is done no more.
    _tasks: JoinSet<()>,
}

impl Nats {
    /// Returns at once, whether or not NATS can be reached: connecting goes on for as long as it takes. `url` may name
    /// several servers of a cluster, separated by commas. Each time there is a connection, [`Heard::Missed`] is heard.
    pub async fn connect(
        url: &str,
        installation: String,
        node: String,
        heard: mpsc::Sender<Heard>,
    ) -> Result<Self, Error> {
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
        if installation.is_empty() || !installation.chars().all(is_plain) {
            return Err(Error::Installation(installation));
        }
        let servers = url.split(',').map(|server| server.trim().parse::<ServerAddr>());
        let servers = servers.collect::<Result<Vec<_>, _>>().map_err(Error::Address)?;
        let signals = Arc::new(Signals::default());
        let client = options(&node, signals.clone()).connect(servers).await?;
        let line = Arc::new(Line { client, installation, node: node.clone() });
        let (bells, audience, wishes) = (Arc::<Bells>::default(), Arc::<Audience>::default(), Arc::<Wishes>::default());
        let (previews, waiting) = mpsc::channel(QUEUE);

        let rung = line.subscribe(Subject::Bell).await?;
        let wanted = line.subscribe(Subject::Want).await?;
        let come = line.subscribe(Subject::Who).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(named("bells of others", bells::hear(rung, line.clone(), heard.clone())));
        tasks.spawn(named("wishes of others", audience.clone().hear(wanted, line.clone())));
        tasks.spawn(named("arrivals", welcome(come, line.clone(), signals.clone(), wishes.clone())));
        tasks.spawn(named("what was missed", tell_missed(signals.clone(), heard.clone())));
        tasks.spawn(named("bells", bells.clone().send(line.clone())));
        tasks.spawn(named("previews", send_previews(waiting, line.clone())));
        tasks.spawn(named("wishes", wishes.clone().keep(line, signals, audience.clone(), heard)));
        Ok(Self { bells, audience, wishes, previews, node, _tasks: tasks })
    }
}

impl bus::Bells for Nats {
    fn ring(&self, bell: Bell) {
        self.bells.ring(bell);
    }
}

impl Previews for Nats {
    fn is_wanted(&self, session: SessionId) -> bool {
        self.audience.wants(session)
    }

    fn send(&self, session: SessionId, preview: &Preview) {
        let Some(number) = self.audience.number(session, preview) else { return };
        let carried = Carried { node: self.node.clone(), number, preview: preview.encode() };
        if let Ok(payload) = serde_json::to_vec(&carried) {
            // Lost where the queue is full, which the numbers show to whoever listens.
            let _ = self.previews.try_send((session, payload));
        }
    }

    fn want(&self, session: SessionId, wanted: bool) {
        self.wishes.set(session, wanted);
    }
}

fn options(node: &str, signals: Arc<Signals>) -> ConnectOptions {
    ConnectOptions::new()
        .name(format!("stead {node}"))
        .retry_on_initial_connect()
        .ping_interval(PING)
        .subscription_capacity(UNHEARD)
        .reconnect_delay_callback(|attempt| match attempt {
            0 | 1 => Duration::ZERO,
            _ => AGAIN.min(Duration::from_millis(25_u64 << attempt.min(6))),
        })
        .event_callback(move |event| {
            let signals = signals.clone();
            async move { signals.take(event) }
        })
}

/// Cancel policy: aborted with the [`JoinSet`] it is in. Failure policy: a panic is logged as a defect.
async fn named(name: &'static str, task: impl Future<Output = ()>) {
    if AssertUnwindSafe(task).catch_unwind().await.is_err() {
        tracing::error!(task = name, "a defect: a task panicked");
    }
}

/// Answers nodes that come. They may have rung unheard before; and this node's own arrival, heard back, shows that all
/// its subscriptions hold from here on, so that what was missed is what came before.
async fn welcome(mut words: Subscriber, line: Arc<Line>, signals: Arc<Signals>, wishes: Arc<Wishes>) {
    while let Some(word) = words.next().await {
        let Ok(Arrival { node }) = serde_json::from_slice(&word.payload) else { continue };
        signals.missed.notify_one();
        if node != line.node {
            wishes.ask();
        }
    }
}

async fn tell_missed(signals: Arc<Signals>, heard: mpsc::Sender<Heard>) {
    loop {
        signals.missed.notified().await;
        if heard.send(Heard::Missed).await.is_err() {
            return;
        }
        sleep(GATHER).await;
    }
}

async fn send_previews(mut waiting: mpsc::Receiver<(SessionId, Vec<u8>)>, line: Arc<Line>) {
    while let Some((session, payload)) = waiting.recv().await {
        if line.is_up() {
            line.send(Subject::Preview(session), payload).await;
        }
    }
}

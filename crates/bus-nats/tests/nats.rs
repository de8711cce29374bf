//! Nodes on a real server, where this machine has one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "how a test fails")]

use std::time::Duration;

use bus::{Bell, Bells, Heard, Preview, Previews};
use bus_nats::Nats;
use testkit::nats::Server;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use wire::{EventId, SessionId, ThreadId};

const SESSION: SessionId = SessionId::from_bits(1);

/// Nothing heard for so long, and what was on its way has come.
const QUIET: Duration = Duration::from_millis(300);

fn server() -> Option<Server> {
    let server = Server::start().unwrap();
    if server.is_none() {
        eprintln!("skipped: this machine has no NATS server");
    }
    server
}

struct Node {
    nats: Nats,
    heard: mpsc::Receiver<Heard>,
}

impl Node {
    /// Not yet connected, perhaps.
    async fn early(server: &Server, installation: &str, name: &str) -> Self {
        let (to, heard) = mpsc::channel(64);
        let url = server.url().to_string();
        let nats = Nats::connect(&url, installation.into(), name.into(), to).await.unwrap();
        Self { nats, heard }
    }

    /// One that hears the others.
    async fn new(server: &Server, installation: &str, name: &str) -> Self {
        let mut node = Self::early(server, installation, name).await;
        node.missed().await;
        node
    }

    async fn next(&mut self) -> Heard {
        soon(self.heard.recv()).await.unwrap()
    }

    async fn missed(&mut self) {
        while !matches!(self.next().await, Heard::Missed) {}
    }

    async fn quiet(&mut self) {
        while timeout(QUIET, self.heard.recv()).await.is_ok() {}
    }

    async fn bell(&mut self) -> Bell {
        loop {
            if let Heard::Bell(bell) = self.next().await {
                return bell;
            }
        }
    }

    async fn preview(&mut self) -> (SessionId, Preview) {
        loop {
            if let Heard::Preview { session, preview } = self.next().await {
                return (session, preview);
            }
        }
    }

    /// What has come meanwhile, but for what every node hears when others come.
    fn rest(&mut self) -> Vec<Heard> {
        let heard = std::iter::from_fn(|| self.heard.try_recv().ok());
        heard.filter(|heard| !matches!(heard, Heard::Missed)).collect()
    }
}

/// No test waits longer for anything.
async fn soon<T>(done: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), done).await.expect("in time")
}

async fn until(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

fn bell(head: u64) -> Bell {
    Bell { session: SESSION, head }
}

fn start(id: u128) -> Preview {
    Preview::start(ThreadId::from_bits(1), EventId::from_bits(id), "agent.message")
}

fn text(id: u128, text: &str) -> Preview {
    Preview::text(ThreadId::from_bits(1), EventId::from_bits(id), text)
}

#[tokio::test]
async fn bells_reach_the_other_nodes_of_the_installation_once_for_many() {
    let Some(server) = server() else { return };
    let mut one = Node::new(&server, "bells", "one").await;
    let mut two = Node::new(&server, "bells", "two").await;
    let mut stranger = Node::new(&server, "others", "three").await;
    for head in 1..=5 {
        one.nats.ring(bell(head));
    }
    assert_eq!(two.bell().await, bell(5));
    // What was rung later comes later, so that nothing else can be on its way.
    two.nats.ring(bell(6));
    assert_eq!(one.bell().await, bell(6));
    assert!(one.rest().is_empty() && two.rest().is_empty() && stranger.rest().is_empty());
}

#[tokio::test]
async fn previews_go_to_whoever_wants_them_for_as_long() {
    let Some(server) = server() else { return };
    let mut one = Node::new(&server, "previews", "one").await;
    let mut two = Node::new(&server, "previews", "two").await;
    assert!(!one.nats.is_wanted(SESSION));
    two.nats.want(SESSION, true);
    until(|| one.nats.is_wanted(SESSION)).await;
    assert!(!two.nats.is_wanted(SESSION));
    one.nats.send(SESSION, &start(1));
    one.nats.send(SESSION, &text(1, "hello"));
    assert_eq!(two.preview().await, (SESSION, start(1)));
    assert_eq!(two.preview().await, (SESSION, text(1, "hello")));
    assert!(one.rest().is_empty());

    two.nats.want(SESSION, false);
    until(|| !one.nats.is_wanted(SESSION)).await;
}

#[tokio::test]
async fn a_node_that_comes_later_learns_what_is_wanted() {
    let Some(server) = server() else { return };
    let one = Node::new(&server, "later", "one").await;
    one.nats.want(SESSION, true);
    let two = Node::new(&server, "later", "two").await;
    until(|| two.nats.is_wanted(SESSION)).await;
}

#[tokio::test]
async fn a_node_starts_without_a_server_and_is_there_when_that_comes() {
    let Some(server) = server() else { return };
    server.stop();
    let mut one = Node::early(&server, "early", "one").await;
    let mut two = Node::early(&server, "early", "two").await;
    one.nats.ring(bell(1));
    two.nats.want(SESSION, true);
    server.restart().unwrap();
    one.missed().await;
    two.missed().await;
    until(|| one.nats.is_wanted(SESSION)).await;
    one.nats.ring(bell(2));
    // The first one may have had just enough patience.
    while two.bell().await != bell(2) {}
}

#[tokio::test]
async fn after_a_loss_nodes_look_for_what_they_missed_and_previews_have_no_gap() {
    let Some(server) = server() else { return };
    let one = Node::new(&server, "loss", "one").await;
    let mut two = Node::new(&server, "loss", "two").await;
    two.nats.want(SESSION, true);
    until(|| one.nats.is_wanted(SESSION)).await;
    one.nats.send(SESSION, &start(1));
    assert_eq!(two.preview().await, (SESSION, start(1)));
    server.stop();
    // Lost, or late: then nothing may follow it that leaves it out.
    one.nats.send(SESSION, &text(1, "lost"));
    two.quiet().await;
    server.restart().unwrap();
    two.missed().await;
    let mut seen = Vec::new();
    // Both come back in their own time.
    soon(async {
        for id in 2.. {
            one.nats.send(SESSION, &text(1, "after"));
            one.nats.send(SESSION, &start(id));
            while let Ok((_, preview)) = timeout(QUIET, two.preview()).await {
                seen.push(preview);
            }
            if seen.iter().any(|preview| preview.starts) {
                break;
            }
        }
    })
    .await;
    assert!(!seen.contains(&text(1, "after")) || seen.contains(&text(1, "lost")), "{seen:?}");
}

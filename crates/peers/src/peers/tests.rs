//! Nodes on this machine's loopback, with sandboxes of our own.

use std::time::Duration;

use async_trait::async_trait;
use hands::{BoxedStream, Checkpoint, Hand, Kept, ProvisionError, Spec};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::task::JoinSet;
use wire::{EventId, ThreadId};

use super::*;
use crate::frame::MOST_OF_STRANGERS;

const SESSION: SessionId = SessionId::from_bits(1);

/// A sandbox of this name gives back what it is sent. There is no other.
const LIVE: &str = "hands/live";

#[derive(Default)]
struct Echoes {
    echoes: Mutex<JoinSet<()>>,
    /// What everything but the live one was put away as.
    left: Mutex<Option<std::path::PathBuf>>,
}

#[async_trait]
impl Sandbox for Echoes {
    async fn prepare(&self) -> Result<(), ProvisionError> {
        Ok(())
    }

    async fn provision(&self, _: &Spec, _: u64) -> Result<Box<dyn Hand>, ProvisionError> {
        Err(ProvisionError::Failed("not here".into()))
    }

    async fn adopt(&self, _: &Address, _: u64) -> Result<Box<dyn Hand>, Lost> {
        Err(Lost::Gone("not here".into()))
    }

    async fn dial(&self, address: &Address) -> Result<BoxedStream, Lost> {
        if address.directory.to_str() != Some(LIVE) {
            return Err(Lost::Gone("it has died".into()));
        }
        let (ours, theirs) = duplex(1_024);
        self.echoes.lock().spawn(async move {
            let (mut read, mut write) = tokio::io::split(theirs);
            let _ = tokio::io::copy(&mut read, &mut write).await;
        });
        Ok(Box::new(ours))
    }

    async fn destroy(&self, _: &str, _: Option<&str>) -> io::Result<()> {
        Ok(())
    }

    async fn kept(&self) -> Vec<Kept> {
        Vec::new()
    }

    async fn checkpoint(&self, address: &Address) -> io::Result<Option<Checkpoint>> {
        let path = self.left.lock().clone().filter(|_| address.directory.to_str() != Some(LIVE));
        Ok(path.map(|path| Checkpoint { path, bytes: 0, at: 0 }))
    }
}

struct OneNode {
    peers: Peers,
    heard: mpsc::Receiver<Heard>,
    sandbox: Arc<Echoes>,
}

impl OneNode {
    async fn new(directory: &str) -> Self {
        Self::with(directory, "ours", SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    async fn with(directory: &str, secret: &str, listen: SocketAddr) -> Self {
        let (to, heard) = mpsc::channel(16);
        let sandbox = Arc::new(Echoes::default());
        let local = Local { directory: directory.into(), sandbox: sandbox.clone(), heard: to };
        let peers = Peers::listen(listen, Secret::new(secret), local).await.unwrap();
        Self { peers, heard, sandbox }
    }

    fn meets(&self, directory: &str, other: &Self) {
        self.peers.set_nodes(vec![(directory.into(), other.peers.address().to_string())]);
    }

    async fn next_preview(&mut self) -> (SessionId, Preview) {
        match soon(self.heard.recv()).await {
            Some(Heard::Preview { session, preview }) => (session, preview),
            other => panic!("not a preview: {other:?}"),
        }
    }
}

/// No test waits longer for anything.
async fn soon<T>(done: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(10), done).await.expect("in time")
}

async fn until(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

fn start(id: u128) -> Preview {
    Preview::start(ThreadId::from_bits(1), EventId::from_bits(id), "agent.message")
}

fn address(directory: &str, home: &str) -> Address {
    let home = Some(home.to_owned());
    Address { backend: "test".into(), directory: directory.into(), incarnation: "one".into(), home }
}

#[tokio::test]
async fn previews_go_both_ways_to_whoever_wants_them() {
    let (mut one, mut two) = (OneNode::new("one").await, OneNode::new("two").await);
    one.meets("two", &two);
    two.meets("one", &one);
    assert!(!one.peers.is_wanted(SESSION));
    one.peers.want(SESSION, true);
    two.peers.want(SESSION, true);
    until(|| one.peers.is_wanted(SESSION) && two.peers.is_wanted(SESSION)).await;
    one.peers.send(SESSION, &start(1));
    two.peers.send(SESSION, &start(2));
    assert_eq!(two.next_preview().await, (SESSION, start(1)));
    assert_eq!(one.next_preview().await, (SESSION, start(2)));

    two.peers.want(SESSION, false);
    until(|| !one.peers.is_wanted(SESSION)).await;
}

#[tokio::test]
async fn a_node_that_comes_back_is_told_again_what_is_wanted() {
    let (mut one, two) = (OneNode::new("one").await, OneNode::new("two").await);
    one.meets("two", &two);
    one.peers.want(SESSION, true);
    until(|| two.peers.is_wanted(SESSION)).await;
    let listen = two.peers.address();
    two.peers.close().await;
    drop(two);
    let two = OneNode::with("two", "ours", listen).await;
    until(|| two.peers.is_wanted(SESSION)).await;
    two.peers.send(SESSION, &start(1));
    assert_eq!(one.next_preview().await, (SESSION, start(1)));
}

#[tokio::test]
async fn a_node_that_no_longer_lives_is_no_longer_listened_to() {
    let (one, two) = (OneNode::new("one").await, OneNode::new("two").await);
    one.meets("two", &two);
    one.peers.want(SESSION, true);
    until(|| two.peers.is_wanted(SESSION)).await;
    one.peers.set_nodes(Vec::new());
    until(|| !two.peers.is_wanted(SESSION)).await;
    assert!(one.peers.dialer("two", &address(LIVE, "two")).is_none());
}

#[tokio::test]
async fn who_does_not_know_the_secret_gets_no_preview_and_no_sandbox() {
    let one = OneNode::new("one").await;
    let stranger = OneNode::with("two", "theirs", SocketAddr::from(([127, 0, 0, 1], 0))).await;
    stranger.peers.want(SESSION, true);
    stranger.meets("one", &one);
    let dialer = stranger.peers.dialer("one", &address(LIVE, "one")).unwrap();
    let Err(Lost::Refused(why)) = soon(dialer.dial()).await else { panic!("let in") };
    assert!(why.contains("away"), "{why}");
    assert!(!one.peers.is_wanted(SESSION));
}

#[tokio::test]
async fn a_stranger_who_announces_much_is_cut_off() {
    let one = OneNode::new("one").await;
    let mut stream = TcpStream::connect(one.peers.address()).await.unwrap();
    let _challenge: serde_json::Value = soon(frame::read(&mut stream, MOST_OF_STRANGERS)).await.unwrap();
    stream.write_all(&u32::MAX.to_le_bytes()).await.unwrap();
    let mut rest = Vec::new();
    // Closed with or without a reset, but without a word.
    let _ = soon(stream.read_to_end(&mut rest)).await;
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_node_whose_frame_is_oversized_is_cut_off() {
    let (one, two) = (OneNode::new("one").await, OneNode::new("two").await);
    let address = one.peers.address().to_string();
    let mut stream = two.peers.shared.reach("one", &address, &Want::Previews).await.unwrap();
    frame::write(&mut stream, &crate::wants::Interest::Want(SESSION)).await.unwrap();
    until(|| one.peers.is_wanted(SESSION)).await;
    stream.write_all(&u32::MAX.to_le_bytes()).await.unwrap();
    until(|| !one.peers.is_wanted(SESSION)).await;
}

#[tokio::test]
async fn a_sandbox_elsewhere_is_reached_through_its_node() {
    let (one, two) = (OneNode::new("one").await, OneNode::new("two").await);
    one.meets("two", &two);
    let dialer = one.peers.dialer("two", &address(LIVE, "two")).unwrap();
    let mut stream = soon(dialer.dial()).await.unwrap();
    stream.write_all(b"there and back").await.unwrap();
    let mut back = [0; 14];
    soon(stream.read_exact(&mut back)).await.unwrap();
    assert_eq!(&back, b"there and back");
    stream.shutdown().await.unwrap();
    assert_eq!(soon(stream.read(&mut back)).await.unwrap(), 0);
}

#[tokio::test]
async fn only_a_sandboxs_own_node_can_say_that_it_is_gone() {
    let (one, two) = (OneNode::new("one").await, OneNode::new("two").await);
    one.meets("two", &two);
    let dial = async |address: Address| soon(one.peers.dialer("two", &address).unwrap().dial()).await.err().unwrap();
    assert!(matches!(dial(address("hands/dead", "two")).await, Lost::Gone(why) if why == "it has died"));
    assert!(matches!(dial(address(LIVE, "three")).await, Lost::Refused(_)));
    let dialer = one.peers.dialer("two", &address(LIVE, "two")).unwrap();
    two.peers.close().await;
    assert!(matches!(soon(dialer.dial()).await, Err(Lost::Refused(_))));
}

#[tokio::test]
async fn a_dialer_finds_a_node_that_came_back_elsewhere() {
    let (one, two) = (OneNode::new("one").await, OneNode::new("two").await);
    one.meets("two", &two);
    let dialer = one.peers.dialer("two", &address(LIVE, "two")).unwrap();
    two.peers.close().await;
    let two = OneNode::new("two").await;
    one.meets("two", &two);
    assert!(soon(dialer.dial()).await.is_ok());
}

#[tokio::test]
async fn what_is_left_of_a_sandbox_is_copied_from_its_own_node_or_nothing_is() {
    let (one, two) = (OneNode::new("one").await, OneNode::new("two").await);
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    let bytes: Vec<u8> = (0..3_000_007).map(|number: u32| (number % 251) as u8).collect();
    std::fs::write(&from, &bytes).unwrap();
    let fetch =
        async |home: &str, directory: &str| soon(one.peers.fetch_left("two", &address(directory, home), &to)).await;
    assert!(matches!(fetch("two", "hands/rested").await, Err(Lost::Refused(_))), "it is not known to live");
    one.meets("two", &two);
    assert!(matches!(fetch("two", "hands/rested").await, Err(Lost::Gone(_))), "there is nothing");
    *two.sandbox.left.lock() = Some(from.clone());
    assert!(matches!(fetch("two", LIVE).await, Err(Lost::Gone(_))));
    assert!(matches!(fetch("three", "hands/rested").await, Err(Lost::Refused(_))));
    assert!(!to.exists());
    fetch("two", "hands/rested").await.unwrap();
    assert!(std::fs::read(&to).unwrap() == bytes);
    // What is there already is left alone.
    assert!(matches!(fetch("two", "hands/rested").await, Err(Lost::Refused(_))));
}

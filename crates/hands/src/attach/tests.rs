//! Against daemons of our own, at the other ends of streams in memory.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering},
};

use hand_protocol::{Answer, Request, VERSION, write_frame};
use serde_json::Map;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::mpsc,
    time::Instant,
};

use super::*;

const EPOCH: u64 = 7;

/// Gives out streams, whose other ends come to the test, until there is a refusal to give.
struct Line {
    ends: mpsc::UnboundedSender<Daemon>,
    refusals: parking_lot::Mutex<VecDeque<Lost>>,
    dials: AtomicUsize,
}

/// The daemon's end of one connection.
struct Daemon(DuplexStream);

#[async_trait]
impl Dial for Line {
    async fn dial(&self) -> Result<BoxedStream, Lost> {
        self.dials.fetch_add(1, Ordering::Relaxed);
        if let Some(lost) = self.refusals.lock().pop_front() {
            return Err(lost);
        }
        let (ours, theirs) = duplex(64 << 10);
        self.ends.send(Daemon(theirs)).unwrap();
        Ok(Box::new(ours))
    }
}

impl Line {
    fn open() -> (Arc<Self>, mpsc::UnboundedReceiver<Daemon>) {
        let (ends, daemons) = mpsc::unbounded_channel();
        (Arc::new(Self { ends, refusals: parking_lot::Mutex::default(), dials: AtomicUsize::new(0) }), daemons)
    }

    fn refuse(&self, refusals: impl IntoIterator<Item = Lost>) {
        self.refusals.lock().extend(refusals);
    }

    fn dials(&self) -> usize {
        self.dials.load(Ordering::Relaxed)
    }
}

impl Daemon {
    async fn asked(&mut self) -> Request {
        let length = self.0.read_u32_le().await.unwrap();
        let mut body = vec![0; length as usize];
        self.0.read_exact(&mut body).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    async fn answer(&mut self, seq: u64, reply: Reply) {
        let mut frame = Vec::new();
        write_frame(&mut frame, &Answer { seq, reply }).unwrap();
        self.0.write_all(&frame).await.unwrap();
    }

    async fn greet(&mut self, incarnation: &str) {
        let hello = self.asked().await;
        assert_eq!((hello.epoch, hello.verb), (EPOCH, Verb::Hello { version: VERSION }));
        self.answer(hello.seq, Reply::Welcome { version: VERSION, incarnation: incarnation.into() }).await;
    }

    /// Answers one call with its own id.
    async fn run(&mut self) {
        let Request { seq, verb: Verb::Execute(execute), .. } = self.asked().await else { panic!("not a call") };
        self.answer(seq, Reply::Done { outcome: Outcome::text(execute.call) }).await;
    }
}

async fn greeted(daemons: &mut mpsc::UnboundedReceiver<Daemon>) -> Daemon {
    let mut daemon = daemons.recv().await.unwrap();
    daemon.greet("one").await;
    daemon
}

/// A hand, and the daemon's end of its first connection.
async fn hand(line: &Arc<Line>, daemons: &mut mpsc::UnboundedReceiver<Daemon>) -> (Box<dyn Hand>, Daemon) {
    let address =
        Address { backend: "test".into(), directory: "hands/one".into(), incarnation: "one".into(), home: None };
    let dial: Arc<dyn Dial> = line.clone();
    let (hand, daemon) = tokio::join!(attach(dial, address, EPOCH), greeted(daemons));
    (hand.unwrap(), daemon)
}

fn call(id: &str) -> Execute {
    Execute { call: id.into(), tool: "bash".into(), input: Map::new() }
}

#[tokio::test(start_paused = true)]
async fn a_call_outlives_its_connection_and_is_asked_for_again_by_the_same_id() {
    let (line, mut daemons) = Line::open();
    let (hand, mut first) = hand(&line, &mut daemons).await;
    let breaks = async {
        assert_eq!(first.asked().await.verb, Verb::Execute(call("one")));
        drop(first);
        greeted(&mut daemons).await.run().await;
    };
    let (outcome, ()) = tokio::join!(hand.execute(call("one")), breaks);
    assert_eq!(outcome.unwrap(), Outcome::text("one"));
    assert_eq!(line.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn calls_that_lose_their_connection_together_share_the_next() {
    let (line, mut daemons) = Line::open();
    let (hand, mut first) = hand(&line, &mut daemons).await;
    let breaks = async {
        first.asked().await;
        first.asked().await;
        drop(first);
        let mut second = greeted(&mut daemons).await;
        second.run().await;
        second.run().await;
    };
    let (one, two, ()) = tokio::join!(hand.execute(call("one")), hand.execute(call("two")), breaks);
    assert_eq!((one.unwrap(), two.unwrap()), (Outcome::text("one"), Outcome::text("two")));
    assert_eq!(line.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_that_is_gone_is_not_called_for_again() {
    let (line, mut daemons) = Line::open();
    let (hand, first) = hand(&line, &mut daemons).await;
    line.refuse([Lost::Gone("it has died".into())]);
    drop(first);
    assert!(matches!(hand.execute(call("one")).await, Err(Lost::Gone(why)) if why == "it has died"));
    assert_eq!(line.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_out_of_reach_is_called_for_a_while_and_not_taken_for_gone() {
    let (line, mut daemons) = Line::open();
    let (hand, first) = hand(&line, &mut daemons).await;
    let away = || Lost::Refused("its node is away".into());
    line.refuse([away(), away(), away()]);
    drop(first);
    let began = Instant::now();
    assert!(matches!(hand.execute(call("one")).await, Err(Lost::Refused(why)) if why.contains("its node is away")));
    let patience = PAUSES.iter().sum::<Duration>();
    assert!((patience..patience + Duration::from_secs(1)).contains(&began.elapsed()));
    assert_eq!(line.dials(), 1 + PAUSES.len());

    // It is back for the next call.
    line.refuse([away()]);
    let back = async { greeted(&mut daemons).await.run().await };
    let (outcome, ()) = tokio::join!(hand.execute(call("two")), back);
    assert_eq!(outcome.unwrap(), Outcome::text("two"));
}

#[tokio::test(start_paused = true)]
async fn another_incarnation_is_another_sandbox() {
    let (line, mut daemons) = Line::open();
    let (hand, first) = hand(&line, &mut daemons).await;
    drop(first);
    let impostor = async { daemons.recv().await.unwrap().greet("two").await };
    let (outcome, ()) = tokio::join!(hand.execute(call("one")), impostor);
    assert!(matches!(outcome, Err(Lost::Gone(_))));
    assert_eq!(line.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_fence_and_a_refusal_are_final() {
    let (line, mut daemons) = Line::open();
    let (hand, mut daemon) = hand(&line, &mut daemons).await;
    let refuses = async {
        for reply in [Reply::Fenced { epoch: 9 }, Reply::Refused { message: "no".into() }] {
            let seq = daemon.asked().await.seq;
            daemon.answer(seq, reply).await;
        }
    };
    let asks = async {
        assert!(matches!(hand.execute(call("one")).await, Err(Lost::Fenced(9))));
        assert!(matches!(hand.execute(call("two")).await, Err(Lost::Refused(why)) if why == "no"));
    };
    tokio::join!(asks, refuses);
    assert_eq!(line.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_breaks_the_protocol_is_not_called_again() {
    let (line, mut daemons) = Line::open();
    let (hand, mut daemon) = hand(&line, &mut daemons).await;
    let breaks = async {
        daemon.asked().await;
        daemon.0.write_all(b"\x02\0\0\0{]").await.unwrap();
    };
    let (outcome, ()) = tokio::join!(hand.execute(call("one")), breaks);
    assert!(matches!(outcome, Err(Lost::Gone(why)) if why.contains("protocol")));
    assert_eq!(line.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_an_answer_to_the_greeting_says_nothing_of_the_sandbox() {
    let (line, mut daemons) = Line::open();
    let address =
        Address { backend: "test".into(), directory: "hands/one".into(), incarnation: "one".into(), home: None };
    let silent = async {
        let daemon = daemons.recv().await.unwrap();
        // Held open for longer than any greeting takes.
        sleep(Duration::from_secs(60)).await;
        drop(daemon);
    };
    let (hand, ()) = tokio::join!(attach(line, address, EPOCH), silent);
    assert!(matches!(hand, Err(Lost::Refused(why)) if why.contains("does not answer")));
}

#[test]
fn a_path_out_of_the_outputs_is_not_believed() {
    assert!(is_below("a/b.txt"));
    for path in ["", "/etc/passwd", "../x", "a/../../x"] {
        assert!(!is_below(path), "{path}");
    }
}

//! Servers come and go, and lose their connections; sandboxes stay.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hand_protocol::Found;
use parking_lot::Mutex;
use tokio::{
    io::{copy_bidirectional, duplex},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::bench::{Bench, LIMITS, ONE, assert_gone, bash, call, look, names, run, text};
use crate::{Address, BoxedStream, Dial, Limits, Lost, Sandbox, attach};

pub(super) async fn a_later_server_finds_the_same_shell(bench: &Bench) {
    let hand = bench.hand().await;
    bash(&*hand, "cd /tmp; NAME=value").await;
    let address = hand.address().clone();
    drop(hand);
    let hand = bench.later().await.adopt(&address, 2).await.expect("a later server adopts it");
    assert_eq!(hand.address(), &address, "it is still where it was");
    assert_eq!(bash(&*hand, "pwd; echo $NAME").await, "/tmp\nvalue");
}

pub(super) async fn a_call_begun_under_one_server_ends_under_the_next(bench: &Bench) {
    let hand = bench.hand().await;
    let (address, command) = (hand.address().clone(), "sleep 1; echo done");
    let begun = timeout(Duration::from_millis(100), hand.execute(call("long", command))).await;
    assert!(begun.is_err(), "it takes longer");
    drop(hand);
    let hand = bench.later().await.adopt(&address, 2).await.unwrap();
    assert!(matches!(look(&*hand, "long").await, Found::Running), "it runs on");
    assert_eq!(text(&run(&*hand, "long", command).await), "done");
}

pub(super) async fn a_lower_epoch_is_fenced_off(bench: &Bench) {
    let old = bench.hand().await;
    let later = bench.later().await;
    let new = later.adopt(old.address(), 5).await.unwrap();
    assert!(matches!(old.execute(call("late", "echo late")).await, Err(Lost::Fenced(5))));
    assert!(matches!(old.look(vec!["late".into()]).await, Err(Lost::Fenced(5))));
    assert!(matches!(old.cancel("late").await, Err(Lost::Fenced(5))));
    assert!(matches!(bench.sandbox.adopt(old.address(), 4).await, Err(Lost::Fenced(5))));
    assert_eq!(bash(&*new, "echo mine").await, "mine");
    assert!(matches!(look(&*new, "late").await, Found::NeverReceived), "what was fenced off has changed nothing");
}

pub(super) async fn the_same_epoch_may_come_again(bench: &Bench) {
    let one = bench.hand().await;
    let two = bench.sandbox.adopt(one.address(), 1).await.expect("the same epoch is heeded");
    assert_eq!((bash(&*one, "echo one").await, bash(&*two, "echo two").await), ("one".into(), "two".into()));
}

pub(super) async fn an_address_that_leads_elsewhere_is_not_followed(bench: &Bench) {
    let hand = bench.hand().await;
    let address = hand.address();
    assert!(!address.incarnation.is_empty() && address.home.is_some(), "an address says which one it is, and where");
    let wrong = [
        Address { incarnation: "another".into(), ..address.clone() },
        Address { incarnation: String::new(), ..address.clone() },
        Address { home: Some("elsewhere".into()), ..address.clone() },
        Address { backend: "another".into(), ..address.clone() },
        Address { directory: "".into(), ..address.clone() },
        Address { directory: "/etc".into(), ..address.clone() },
        Address { directory: address.directory.with_file_name("two"), ..address.clone() },
        Address { directory: address.directory.join(".."), ..address.clone() },
    ];
    for address in wrong {
        assert_gone(&*bench.sandbox, &address, 1).await;
    }
    assert_eq!(bash(&*hand, "echo alive").await, "alive");
}

/// The way to a sandbox from another machine, which can be cut.
struct Way {
    sandbox: Arc<dyn Sandbox>,
    address: Address,
    carriers: Mutex<JoinSet<()>>,
}

#[async_trait]
impl Dial for Way {
    async fn dial(&self) -> Result<BoxedStream, Lost> {
        let mut there = self.sandbox.dial(&self.address).await?;
        let (near, mut far) = duplex(1_024);
        self.carriers.lock().spawn(async move {
            // However it ends, the connection does.
            let _ = copy_bidirectional(&mut far, &mut there).await;
        });
        Ok(Box::new(near))
    }
}

pub(super) async fn a_connection_that_breaks_costs_no_call(bench: &Bench) {
    let address = bench.hand().await.address().clone();
    let way = Way { sandbox: bench.later().await, address: address.clone(), carriers: Mutex::default() };
    let way = Arc::new(way);
    let hand = attach(way.clone(), address, 2).await.expect("a brain elsewhere greets over a raw connection");
    let cut = async {
        while !matches!(look(&*hand, "long").await, Found::Running) {
            sleep(Duration::from_millis(5)).await;
        }
        way.carriers.lock().abort_all();
    };
    let command = format!("echo begun >> {0}; sleep 0.5; cat {0}", bench.inside("file"));
    let (outcome, ()) = tokio::join!(run(&*hand, "long", &command), cut);
    assert_eq!(text(&outcome), "begun", "it was run once");
}

pub(super) async fn a_sandbox_that_nobody_needs_ends_itself(bench: &Bench) {
    let hand = bench.hand_with(Limits { orphan_seconds: 1, ..LIMITS }).await;
    let address = hand.address().clone();
    assert_eq!(bash(&*hand, "sleep 2; echo alive").await, "alive", "it stays for as long as a server is attached");
    drop(hand);
    // Whoever comes to look would keep it alive.
    sleep(Duration::from_secs(4)).await;
    assert_gone(&*bench.later().await, &address, 2).await;
    assert_eq!(names(&*bench.sandbox).await, [ONE], "it is kept until it is destroyed, live or dead");
}

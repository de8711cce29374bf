//! Servers come and go; sandboxes stay.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hands::{Address, BoxedStream, Dial, Found, Lost, Sandbox, Spec, attach, namespace::Namespace};
use parking_lot::Mutex;
use tokio::{
    io::{copy_bidirectional, duplex},
    task::JoinSet,
};

use crate::bench::{Bench, LIMITS, bash, call, look, open, run, text};

/// The way to a sandbox from another machine, which can be cut.
struct Way {
    sandbox: Namespace,
    address: Address,
    carriers: Mutex<JoinSet<()>>,
}

#[async_trait]
impl Dial for Way {
    async fn dial(&self) -> Result<BoxedStream, Lost> {
        let mut there = self.sandbox.dial(&self.address).await?;
        let (near, mut far) = duplex(1_024);
        self.carriers.lock().spawn(async move {
            let _ = copy_bidirectional(&mut far, &mut there).await;
        });
        Ok(Box::new(near))
    }
}

#[tokio::test]
async fn a_later_server_finds_the_same_shell() {
    let mut bench = Bench::new();
    let hand = bench.hand().await;
    bash(&*hand, "cd /tmp; NAME=value").await;
    let address = hand.address().clone();
    drop(hand);
    bench.sandbox = open(bench.data.path());
    let hand = bench.sandbox.adopt(&address, 2).await.unwrap();
    assert_eq!(bash(&*hand, "pwd; echo $NAME").await, "/tmp\nvalue");
    assert_eq!(bench.sandbox.kept().await.iter().map(|kept| &*kept.name).collect::<Vec<_>>(), ["one"]);
    bench.end().await;
}

#[tokio::test]
async fn a_command_begun_under_one_server_ends_under_the_next() {
    let mut bench = Bench::new();
    let hand = bench.hand().await;
    let address = hand.address().clone();
    let begun = tokio::time::timeout(Duration::from_millis(100), hand.execute(call("long", "sleep 0.5; echo done")));
    assert!(begun.await.is_err());
    drop(hand);
    bench.sandbox = open(bench.data.path());
    let hand = bench.sandbox.adopt(&address, 2).await.unwrap();
    assert!(matches!(look(&*hand, "long").await, Found::Running));
    assert_eq!(text(&run(&*hand, "long", "sleep 0.5; echo done").await), "done");
    bench.end().await;
}

#[tokio::test]
async fn a_command_outlives_the_connection_that_it_was_begun_over_and_runs_once() {
    let bench = Bench::new();
    let address = bench.hand().await.address().clone();
    assert_eq!(address.home.as_deref(), Some("here"));
    let sandbox = open(bench.data.path());
    let way = Arc::new(Way { sandbox, address: address.clone(), carriers: Mutex::default() });
    let hand = attach(way.clone(), address, 2).await.unwrap();
    let cut = async {
        while !matches!(look(&*hand, "long").await, Found::Running) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        way.carriers.lock().abort_all();
    };
    let long = run(&*hand, "long", "echo begun >> /workspace/file; sleep 0.5; cat /workspace/file");
    let (outcome, ()) = tokio::join!(long, cut);
    assert_eq!(text(&outcome), "begun");
    bench.end().await;
}

#[tokio::test]
async fn a_lower_epoch_is_fenced_off() {
    let bench = Bench::new();
    let old = bench.hand().await;
    let new = bench.sandbox.adopt(old.address(), 5).await.unwrap();
    assert!(matches!(old.execute(call("late", "echo late")).await, Err(Lost::Fenced(5))));
    assert!(matches!(bench.sandbox.adopt(old.address(), 4).await, Err(Lost::Fenced(5))));
    assert_eq!(bash(&*new, "echo mine").await, "mine");
    assert!(matches!(look(&*new, "late").await, Found::NeverReceived));
    bench.end().await;
}

#[tokio::test]
async fn a_new_sandbox_is_not_taken_for_the_old_one_and_repeats_none_of_its_calls() {
    let bench = Bench::new();
    let old = bench.hand().await;
    run(&*old, "once", "echo first | tee /workspace/file").await;
    let new = bench.provision(&Spec { name: "one".into(), limits: LIMITS, ..Spec::default() }).await;
    assert_ne!(old.address(), new.address());
    assert!(matches!(old.execute(call("late", "echo late")).await, Err(Lost::Gone(_))));
    assert!(matches!(bench.sandbox.adopt(old.address(), 1).await, Err(Lost::Gone(_))));
    assert_eq!(text(&run(&*new, "once", "echo first | tee /workspace/file").await), "first");
    assert_eq!(bash(&*new, "ls /workspace").await, "(no output)");
    bench.end().await;
}

#[tokio::test]
async fn an_address_that_leads_elsewhere_is_not_followed() {
    let bench = Bench::new();
    let hand = bench.hand().await;
    let address = hand.address();
    for directory in ["/etc", "hands/../hands/one", "hands/two", "one", ""] {
        let wrong = Address { directory: directory.into(), ..address.clone() };
        assert!(matches!(bench.sandbox.adopt(&wrong, 1).await, Err(Lost::Gone(_))), "{directory}");
        assert!(matches!(bench.sandbox.dial(&wrong).await, Err(Lost::Gone(_))), "{directory}");
    }
    let elsewhere = Address { home: Some("elsewhere".into()), ..address.clone() };
    assert!(matches!(bench.sandbox.adopt(&elsewhere, 1).await, Err(Lost::Gone(_))));
    bench.end().await;
}

#[tokio::test]
async fn a_data_directory_may_lie_deep() {
    let mut bench = Bench::new();
    let deep = bench.data.path().join("d".repeat(120)).join("e".repeat(120));
    bench.sandbox = open(&deep);
    let hand = bench.hand().await;
    assert_eq!(bash(&*hand, "echo deep").await, "deep");
    bench.end().await;
}

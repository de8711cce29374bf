//! Calls: each is run at most once, and what became of it is always known.

use std::time::Duration;

use hand_protocol::Found;
use serde_json::json;
use tokio::time::timeout;

use super::bench::{Bench, ask, bash, call, id, look, run, text, tool, until_there};
use crate::Hand;

/// Counts how often it was run, slowly.
fn counting(file: &str) -> String {
    format!("echo run >> {file}; sleep 0.2; wc -l < {file}")
}

async fn begins(hand: &dyn Hand, id: &str, command: &str) {
    let begun = timeout(Duration::from_millis(100), hand.execute(call(id, command)));
    assert!(begun.await.is_err(), "{command} takes longer");
}

pub(super) async fn a_call_runs_once_however_often_it_is_asked_for(bench: &Bench) {
    let hand = bench.hand().await;
    let (hand, count) = (&*hand, counting(&bench.inside("runs")));
    let again = || run(hand, "same", &count);
    let (one, two, three, four) = tokio::join!(again(), again(), again(), again());
    for outcome in [one, two, three, four, again().await] {
        assert_eq!((text(&outcome), outcome.is_error), ("1".into(), false), "the outcome is the same each time");
    }
    let other = ask(hand, call("same", "echo other")).await.unwrap();
    assert_eq!(text(&other), "1", "an id has one call, whatever is asked for with it");
    assert_eq!(bash(hand, &format!("wc -l < {}", bench.inside("runs"))).await, "1");
}

pub(super) async fn a_call_runs_once_over_two_connections_and_after_adoption(bench: &Bench) {
    let one = bench.hand().await;
    let later = bench.later().await;
    let two = later.adopt(one.address(), 1).await.expect("a sandbox can be adopted while somebody has it");
    let count = counting(&bench.inside("runs"));
    let (first, second) = tokio::join!(run(&*one, "same", &count), run(&*two, "same", &count));
    assert_eq!((text(&first), text(&second)), ("1".into(), "1".into()));
    let address = one.address().clone();
    drop((one, two));
    let hand = bench.later().await.adopt(&address, 2).await.unwrap();
    assert_eq!(text(&run(&*hand, "same", &count).await), "1", "a later server gets the same outcome");
    assert_eq!(bash(&*hand, &format!("wc -l < {}", bench.inside("runs"))).await, "1");
}

pub(super) async fn a_call_goes_on_when_nobody_waits(bench: &Bench) {
    let hand = bench.hand().await;
    let command = "sleep 0.5; echo slept";
    begins(&*hand, "slow", command).await;
    assert!(matches!(look(&*hand, "slow").await, Found::Running), "what nobody waits for runs on");
    assert_eq!(text(&run(&*hand, "slow", command).await), "slept");
    assert!(matches!(look(&*hand, "slow").await, Found::Finished { .. }));
}

pub(super) async fn what_became_of_calls_is_told_in_the_order_asked(bench: &Bench) {
    let hand = bench.hand().await;
    let done = run(&*hand, "done", "echo done").await;
    begins(&*hand, "runs", "sleep 1").await;
    let asked = ["never", "runs", "done", "never"].map(str::to_owned).to_vec();
    let found = hand.look(asked).await.unwrap();
    let expected = [Found::NeverReceived, Found::Running, Found::Finished { outcome: done }, Found::NeverReceived];
    assert_eq!(found, expected);
    assert_eq!(hand.look(Vec::new()).await.unwrap(), [], "of no calls there is nothing to tell");
    assert_eq!(text(&run(&*hand, "never", "echo ever").await), "ever", "looking does not begin a call");
}

pub(super) async fn a_cancelled_call_ends_with_its_processes(bench: &Bench) {
    let hand = bench.hand().await;
    let file = bench.inside("pid");
    let command = format!("sleep 300 & echo $! > {file}; wait");
    let cancelling = async {
        until_there(&*hand, &file).await;
        hand.cancel("long").await.expect("a call can be cancelled");
    };
    let (outcome, ()) = tokio::join!(run(&*hand, "long", &command), cancelling);
    assert!(outcome.is_error, "a cancelled call is an error: {outcome:?}");
    assert_eq!(look(&*hand, "long").await, Found::Finished { outcome });
    // Where the daemon is not the first process, somebody else reaps.
    let ended = format!(
        "pid=$(< {file}); for i in {{1..100}}; do read -r _ _ state _ 2>/dev/null < /proc/$pid/stat || break; \
         test $state = Z && break; sleep 0.05; done; test $i -lt 100 && echo ended"
    );
    assert_eq!(bash(&*hand, &ended).await, "ended", "its processes end with it");
}

pub(super) async fn a_call_that_has_ended_is_not_changed_by_cancelling(bench: &Bench) {
    let hand = bench.hand().await;
    hand.cancel("never").await.expect("what never began can be cancelled");
    assert_eq!(text(&run(&*hand, "never", "echo ever").await), "ever");
    hand.cancel("never").await.expect("what has ended can be cancelled");
    assert_eq!(text(&run(&*hand, "never", "echo ever").await), "ever", "it has ended as it has");
}

pub(super) async fn a_short_call_overtakes_a_long_one(bench: &Bench) {
    let hand = bench.hand().await;
    let file = bench.inside("go");
    let (waits, write) = (id(), json!({ "file_path": file, "content": "go" }));
    let command = format!("until test -e {file}; do sleep 0.02; done; echo went");
    let (waited, written) = tokio::join!(run(&*hand, &waits, &command), tool(&*hand, "write", write));
    assert!(!written.is_error, "{written:?}");
    assert_eq!(text(&waited), "went");
}

pub(super) async fn whatever_an_id_looks_like_its_call_runs_once(bench: &Bench) {
    let hand = bench.hand().await;
    let long = "x".repeat(1_000);
    let ids = ["../../x", "a b", "\"}\n{\"started\":\"other\"", "\u{1b}[2J", "ü\u{202e}", "-", ".", "%s%n", &long];
    for (number, id) in ids.into_iter().enumerate() {
        let count = format!("echo run >> {0}; wc -l < {0}", bench.inside(&format!("runs{number}")));
        assert_eq!(text(&run(&*hand, id, &count).await), "1", "{id:?}");
        assert_eq!(text(&run(&*hand, id, &count).await), "1", "{id:?}");
        assert!(matches!(look(&*hand, id).await, Found::Finished { .. }), "{id:?}");
    }
    let address = hand.address().clone();
    drop(hand);
    let hand = bench.later().await.adopt(&address, 2).await.unwrap();
    for id in ids {
        assert!(matches!(look(&*hand, id).await, Found::Finished { .. }), "{id:?}");
    }
    assert!(matches!(look(&*hand, "other").await, Found::NeverReceived), "an id is not read as another call's");
}

pub(super) async fn the_next_sandbox_of_a_name_repeats_no_call(bench: &Bench) {
    let old = bench.hand().await;
    let file = bench.inside("file");
    let command = format!("echo first | tee -a {file}");
    run(&*old, "once", &command).await;
    begins(&*old, "begun", "sleep 30").await;
    let new = bench.hand().await;
    assert_eq!(text(&run(&*new, "once", &command).await), "first", "its outcome is the same");
    // Where the workspace is not the sandbox's own, what the last one wrote is there still.
    let written = if bench.supports.directories { "0" } else { "1" };
    assert_eq!(bash(&*new, &format!("cat {file} 2> /dev/null | wc -l")).await, written, "and it was not run again");
    assert_eq!(look(&*new, "begun").await, Found::Unknown, "what had begun may have been done");
    assert!(ask(&*new, call("begun", "echo again")).await.is_err(), "and so is not begun again");
}

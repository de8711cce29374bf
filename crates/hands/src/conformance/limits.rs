//! What one sandbox may use, what the model hears of it, and that the session goes on.

use std::time::Duration;

use hand_protocol::Outcome;
use tokio::time::sleep;

use super::bench::{Bench, LIMITS, ask, bash, call, id, run, text};
use crate::{Hand, Limits};

/// For everything of a sandbox to be ended and started again, where that is how a limit is kept.
const ROUNDS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(100);

async fn assert_goes_on(hand: &dyn Hand) {
    assert_eq!(bash(hand, "echo alive").await, "alive");
}

fn assert_says(outcome: &Outcome, limit: &str) {
    assert!(outcome.is_error && text(outcome).contains(limit), "{limit}: {outcome:?}");
}

pub(super) async fn no_call_outlasts_its_time(bench: &Bench) {
    let hand = bench.hand_with(Limits { call_seconds: 2, ..LIMITS }).await;
    for command in ["sleep 300", "trap '' TERM INT; sleep 300 & wait; sleep 300"] {
        let outcome = run(&*hand, &id(), command).await;
        assert_says(&outcome, "the call was ended after 2 seconds, the longest a call may take here");
        assert_goes_on(&*hand).await;
    }
}

pub(super) async fn a_process_over_the_memory_is_ended_and_the_files_stay(bench: &Bench) {
    let hand = bench.hand_with(Limits { memory: 128 << 20, ..LIMITS }).await;
    bash(&*hand, "echo kept > /workspace/file").await;
    // `tail` keeps the last line, and here the line never ends.
    let outcome = ask(&*hand, call("big", "tail /dev/zero; echo ended with $?")).await;
    let said = match &outcome {
        Ok(outcome) => text(outcome),
        // Not only that process may have been ended, but the daemon with it.
        Err(lost) => lost.to_string(),
    };
    assert!(said.contains("memory limit of 128 MiB was reached"), "{said}");
    for round in 1.. {
        match ask(&*hand, call(&id(), "cat /workspace/file")).await {
            Ok(outcome) if text(&outcome) == "kept" => break,
            other => assert!(round < ROUNDS, "the session goes on, with its files: {other:?}"),
        }
        sleep(PAUSE).await;
    }
}

pub(super) async fn too_many_processes_are_refused(bench: &Bench) {
    let hand = bench.hand().await;
    let forks = "for n in {1..200}; do sleep 5 & done; wait";
    assert_says(&run(&*hand, &id(), &format!("bash -c '{forks}; exit 1'")).await, "limit of 64 processes and threads");
    assert_goes_on(&*hand).await;
}

pub(super) async fn a_full_disk_is_the_sandboxs_own(bench: &Bench) {
    let hand = bench.hand().await;
    for place in ["/workspace", "/tmp", "/mnt/session/outputs"] {
        let outcome = run(&*hand, &id(), &format!("dd if=/dev/zero of={place}/big bs=1M count=200 2>&1")).await;
        assert_says(&outcome, "disk limit of 64 MiB is reached");
        assert_eq!(bash(&*hand, &format!("rm {place}/big; echo room > {place}/small && echo there")).await, "there");
    }
    assert_goes_on(&*hand).await;
}

pub(super) async fn too_many_open_files_are_refused(bench: &Bench) {
    let hand = bench.hand_with(Limits { open_files: 128, ..LIMITS }).await;
    let open = "bash -c 'for n in {1..300}; do exec {file}</dev/null || exit 1; done'";
    assert_says(&run(&*hand, &id(), open).await, "limit of 128 open files in one process");
    assert_goes_on(&*hand).await;
}

pub(super) async fn processes_share_the_processors_that_they_are_given(bench: &Bench) {
    let hand = bench.hand_with(Limits { cpus: 250, ..LIMITS }).await;
    let spin = "timeout 2 bash -c 'while :; do :; done'";
    let spent = bash(&*hand, &format!("TIMEFORMAT=%U; {{ time ({spin} & {spin} & wait); }} 2>&1 | tail -n 1")).await;
    // In seconds: half a second is theirs, and without a limit they take two at least on any machine.
    let spent: f64 = spent.parse().expect(&spent);
    assert!((0.05..1.2).contains(&spent), "{spent}");
}

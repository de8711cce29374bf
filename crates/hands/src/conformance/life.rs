//! How sandboxes come, what is there while they live, and what is left when they go.

use std::process;

use super::bench::{Bench, ONE, assert_gone, bash, call, names, run, spec, text};
use crate::{Ground, Lost, Spec};

pub(super) async fn a_trial_leaves_nothing_behind(bench: &Bench) {
    for _ in 0..2 {
        bench.sandbox.prepare().await.expect("a backend that is offered works");
        assert_eq!(names(&*bench.sandbox).await, [""; 0], "the trial's sandbox is taken away");
    }
}

pub(super) async fn a_command_gives_what_it_prints(bench: &Bench) {
    let hand = bench.hand().await;
    assert_eq!(bash(&*hand, "echo out; echo err >&2").await, "out\nerr");
    let failed = run(&*hand, "fails", "echo before; (exit 3)").await;
    assert!(failed.is_error && text(&failed).starts_with("before"), "a command that fails is an error: {failed:?}");
}

pub(super) async fn the_shell_keeps_its_state_between_calls(bench: &Bench) {
    let hand = bench.hand().await;
    bash(&*hand, "cd /tmp; NAME=value; twice() { echo $1$1; }").await;
    assert_eq!(bash(&*hand, "pwd; echo $NAME; twice x").await, "/tmp\nvalue\nxx");
}

pub(super) async fn every_sandbox_is_kept_until_it_is_destroyed(bench: &Bench) {
    let (one, two) = (bench.hand().await, bench.provision(&spec("two")).await);
    assert_eq!(names(&*bench.sandbox).await, [ONE, "two"]);
    for kept in bench.later().await.kept().await {
        let hand = if kept.name == ONE { &one } else { &two };
        assert_eq!(kept.incarnation.as_ref(), Some(&hand.address().incarnation), "a later server knows which it is");
        assert_eq!(kept.checkpoint, None, "a sandbox that lives was not put away");
    }
    assert_ne!(one.address().incarnation, two.address().incarnation);
    bench.sandbox.destroy("two", None).await.unwrap();
    assert_eq!(names(&*bench.sandbox).await, [ONE]);
    assert_eq!(bash(&*one, "echo alive").await, "alive", "destroying one leaves the other alone");
}

pub(super) async fn what_is_destroyed_is_gone_for_all_who_had_it(bench: &Bench) {
    bench.sandbox.destroy("nobody", None).await.expect("what is not there is destroyed already");
    let hand = bench.hand().await;
    bench.sandbox.destroy(ONE, None).await.unwrap();
    assert!(matches!(hand.execute(call("late", "echo late")).await, Err(Lost::Gone(_))));
    assert_gone(&*bench.sandbox, hand.address(), 2).await;
    assert_gone(&*bench.later().await, hand.address(), 2).await;
    bench.sandbox.destroy(ONE, None).await.expect("destroying is idempotent");
    let incarnation = Some(&*hand.address().incarnation);
    bench.sandbox.destroy(ONE, incarnation).await.expect("destroying one incarnation is idempotent");
}

pub(super) async fn destroying_one_incarnation_spares_another(bench: &Bench) {
    let old = bench.hand().await;
    let new = bench.hand().await;
    for other in [&*old.address().incarnation, "", "another"] {
        bench.sandbox.destroy(ONE, Some(other)).await.unwrap();
        assert_eq!(bash(&*new, "echo alive").await, "alive", "destroying {other:?} spares another");
    }
    bench.sandbox.destroy(ONE, Some(&new.address().incarnation)).await.unwrap();
    assert_gone(&*bench.sandbox, new.address(), 2).await;
}

pub(super) async fn a_new_sandbox_is_not_taken_for_the_last_of_its_name(bench: &Bench) {
    let old = bench.hand().await;
    bash(&*old, "NAME=old").await;
    let new = bench.hand().await;
    assert_ne!(old.address().incarnation, new.address().incarnation);
    assert_eq!(names(&*bench.sandbox).await, [ONE], "there is one sandbox of a name");
    assert!(matches!(old.execute(call("late", "echo late")).await, Err(Lost::Gone(_))));
    assert_gone(&*bench.sandbox, old.address(), 2).await;
    assert_eq!(bash(&*new, "echo name: $NAME").await, "name:");
}

pub(super) async fn what_the_ground_sets_every_command_finds_set(bench: &Bench) {
    let set = [("STEAD_TEST_PLAIN", "plain"), ("STEAD_TEST_ODD", "a b='$HOME'")];
    let environment = set.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let ground = Ground { environment, ..Ground::default() };
    let hand = bench.provision(&Spec { ground, ..spec(ONE) }).await;
    let look = "bash -c 'echo \"$STEAD_TEST_PLAIN,$STEAD_TEST_ODD\"'";
    assert_eq!(bash(&*hand, look).await, "plain,a b='$HOME'");
}

pub(super) async fn the_directories_that_models_are_told_of_are_there(bench: &Bench) {
    let hand = bench.hand().await;
    let look = "pwd; ls -A /workspace | wc -l; ls /mnt/session";
    assert_eq!(bash(&*hand, look).await, "/workspace\n0\noutputs\ntool_outputs\nuploads");
    // Taken away again, for where nothing holds a sandbox it is this machine's own.
    let places = "for place in /workspace /mnt/session/outputs /tmp; do \
                  echo x > $place/file && cat $place/file && rm $place/file; done";
    assert_eq!(bash(&*hand, places).await, "x\nx\nx", "they can be written to");
}

pub(super) async fn two_sandboxes_do_not_see_each_other(bench: &Bench) {
    let (one, two) = (bench.hand().await, bench.provision(&spec("two")).await);
    let leave = "echo one | tee /workspace/file /tmp/file /dev/shm/file; sleep 2121.21 > /dev/null 2>&1 &";
    bash(&*one, leave).await;
    let look = "ls -A /workspace /dev/shm /tmp | grep -c '^file$'; \
                cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -c '^2121.21$'; true";
    assert_eq!(bash(&*one, look).await, "3\n1", "what is looked for can be found");
    assert_eq!(bash(&*two, look).await, "0\n0", "and not from the sandbox next door");
}

pub(super) async fn what_was_left_running_ends_with_the_sandbox(bench: &Bench) {
    let hand = bench.hand().await;
    // This process's own, for the same case may run elsewhere at the same time.
    let marker = format!("3131.{}", process::id());
    bash(&*hand, &format!("setsid sleep {marker} > /dev/null 2>&1 < /dev/null &")).await;
    let look = format!("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -c '^{marker}$'");
    assert_eq!(bash(&*hand, &look).await, "1", "it outlives its call");
    bench.sandbox.destroy(ONE, None).await.unwrap();
    // On a kernel of its own it never was a process of this machine's.
    assert!(!runs(&marker), "nothing that was run inside is left on this machine");
}

/// Whether a process of this machine, inside a sandbox or not, has this in its command line.
fn runs(marker: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.into_iter().any(|line| String::from_utf8_lossy(&line).contains(marker))
}

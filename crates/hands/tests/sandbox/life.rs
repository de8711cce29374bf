//! What a hand does for its brain.

use std::{path::Path, process, time::Duration};

use hands::{Found, Lost, Sandbox, Spec};
use tokio::time::timeout;

use crate::bench::{Bench, LIMITS, bash, call, id, look, run, runs, text, until};

#[tokio::test]
async fn a_command_runs_in_the_workspace_as_root_inside() {
    let bench = Bench::new();
    let hand = bench.hand().await;
    assert_eq!(bash(&*hand, "echo hi; id -u; pwd; uname -n").await, "hi\n0\n/workspace\nsandbox");
    bench.end().await;
}

#[tokio::test]
async fn files_and_the_shells_state_stay_between_calls() {
    let bench = Bench::new();
    let hand = bench.hand().await;
    bash(&*hand, "echo kept > /workspace/file; cd /tmp; NAME=value").await;
    assert_eq!(bash(&*hand, "cat /workspace/file; pwd; echo $NAME").await, "kept\n/tmp\nvalue");
    bench.end().await;
}

#[tokio::test]
async fn the_whole_system_can_be_added_to_and_the_host_is_not_changed() {
    let bench = Bench::new();
    let hand = bench.hand().await;
    let program = "/usr/local/bin/stead-test-added";
    bash(&*hand, &format!("printf '#!/bin/sh\\necho added\\n' > {program} && chmod +x {program}")).await;
    assert_eq!(bash(&*hand, "stead-test-added").await, "added");
    let change = "echo '127.0.0.1 changed' >> /etc/hosts && tail -n 1 /etc/hosts";
    assert_eq!(bash(&*hand, change).await, "127.0.0.1 changed");
    assert_eq!(bash(&*hand, "rm /usr/bin/env && test ! -e /usr/bin/env && echo removed").await, "removed");
    let places = "touch /x /opt/x /var/lib/x /srv/x /root/x /home/x /run/x && echo everywhere";
    assert_eq!(bash(&*hand, places).await, "everywhere");
    assert!(!Path::new(program).exists());
    assert!(Path::new("/usr/bin/env").exists());
    bench.end().await;
}

#[tokio::test]
async fn programs_devices_and_terminals_work() {
    let bench = Bench::new();
    let hand = bench.hand().await;
    let said = bash(
        &*hand,
        "head -c 4 /dev/urandom | wc -c; echo x > /dev/null; echo y > /dev/shm/y; cat /dev/shm/y <(echo z); \
                             ls -d /proc/self /dev/pts/ptmx; getent passwd root | cut -d: -f7",
    )
    .await;
    assert_eq!(said, "4\ny\nz\n/dev/pts/ptmx\n/proc/self\n/bin/bash");
    bench.end().await;
}

#[tokio::test]
async fn uploads_are_there_and_read_only() {
    let bench = Bench::new();
    let source = bench.data.path().join("source");
    std::fs::write(&source, "input").unwrap();
    let uploads = vec![(source, "/deep/data.csv".into())];
    let spec = Spec { name: "one".into(), uploads, limits: LIMITS, ..Spec::default() };
    let hand = bench.provision(&spec).await;
    assert_eq!(bash(&*hand, "cat /mnt/session/uploads/deep/data.csv").await, "input");
    for attempt in [
        "echo x > /mnt/session/uploads/new",
        "echo x >> /mnt/session/uploads/deep/data.csv",
        "rm -f /mnt/session/uploads/deep/data.csv",
        "mount -o remount,rw /mnt/session/uploads",
    ] {
        let outcome = run(&*hand, &id(), attempt).await;
        assert!(outcome.is_error, "{attempt}: {outcome:?}");
    }
    assert_eq!(bash(&*hand, "cat /mnt/session/uploads/deep/data.csv").await, "input");

    let later = bench.data.path().join("later");
    std::fs::write(&later, "later").unwrap();
    bench.sandbox.upload(hand.address(), "/new/data.csv", Some(&later)).await.unwrap();
    assert_eq!(bash(&*hand, "cat /mnt/session/uploads/new/data.csv").await, "later");
    bench.sandbox.upload(hand.address(), "/deep/data.csv", None).await.unwrap();
    assert_eq!(bash(&*hand, "ls /mnt/session/uploads").await, "new");
    assert!(bench.sandbox.upload(hand.address(), "/../journal", None).await.is_err());
    bench.end().await;
}

#[tokio::test]
async fn there_is_a_loopback_and_no_other_network() {
    let bench = Bench::new();
    let hand = bench.hand().await;
    // Refused means that a network answered, which only the loopback does; the other has no route, and nothing is sent.
    let said = bash(&*hand, "(exec 3<>/dev/tcp/127.0.0.1/9) 2>&1; (exec 3<>/dev/tcp/1.1.1.1/80) 2>&1").await;
    assert!(said.contains("Connection refused"), "{said}");
    assert!(said.contains("Network is unreachable"), "{said}");
    bench.end().await;
}

#[tokio::test]
async fn outputs_are_listed_and_fetched() {
    let bench = Bench::new();
    let hand = bench.hand().await;
    bash(&*hand, "mkdir /mnt/session/outputs/deep && echo result > /mnt/session/outputs/deep/file.txt").await;
    let (entries, truncated) = hand.outputs().await.unwrap();
    assert_eq!((entries.len(), entries[0].path.as_str(), entries[0].size), (1, "deep/file.txt", 7));
    assert!(!truncated);
    assert_eq!(hand.fetch("deep/file.txt", 2, 100).await.unwrap(), (b"sult\n".to_vec(), true));
    assert!(matches!(hand.fetch("nothing", 0, 1).await, Err(Lost::Refused(_))));
    bench.end().await;
}

#[tokio::test]
async fn a_call_runs_once_however_often_it_is_asked_for() {
    let bench = Bench::new();
    let hand = bench.hand().await;
    let command = "echo run >> /workspace/runs; sleep 0.2; wc -l < /workspace/runs";
    let (one, two) = tokio::join!(run(&*hand, "same", command), run(&*hand, "same", command));
    assert_eq!((text(&one), text(&two)), ("1".into(), "1".into()));
    assert_eq!(text(&run(&*hand, "same", command).await), "1");
    assert_eq!(bash(&*hand, "wc -l < /workspace/runs").await, "1");
    bench.end().await;
}

#[tokio::test]
async fn nobody_waiting_does_not_stop_a_call() {
    let bench = Bench::new();
    let hand = bench.hand().await;
    let call = call("slow", "sleep 0.3; echo slept");
    assert!(timeout(Duration::from_millis(100), hand.execute(call.clone())).await.is_err());
    assert!(matches!(look(&*hand, "slow").await, Found::Running));
    assert_eq!(text(&hand.execute(call).await.unwrap()), "slept");
    assert!(matches!(look(&*hand, "slow").await, Found::Finished { .. }));
    assert!(matches!(look(&*hand, "other").await, Found::NeverReceived));
    bench.end().await;
}

#[tokio::test]
async fn a_cancelled_call_ends_with_its_processes() {
    let bench = Bench::new();
    let hand = bench.hand().await;
    // This process's own, for the same test may run elsewhere at the same time.
    let marker = format!("4242.{}", process::id());
    let command = format!("sleep {marker} & sleep {marker}");
    let waiting = run(&*hand, "long", &command);
    let cancelling = async {
        until("the command runs", || runs(&marker)).await;
        hand.cancel("long").await.unwrap();
    };
    let (outcome, ()) = tokio::join!(waiting, cancelling);
    assert!(outcome.is_error);
    until("its processes end", || !runs(&marker)).await;
    bench.end().await;
}

#[tokio::test]
async fn what_a_command_leaves_running_stays_until_the_sandbox_goes() {
    let bench = Bench::new();
    let hand = bench.hand().await;
    let marker = format!("3131.{}", process::id());
    bash(&*hand, &format!("setsid sleep {marker} > /dev/null 2>&1 < /dev/null &")).await;
    assert_eq!(bash(&*hand, "echo next").await, "next");
    until("it runs", || runs(&marker)).await;
    bench.sandbox.destroy("one", None).await.unwrap();
    assert!(!runs(&marker));
    assert!(matches!(hand.execute(call("late", "echo late")).await, Err(Lost::Gone(_))));
    bench.sandbox.destroy("one", None).await.unwrap();
    assert!(bench.sandbox.kept().await.is_empty());
    bench.end().await;
}

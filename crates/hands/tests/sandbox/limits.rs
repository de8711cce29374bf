//! One sandbox cannot take the machine, nor itself out of use.

use hands::{Hand, Limits};

use crate::bench::{Bench, LIMITS, bash, id, run, text};

async fn is_of_use(hand: &dyn Hand) {
    assert_eq!(bash(hand, "echo alive").await, "alive");
}

#[tokio::test]
async fn a_fork_bomb_is_contained() {
    let bench = Bench::new();
    let hand = bench.hand().await;
    // What it has to say would mix with what the next command says, for it does not end with its call.
    run(&*hand, &id(), "bomb() { bomb | bomb & }; (exec > /dev/null 2>&1; bomb)").await;
    is_of_use(&*hand).await;
    bench.end().await;
}

#[tokio::test]
async fn processes_and_core_files_are_limited_and_address_space_is_not() {
    let bench = Bench::new();
    let hand = bench.hand().await;
    assert_eq!(bash(&*hand, "ulimit -u; ulimit -c; ulimit -v").await, "64\n0\nunlimited");
    bench.end().await;
}

#[tokio::test]
async fn endless_output_is_cut() {
    let bench = Bench::new();
    let hand = bench.hand().await;
    let outcome = run(&*hand, &id(), "yes 0123456789 | head -c 100000000").await;
    assert!(text(&outcome).chars().count() <= 100_000);
    is_of_use(&*hand).await;
    bench.end().await;
}

#[tokio::test]
async fn a_full_disk_is_the_sandboxs_own() {
    let bench = Bench::new();
    let hand = bench.hand().await;
    for place in ["/workspace", "/tmp", "/dev/shm"] {
        let said = bash(&*hand, &format!("dd if=/dev/zero of={place}/big bs=1M count=200 2>&1; rm {place}/big")).await;
        assert!(said.contains("No space left on device"), "{place}: {said}");
    }
    is_of_use(&*hand).await;
    bench.end().await;
}

const OUT_OF_MEMORY: &str = "[the sandbox's memory limit of 128 MiB was reached; processes were ended]";

#[tokio::test]
async fn a_process_over_the_memory_is_ended() {
    let limits = Limits { memory: 128 << 20, ..LIMITS };
    let bench = Bench::new();
    let hand = bench.hand_with(limits).await;
    // `tail` keeps the last line, and here the line never ends.
    let outcome = run(&*hand, &id(), "tail /dev/zero; echo ended with $?").await;
    assert!(text(&outcome).ends_with(&format!("ended with 137\n{OUT_OF_MEMORY}")), "{outcome:?}");
    is_of_use(&*hand).await;
    bench.end().await;
}

#[tokio::test]
async fn without_control_groups_the_watchdog_ends_it() {
    let limits = Limits { memory: 128 << 20, ..LIMITS };
    let mut bench = Bench::new();
    bench.sandbox = bench.sandbox.without_groups();
    let hand = bench.hand_with(limits).await;
    let outcome =
        run(&*hand, &id(), "head -c 400000000 /dev/zero | tail | (sleep 5; cat) | wc -c; echo ${PIPESTATUS[1]}").await;
    assert!(text(&outcome).ends_with(&format!("137\n{OUT_OF_MEMORY}")), "{outcome:?}");
    is_of_use(&*hand).await;
    bench.end().await;
}

#[tokio::test]
async fn a_command_that_meets_a_limit_hears_of_it_and_the_next_one_runs() {
    let bench = Bench::new();
    let hand = bench.hand_with(Limits { open_files: 128, ..LIMITS }).await;
    let threads = "python3 -c 'import threading, time\nfor n in range(200): \
                   threading.Thread(target=time.sleep, args=(1,), daemon=True).start()'";
    let met = [
        ("dd if=/dev/zero of=/workspace/big bs=1M count=200", "[the sandbox's disk limit of 64 MiB is reached]"),
        (
            "rm big; python3 -c 'for n in range(10**6): open(f\"/workspace/{n}\", \"w\").close()'",
            "files and directories",
        ),
        (
            "find /workspace -type f -delete; python3 -c 'all = [open(\"/dev/null\") for n in range(200)]'",
            "[the sandbox's limit of 128 open files in one process is reached]",
        ),
        (threads, "[the sandbox's limit of 64 processes and threads is reached]"),
    ];
    for (command, limit) in met {
        let outcome = run(&*hand, &id(), command).await;
        assert!(outcome.is_error && text(&outcome).contains(limit), "{command}: {outcome:?}");
        is_of_use(&*hand).await;
    }
    bench.end().await;
}

#[tokio::test]
async fn no_call_outlasts_its_time() {
    let bench = Bench::new();
    let hand = bench.hand_with(Limits { call_seconds: 2, ..LIMITS }).await;
    let ended = "the call was ended after 2 seconds, the longest a call may take here";
    for command in ["sleep 300", "trap '' TERM INT; sleep 300 & wait; sleep 300", "mkfifo pipe; grep x pipe"] {
        let outcome = run(&*hand, &id(), command).await;
        assert!(outcome.is_error && text(&outcome).contains(ended), "{command}: {outcome:?}");
        assert_eq!(bash(&*hand, "pgrep -c 'sleep|grep'; true").await, "0", "what it began has ended with it");
    }
    bench.end().await;
}

#[tokio::test]
async fn processes_share_the_processors_that_they_are_given() {
    let bench = Bench::new();
    let report = bench.sandbox.doctor().await;
    let is_bounded = report.facts.iter().any(|fact| fact.part == "processors" && fact.better.is_none());
    let hand = bench.hand_with(Limits { cpus: 250, ..LIMITS }).await;
    let spin = "timeout 2 sh -c 'while :; do :; done'";
    let spent = bash(
        &*hand,
        &format!("{spin} & {spin} & wait; awk '{{print $3 + $4}}' <<< \"$(cut -d' ' -f13-17 /proc/$$/stat)\""),
    )
    .await;
    // In hundredths of a second: half a second is theirs, and without a limit they take two at least on any machine.
    let spent: u32 = spent.parse().expect(&spent);
    assert!(spent > 10, "{spent}");
    assert!(!is_bounded || spent < 120, "{spent}");
    bench.end().await;
}

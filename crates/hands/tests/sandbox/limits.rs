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

#[tokio::test]
async fn a_process_over_the_memory_is_ended() {
    let limits = Limits { memory: 128 << 20, ..LIMITS };
    let bench = Bench::new();
    let hand = bench.hand_with(limits).await;
    // `tail` keeps the last line, and here the line never ends.
    let outcome = run(&*hand, &id(), "tail /dev/zero; echo ended with $?").await;
    assert!(text(&outcome).ends_with("ended with 137"), "{outcome:?}");
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
    assert!(text(&outcome).ends_with("137"), "{outcome:?}");
    is_of_use(&*hand).await;
    bench.end().await;
}

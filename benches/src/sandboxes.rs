//! What a sandbox costs, beside what the machine's own programs take for the same: made through the crate that the server
//! makes them with, with everything on that a session's sandbox has.

mod gvisor;
mod memory;
mod others;
mod room;
mod tools;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use hands::{Hand, Sandbox};
use tokio::time::Instant;

use self::room::{Room, command};
use crate::baseline;
use crate::options::Options;
use crate::table::{Times, against, mib, ms, row};

pub(crate) async fn run(options: &Options) -> Result<()> {
    let room = Room::open(&options.directory).await?;
    let bare = baseline::bash(options.warm_calls)?.median();
    let of_bare = |figure| against("bare `bash -c 'echo hi'`", bare, figure);

    let cold = cold(&room, options.fresh_calls).await?;
    let mut beside = of_bare(cold.median());
    for other in others::all() {
        beside.push_str(&format!("; {}", other.measure(options.fresh_calls)));
    }
    let figure = format!("cold sandbox to its first result, {} of them, median", cold.count());
    row(&figure, &ms(cold.median()), "10 ms", &beside);

    let warm = warm(&room, options.warm_calls).await?;
    let over = (warm.median().as_secs_f64() - bare.as_secs_f64()) * 1e3;
    let figure = format!("a call in a live sandbox over the bare one, {} calls, median", warm.count());
    row(&figure, &format!("{over:+.2} ms"), "1 ms", &of_bare(warm.median()));

    let (saved, restored) = away_and_back(&room, options.wakes).await?;
    row("put away with 1,000 changed files, median", &ms(saved.median()), "100 ms", &of_bare(saved.median()));
    row(
        "brought back with them, to the first result, median",
        &ms(restored.median()),
        "100 ms",
        &of_bare(restored.median()),
    );

    let (one, all) = at_once(&room, 100).await?;
    row("100 at once, each from its start to its first result, median", &ms(one.median()), "", &of_bare(one.median()));
    row("100 at once, until the last had its first result", &ms(all), "", &format!("one alone: {}", ms(cold.median())));

    let each = memory::of_each(&room, 200).await?;
    row("memory of each of 200 live sandboxes, beyond its processes' own", &mib(each.beyond), "2 MiB", "");
    row("memory of each one's processes", &mib(each.processes), "", "daemon and shell, by proportional set size");

    tools::run(&room).await?;
    room.close().await?;
    gvisor::run(options).await
}

async fn cold(room: &Room, repeats: usize) -> Result<Times> {
    let mut times = Times::default();
    for number in 0..repeats {
        let started = Instant::now();
        let hand = room.provision(&format!("cold-{number}"), None).await?;
        command(&*hand, "echo hi").await?;
        times.push(started.elapsed());
        room.sandbox.destroy(&format!("cold-{number}"), None).await?;
    }
    Ok(times)
}

async fn warm(room: &Room, repeats: usize) -> Result<Times> {
    let hand = room.provision("warm", None).await?;
    command(&*hand, "echo hi").await?;
    let mut times = Times::default();
    for _ in 0..repeats {
        let started = Instant::now();
        command(&*hand, "echo hi").await?;
        times.push(started.elapsed());
    }
    room.sandbox.destroy("warm", None).await?;
    Ok(times)
}

/// A thousand small files, changed each time.
const CHANGE: &str = "mkdir -p /workspace/files && cd /workspace/files && for number in $(seq 1000); do \
                      echo \"file $number of $RANDOM\" > file-$number; done";

async fn away_and_back(room: &Room, repeats: usize) -> Result<(Times, Times)> {
    let (mut saved, mut restored) = (Times::default(), Times::default());
    let mut hand = room.provision("resting", None).await?;
    for _ in 0..repeats {
        command(&*hand, CHANGE).await?;
        let started = Instant::now();
        let checkpoint = room.sandbox.rest(hand.address(), 1).await?;
        saved.push(started.elapsed());
        let started = Instant::now();
        let next = room.provision("resting", Some(checkpoint.path)).await?;
        command(&*next, "test -f /workspace/files/file-1000").await?;
        restored.push(started.elapsed());
        room.sandbox.forget(hand.address()).await?;
        hand = next;
    }
    room.sandbox.destroy("resting", None).await?;
    Ok((saved, restored))
}

/// As independent tests of hosted sandboxes do it: all are asked for at once, and each is timed.
async fn at_once(room: &Room, count: usize) -> Result<(Times, Duration)> {
    let started = Instant::now();
    let each = (0..count).map(|number| async move {
        let started = Instant::now();
        let hand = room.provision(&format!("many-{number}"), None).await?;
        command(&*hand, "echo hi").await?;
        anyhow::Ok((hand, started.elapsed()))
    });
    let mut times = Times::default();
    let mut hands: Vec<Box<dyn Hand>> = Vec::new();
    for done in futures::future::join_all(each).await {
        let (hand, took) = done?;
        times.push(took);
        hands.push(hand);
    }
    let all = started.elapsed();
    drop(hands);
    for number in 0..count {
        room.sandbox.destroy(&format!("many-{number}"), None).await?;
    }
    Ok((times, all))
}

/// Whether a program can be started by its name.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|program| program.is_file())
}

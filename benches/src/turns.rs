//! How many turns a second the server completes when many clients talk at once.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::baseline;
use crate::options::Options;
use crate::stage::{Stage, Talk};
use crate::table::{Times, mib, ms, row};

pub(crate) async fn run(options: &Options) -> Result<()> {
    let mut stage = Stage::set(options).await?;
    let mut talks = Vec::new();
    for _ in 0..options.clients {
        let mut talk = stage.talk().await?;
        talk.turn("hi", |_| {}).await?;
        talks.push(talk);
    }
    let resident_before = mib(stage.server.resident()?);
    let lasting = Duration::from_secs(options.seconds);
    let end = Instant::now() + lasting;
    let mut clients = JoinSet::new();
    for talk in talks {
        clients.spawn(converse(talk, end));
    }
    let times = gather(clients).await?;
    let resident = stage.server.resident()?;

    let stub = stage.stub.address;
    let end = Instant::now() + lasting;
    let mut callers = JoinSet::new();
    for _ in 0..options.clients {
        callers.spawn(baseline::model(stub, move |_| Instant::now() >= end));
    }
    let alone = gather(callers).await?;

    let figure = format!("{} clients, each with its session and stream, {} s", options.clients, options.seconds);
    let direct = format!("the stub called directly: {} calls/s", per_second(&alone, lasting));
    row(&format!("{figure}: turns per second"), &per_second(&times, lasting), "1,500", &direct);
    let direct = format!("the stub called directly: {}", ms(alone.median()));
    row(&format!("{figure}: one turn, median"), &ms(times.median()), "", &direct);
    let direct = format!("the stub called directly: {}", ms(alone.p99()));
    row(&format!("{figure}: one turn, 99th percentile"), &ms(times.p99()), "", &direct);
    row(&format!("{figure}: resident memory"), &mib(resident), "", &format!("before: {resident_before}"));
    stage.strike().await
}

/// One client's turns, one after another; the one that `end` cuts does not count.
async fn converse(mut talk: Talk, end: Instant) -> Result<Times> {
    let mut times = Times::default();
    loop {
        let started = Instant::now();
        talk.turn("hi", |_| {}).await?;
        if Instant::now() > end {
            return Ok(times);
        }
        times.push(started.elapsed());
    }
}

async fn gather(mut tasks: JoinSet<Result<Times>>) -> Result<Times> {
    let mut all = Times::default();
    while let Some(times) = tasks.join_next().await {
        all.extend(times.context("a client broke down")??);
    }
    Ok(all)
}

fn per_second(times: &Times, lasting: Duration) -> String {
    format!("{:.0}", times.count() as f64 / lasting.as_secs_f64())
}

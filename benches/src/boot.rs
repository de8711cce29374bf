//! How soon a started server serves, and what it takes while it waits.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Result;
use tokio::process::Command;
use tokio::time::sleep;

use crate::baseline;
use crate::options::Options;
use crate::server::{Server, pid_of, resident};
use crate::stub::Stub;
use crate::table::{Times, mib, ms, row};

/// After which nothing of the start is still under way.
const SETTLED: Duration = Duration::from_secs(2);

pub(crate) async fn run(options: &Options) -> Result<()> {
    let stub = Stub::start().await?;
    let (mut fresh, mut again) = (Times::default(), Times::default());
    for _ in 0..options.starts {
        let server = Server::start(options, &stub).await?;
        fresh.push(server.started_in);
        let server = server.restart(options, &stub).await?;
        again.push(server.started_in);
        server.stop().await?;
    }
    let bare = format!("`true` from start to end: {}", ms(baseline::process(options.starts)?.median()));
    let starts = format!("{} starts, median", options.starts);
    row(&format!("start to /health on an empty directory, {starts}"), &ms(fresh.median()), "100 ms", &bare);
    row(&format!("start to /health on data that is there, {starts}"), &ms(again.median()), "100 ms", &bare);

    let server = Server::start(options, &stub).await?;
    sleep(SETTLED).await;
    let idle = mib(server.resident()?);
    row("resident memory when idle", &idle, "30 MiB", &format!("an idle `sleep`: {}", mib(bare_resident().await?)));
    server.stop().await.map(drop)
}

async fn bare_resident() -> Result<u64> {
    let mut process = Command::new("sleep").arg("60").stdin(Stdio::null()).kill_on_drop(true).spawn()?;
    sleep(Duration::from_millis(100)).await;
    let memory = resident(pid_of(&process)?)?;
    process.kill().await?;
    Ok(memory)
}

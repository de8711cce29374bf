//! What the machine itself takes for the parts that no server can save.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::Instant;

use crate::client::Client;
use crate::table::Times;

const REPEATS: usize = 100;

/// One page written and on the disk: every turn waits for a few of these, or shares them.
pub(crate) fn sync(directory: &Path) -> Result<Duration> {
    let mut file: File = tempfile::tempfile_in(directory)?;
    let page = [0x5a; 4096];
    let mut times = Times::default();
    for _ in 0..REPEATS {
        let started = Instant::now();
        file.write_all(&page)?;
        file.sync_data()?;
        times.push(started.elapsed());
    }
    Ok(times.median())
}

/// `bash -c 'echo hi'` from its start to its end.
pub(crate) fn bash(repeats: usize) -> Result<Times> {
    repeat(repeats, || {
        let output = Command::new("bash").args(["-c", "echo hi"]).stdin(Stdio::null()).output()?;
        ensure!(output.stdout == b"hi\n", "bash did not say hi");
        Ok(())
    })
}

/// The smallest program there is, from its start to its end.
pub(crate) fn process(repeats: usize) -> Result<Times> {
    repeat(repeats, || {
        ensure!(Command::new("true").stdin(Stdio::null()).status()?.success(), "true failed");
        Ok(())
    })
}

fn repeat(repeats: usize, work: impl Fn() -> Result<()>) -> Result<Times> {
    let mut times = Times::default();
    for _ in 0..repeats {
        let started = Instant::now();
        work()?;
        times.push(started.elapsed());
    }
    Ok(times)
}

/// Calls the model stub without a server between, over one connection, until `enough` says so
/// of the number of calls made.
pub(crate) async fn model(stub: SocketAddr, mut enough: impl FnMut(usize) -> bool) -> Result<Times> {
    let mut client = Client::connect(stub).await?;
    let mut times = Times::default();
    while !enough(times.count()) {
        let started = Instant::now();
        client.post("/v1/messages", r#"{"messages":[{"role":"user","content":"hi"}],"stream":true}"#).await?;
        times.push(started.elapsed());
    }
    Ok(times)
}

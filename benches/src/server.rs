//! The server under test: a process of its own on a free port with a fresh data directory.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::client::{Client, KEY};
use crate::options::Options;
use crate::stub::Stub;

/// What the developer's shell may hold and would make another server of it.
const FOREIGN: [&str; 8] = [
    "STEAD_CONFIG",
    "STEAD_DATABASE_URL",
    "STEAD_NATS_URL",
    "STEAD_SANDBOX",
    "STEAD_URL",
    "STEAD_LOG",
    "RUST_LOG",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(15);

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// From the start of the process to the first 200 of `/health`.
    pub(crate) started_in: Duration,
    child: Child,
    pid: Pid,
    /// Holds the data directory and the log; removed at the end.
    home: TempDir,
    variables: Variables,
}

/// Environment variables that one server gets beside those that all of them get.
pub(crate) type Variables = Vec<(&'static str, String)>;

impl Server {
    pub(crate) async fn start(options: &Options, stub: &Stub) -> Result<Self> {
        Self::start_with(options, stub, Variables::new()).await
    }

    pub(crate) async fn start_with(options: &Options, stub: &Stub, variables: Variables) -> Result<Self> {
        Self::start_in(home(options)?, options, stub, variables).await
    }

    /// Stops it and starts it again on the data it had.
    pub(crate) async fn restart(mut self, options: &Options, stub: &Stub) -> Result<Self> {
        let variables = std::mem::take(&mut self.variables);
        let home = self.stop().await?;
        Self::start_in(home, options, stub, variables).await
    }

    /// Asks it to end, as an operator would, and waits. Returns the directory with its data.
    pub(crate) async fn stop(mut self) -> Result<TempDir> {
        kill_process(self.pid, Signal::TERM)?;
        if timeout(STOP, self.child.wait()).await.is_err() {
            bail!("the server did not end within {STOP:?}\n{}", log(self.home.path()));
        }
        Ok(self.home)
    }

    /// Its resident memory, in KiB.
    pub(crate) fn resident(&self) -> Result<u64> {
        resident(self.pid)
    }

    /// Starts it on a directory that holds an earlier server's data, or nothing.
    pub(crate) async fn start_in(home: TempDir, options: &Options, stub: &Stub, variables: Variables) -> Result<Self> {
        let address = free_port()?;
        let log_file = File::create(home.path().join("log"))?;
        let mut command = Command::new(&options.binary);
        command.arg("serve").current_dir(home.path()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(log_file.try_clone()?).stderr(log_file);
        for name in FOREIGN {
            command.env_remove(name);
        }
        command.env("STEAD_LISTEN", address.to_string());
        command.env("STEAD_DATA_DIR", data(home.path()));
        command.env("STEAD_API_KEY", KEY);
        command.env("ANTHROPIC_API_KEY", "x").env("STEAD_ANTHROPIC_BASE_URL", format!("http://{}", stub.address));
        command.env("OPENAI_API_KEY", "x").env("STEAD_OPENAI_BASE_URL", format!("http://{}/v1", stub.address));
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let began = Instant::now();
        let mut child = command.spawn().with_context(|| format!("cannot start {}", options.binary.display()))?;
        while !is_ready(address).await {
            if let Some(status) = child.try_wait()? {
                bail!("the server ended at once with {status}\n{}", log(home.path()));
            }
            if began.elapsed() > START {
                bail!("the server was not ready within {START:?}\n{}", log(home.path()));
            }
            sleep(Duration::from_millis(1)).await;
        }
        let started_in = began.elapsed();
        let pid = pid_of(&child)?;
        Ok(Self { address, started_in, child, pid, home, variables })
    }
}

/// A directory for one server, removed when it is dropped.
pub(crate) fn home(options: &Options) -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("bench-").tempdir_in(&options.directory)?)
}

/// The data directory of the server that lives there.
pub(crate) fn data(home: &Path) -> PathBuf {
    home.join("data")
}

async fn is_ready(address: SocketAddr) -> bool {
    match Client::connect(address).await {
        Ok(mut client) => client.get("/health").await.is_ok(),
        Err(_) => false,
    }
}

/// A port that nothing listens on. Another process could take it before the server does; then the start fails, loudly.
fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

pub(crate) fn pid_of(child: &Child) -> Result<Pid> {
    let id = child.id().context("the process has already ended")?;
    Pid::from_raw(i32::try_from(id)?).context("a process has an id above 0")
}

/// A process's resident memory, in KiB.
pub(crate) fn resident(pid: Pid) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("the kernel tells no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

/// The end of the server's log, for an error to show.
fn log(home: &Path) -> String {
    let text = std::fs::read_to_string(home.join("log")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

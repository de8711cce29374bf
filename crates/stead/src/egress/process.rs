//! `stead gateway`: what the gateway is as a process. Servers start it; nobody else has to.

use std::fs;
use std::io;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

use anyhow::Context;
use gateway::Options;
use rustix::process::DumpableBehavior;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::directory;
use crate::server::allow_descriptors;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The data directory of the server whose sandboxes it serves
    #[arg(long, env = "STEAD_DATA_DIR", default_value = ".stead")]
    data_dir: PathBuf,
    /// In a session of its own, and with nothing that it has inherited
    #[arg(long)]
    detached: bool,
}

impl Arguments {
    /// Leaves whoever started it behind. To be called before anything is opened.
    pub(crate) fn detach(&self) -> anyhow::Result<()> {
        if !self.detached {
            return Ok(());
        }
        close_inherited().context("what was inherited cannot be closed")?;
        // One that leads its session already has what it wants.
        let _ = rustix::process::setsid();
        Ok(())
    }
}

/// Whoever started the server may have left descriptors open for it that were meant for nobody else.
#[allow(unsafe_code, reason = "descriptors that nobody here owns")]
fn close_inherited() -> io::Result<()> {
    let listed = fs::read_dir("/proc/self/fd")?.flatten();
    let numbers = listed.filter_map(|entry| entry.file_name().to_str()?.parse::<RawFd>().ok());
    let inherited: Vec<RawFd> = numbers.filter(|number| *number > 2).collect();
    // The list had one itself, which is closed by now.
    let is_open = |number: &RawFd| Path::new(&format!("/proc/self/fd/{number}")).symlink_metadata().is_ok();
    for number in inherited.into_iter().filter(is_open) {
        // SAFETY: it is open, and as this process has opened nothing yet and has one thread, nothing in it owns it.
        unsafe { rustix::io::close(number) };
    }
    Ok(())
}

/// Runs until it is told to end, or is of no use to anybody any more.
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    allow_descriptors();
    // It has secrets in its memory: nobody who is not root may trace it, and no dump of it is written.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .context("the process cannot be closed to others")?;
    let data_dir = std::path::absolute(&arguments.data_dir).context("the data directory has no absolute path")?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let told = stop.clone();
    let until = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        told.cancel();
        // It is the gateway that ends.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = gateway::run(Options::new(directory(&data_dir)), stop) => Ok(ended?),
        () = until => Ok(()),
    }
}

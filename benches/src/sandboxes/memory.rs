//! What many live sandboxes take of the machine's memory.

use std::collections::HashSet;
use std::fs;

use anyhow::{Context, Result};
use hands::Sandbox;

use super::room::{Room, command};

/// KiB.
pub(super) struct Each {
    pub(super) processes: u64,
    /// What the kernel keeps for it: namespaces, mounts, control groups, sockets.
    pub(super) beyond: u64,
}

pub(super) async fn of_each(room: &Room, count: u64) -> Result<Each> {
    let name = |number| format!("live-{number}");
    let (free, earlier) = (available()?, processes());
    let mut hands = Vec::new();
    for number in 0..count {
        let hand = room.provision(&name(number), None).await?;
        command(&*hand, "echo hi").await?;
        hands.push(hand);
    }
    let own = processes().difference(&earlier).filter_map(|pid| share(*pid)).sum::<u64>();
    let taken = free.saturating_sub(available()?);
    drop(hands);
    for number in 0..count {
        room.sandbox.destroy(&name(number), None).await?;
    }
    Ok(Each { processes: own / count, beyond: taken.saturating_sub(own) / count })
}

fn available() -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    number(line.context("the kernel does not tell how much memory is available")?).context("no number")
}

fn processes() -> HashSet<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The process's proportional set size.
fn share(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    number(text.lines().find_map(|line| line.strip_prefix("Pss:"))?)
}

fn number(text: &str) -> Option<u64> {
    text.trim().trim_end_matches("kB").trim().parse().ok()
}

//! What a sandbox is made of on this machine: for `stead doctor`.

use std::{fmt, time::Duration};

use rustix::process::geteuid;

use super::groups::Groups;

/// What holds each part of a sandbox here, and what would hold it better.
#[derive(Debug, Clone)]
pub struct Report {
    pub facts: Vec<Fact>,
    /// How long a sandbox took from nothing to its first answer, or why there was none.
    pub trial: Result<Duration, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    pub part: &'static str,
    pub how: String,
    /// What an operator can do to have more.
    pub better: Option<&'static str>,
}

impl Report {
    pub(super) fn new(groups: &Groups, trial: Result<Duration, String>) -> Self {
        Self { facts: facts(geteuid().is_root(), groups), trial }
    }
}

fn facts(root: bool, groups: &Groups) -> Vec<Fact> {
    let fact = |part, how: &str, better| Fact { part, how: how.into(), better };
    let users = if root {
        fact("users", "each sandbox has 65,536 users of its own; its root is nobody on this machine", None)
    } else {
        let better = "run the server as root to give each sandbox users of its own";
        let how = "every user inside is the user of this server outside; a file cannot be given to another user, so that \
                   apt and dpkg cannot install";
        fact("users", how, Some(better))
    };
    let memory = match groups {
        Groups::Split { .. } => {
            fact("memory", "control groups (version 1), and a watchdog for the processes' part", None)
        }
        Groups::Unified(_) => {
            fact("memory", "control groups (version 2), and a watchdog for the processes' part", None)
        }
        Groups::Unavailable => {
            let better = if root {
                "mount the memory and pids controllers below /sys/fs/cgroup, writable (in a container: `--cgroupns=host -v \
                 /sys/fs/cgroup:/sys/fs/cgroup`)"
            } else {
                "run the server as root, or as a systemd service with `Delegate=memory pids` and `DelegateSubgroup=server`"
            };
            fact("memory", "only a watchdog, which ends the largest process four times a second", Some(better))
        }
    };
    vec![
        users,
        memory,
        fact("processes", "a limit on processes and threads, counted for each sandbox", None),
        fact("disk", "a memory file system of bounded size: what a sandbox writes, the machine keeps in memory", None),
        fact("files", "this machine's /usr, read-only, below a private layer; no other directory of it", None),
        fact("network", "none but the sandbox's own loopback interface", None),
        fact("kernel", "no capability in any set, no new privileges, a filter on system calls", None),
    ]
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Fact { part, how, better } in &self.facts {
            writeln!(out, "{part:<10} {how}")?;
            if let Some(better) = better {
                writeln!(out, "{:<10} for more: {better}", "")?;
            }
        }
        match &self.trial {
            Ok(time) => write!(out, "{:<10} a sandbox was made and answered in {} ms", "trial", time.as_millis()),
            Err(why) => write!(out, "{:<10} FAILED: {why}", "trial"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_better_is_said_with_the_way_to_it() {
        let report = Report { facts: facts(false, &Groups::Unavailable), trial: Err("user namespace: denied".into()) };
        let text = report.to_string();
        assert!(text.contains("for more: run the server as root"));
        assert!(text.contains("Delegate="));
        assert!(text.ends_with("trial      FAILED: user namespace: denied"));
        let whole = facts(true, &Groups::Unified("/sys/fs/cgroup/stead".into()));
        assert!(whole.iter().all(|fact| fact.better.is_none()));
    }
}

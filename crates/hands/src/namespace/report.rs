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

    /// Puts these in the place of those of the same part.
    pub(super) fn with(mut self, own: Vec<Fact>) -> Self {
        for fact in own {
            match self.facts.iter_mut().find(|other| other.part == fact.part) {
                Some(other) => *other = fact,
                None => self.facts.push(fact),
            }
        }
        self
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
    let more_groups = if root {
        "mount the cpu, memory and pids controllers below /sys/fs/cgroup, writable (in a container: `--cgroupns=host -v \
         /sys/fs/cgroup:/sys/fs/cgroup`)"
    } else {
        "run the server as root, or as a systemd service with `Delegate=cpu memory pids` and `DelegateSubgroup=server`"
    };
    let version = match groups {
        Groups::Split { .. } => Some(1),
        Groups::Unified { .. } => Some(2),
        Groups::Unavailable => None,
    };
    let memory = match version {
        Some(version) => {
            let how = format!("control groups (version {version}), and a watchdog for the processes' part");
            fact("memory", &how, None)
        }
        None => {
            fact("memory", "only a watchdog, which ends the largest process four times a second", Some(more_groups))
        }
    };
    let processors = match version.filter(|_| groups.bound_cpu()) {
        Some(version) => fact("processors", &format!("control groups (version {version}), where a limit is set"), None),
        None => fact("processors", "not bounded: a limit that is set has no effect", Some(more_groups)),
    };
    vec![
        users,
        memory,
        processors,
        fact("processes", "a limit on processes and threads, counted for each sandbox", None),
        fact("disk", "a memory file system of bounded size: what a sandbox writes, the machine keeps in memory", None),
        fact("put away", "idle, its files are saved below the data directory, for this server's user alone", None),
        fact("open files", "the kernel's limit for each process, or the server's own where that is lower", None),
        fact("calls", "timed by the sandbox's daemon, which ends the processes of one that takes too long", None),
        fact("files", "this machine's /usr, read-only, below a private layer; no other directory of it", None),
        fact("network", "its own loopback interface; what its environment allows, by way of the gateway alone", None),
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
        let whole = facts(true, &Groups::Unified { parent: "/sys/fs/cgroup/stead".into(), cpu: true });
        assert!(whole.iter().all(|fact| fact.better.is_none()));
    }

    #[test]
    fn what_differs_takes_the_place_of_the_rest() {
        let report = Report { facts: facts(true, &Groups::Unavailable), trial: Err(String::new()) };
        let own = |part| Fact { part, how: "its own".into(), better: None };
        let (count, report) = (report.facts.len(), report.with(vec![own("kernel"), own("engine")]));
        assert_eq!(report.facts.len(), count + 1);
        assert_eq!(report.facts.iter().filter(|fact| fact.how == "its own").count(), 2);
    }

    #[test]
    fn each_limit_has_its_own_line() {
        let groups = Groups::Split { memory: "/sys/fs/cgroup/memory/stead".into(), pids: None, cpu: None };
        let facts = facts(true, &groups);
        for part in ["memory", "processors", "processes", "disk", "open files", "calls"] {
            assert_eq!(facts.iter().filter(|fact| fact.part == part).count(), 1, "{part}");
        }
        let unbounded: Vec<_> = facts.iter().filter(|fact| fact.better.is_some()).map(|fact| fact.part).collect();
        assert_eq!(unbounded, ["processors"]);
    }
}

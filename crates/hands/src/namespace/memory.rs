//! What the processes of a sandbox hold in memory, found by walking them.

use std::fs;

use super::process::Process;

/// One process's own memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) pid: i32,
    anonymous: u64,
    shared: u64,
}

/// The processes below and including `first`. Every orphan in a pid namespace comes to its first process, so this is all.
pub(super) fn tree(first: i32) -> Vec<i32> {
    let mut found = vec![first];
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        next += 1;
        found.extend(children(pid));
        // A bound, though the kernel allows a sandbox far fewer.
        if found.len() > 100_000 {
            break;
        }
    }
    found
}

fn children(pid: i32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

pub(super) fn usage(processes: &[i32]) -> Vec<Usage> {
    let read = |&pid: &i32| parse(pid, &fs::read_to_string(format!("/proc/{pid}/status")).ok()?);
    processes.iter().filter_map(read).collect()
}

/// Pages of files are not counted, for the kernel takes them back; nor is memory that many processes share more than once.
pub(super) fn sum(usage: &[Usage]) -> u64 {
    let anonymous: u64 = usage.iter().map(|one| one.anonymous).sum();
    anonymous.saturating_add(usage.iter().map(|one| one.shared).max().unwrap_or(0))
}

/// Whom to end: the largest, and the daemon only where it is alone.
pub(super) fn largest(usage: &[Usage], daemon: &Process) -> Option<i32> {
    usage.iter().max_by_key(|one| (one.pid != daemon.pid(), one.anonymous + one.shared)).map(|one| one.pid)
}

fn parse(pid: i32, status: &str) -> Option<Usage> {
    let field = |name: &str| {
        let kibibytes = status.lines().find_map(|line| line.strip_prefix(name)?.strip_suffix(" kB"))?;
        kibibytes.trim().parse::<u64>().ok().map(|kibibytes| kibibytes.saturating_mul(1_024))
    };
    Some(Usage { pid, anonymous: field("RssAnon:")?, shared: field("RssShmem:").unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(pid: i32, anonymous: u64, shared: u64) -> Usage {
        Usage { pid, anonymous, shared }
    }

    #[test]
    fn a_status_file_gives_what_is_the_processs_own() {
        let status =
            "Name:\tx\nVmRSS:\t   200 kB\nRssAnon:\t     100 kB\nRssFile:\t      92 kB\nRssShmem:\t       8 kB\n";
        assert_eq!(parse(7, status), Some(used(7, 102_400, 8_192)));
        assert_eq!(parse(7, "Name:\tkernel thread\n"), None);
    }

    #[test]
    fn what_is_shared_counts_once() {
        assert_eq!(sum(&[used(1, 10, 500), used(2, 20, 500)]), 530);
        assert_eq!(sum(&[]), 0);
    }

    #[test]
    fn the_daemon_is_the_last_to_go() {
        let daemon = Process::find(i32::try_from(std::process::id()).unwrap()).unwrap();
        let own = used(daemon.pid(), 1_000, 0);
        assert_eq!(largest(&[own, used(-1, 10, 0), used(-2, 20, 0)], &daemon), Some(-2));
        assert_eq!(largest(&[own], &daemon), Some(daemon.pid()));
    }

    #[test]
    fn a_child_is_in_its_parents_tree() {
        let mut child = std::process::Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let found = tree(i32::try_from(std::process::id()).unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found.contains(&pid));
    }
}

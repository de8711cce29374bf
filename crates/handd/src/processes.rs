//! Finding and ending processes.
//!
//! A process may leave its group, its session and its parent, but not the sandbox, and not its start time: that is how
//! what a call has started is found. None of this forks or starts a thread, so it works when no process can be made.

use std::{fs, thread, time::Duration};

use rustix::process::{Pid, Signal, child_subreaper, kill_process, kill_process_group};

use crate::clock;

/// Rounds of looking and killing before everything is ended at once.
const ROUNDS: u32 = 50;
/// And for how long.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether this is the first process of its sandbox. Where it is not, the other processes of the machine are none of our
/// business: only those below this one are, where orphans come to it, and else, as in tests, a shell's own group alone.
pub(crate) fn is_init() -> bool {
    std::process::id() == 1
}

/// Whether those who lose their parents become children of this process, which must reap them then.
pub(crate) fn has_orphans() -> bool {
    is_init() || child_subreaper().is_ok_and(|reaper| reaper.is_some())
}

#[derive(Debug, PartialEq, Eq)]
struct Process {
    pid: i32,
    /// 0 of what was started in the sandbox from outside it.
    parent: i32,
    group: i32,
    /// In clock ticks since boot.
    started: u64,
    /// Ended, and not yet reaped.
    dead: bool,
}

/// Ends the shell and every process started at or after `since`, in clock ticks since boot.
pub(crate) fn end_since(since: u64, shell: i32) {
    kill(shell);
    let deadline = clock::now() + PATIENCE;
    for round in 1..=ROUNDS {
        let found = own();
        let mut alive = found.iter().filter(|process| is_victim(process, since, shell)).peekable();
        if alive.peek().is_none() {
            return;
        }
        alive.for_each(|process| kill(process.pid));
        if clock::now() >= deadline {
            break;
        }
        thread::sleep(Duration::from_millis(u64::from(round)));
    }
    // They are made faster than they are found. The kernel ends all of them in one step, and fails their forks.
    end_all(Some(shell));
}

/// Ends every process of the sandbox but this one.
pub(crate) fn end_all(shell: Option<i32>) {
    if is_init() {
        // To the group of pid 1, which the kernel reads as "all that I may signal, but not me".
        let _ = kill_process_group(Pid::INIT, Signal::KILL);
    } else if has_orphans() {
        end_below();
    } else if let Some(group) = shell.and_then(Pid::from_raw).filter(|group| !group.is_init()) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// Ends every process below this one. One after another, so that those who make new ones quickly can outrun it.
fn end_below() {
    for round in 1..=ROUNDS {
        let found = own();
        let mut alive = found.iter().filter(|process| !process.dead).peekable();
        if alive.peek().is_none() {
            return;
        }
        alive.for_each(|process| kill(process.pid));
        thread::sleep(Duration::from_millis(u64::from(round)));
    }
}

/// Ends every process of the sandbox but this one, and waits until they are gone. False if some do not go.
pub(crate) fn clear() -> bool {
    let deadline = clock::now() + PATIENCE;
    while is_init() {
        end_all(None);
        if !list().iter().any(|process| !process.dead && process.pid != 1) {
            break;
        }
        if clock::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

fn is_victim(process: &Process, since: u64, shell: i32) -> bool {
    if process.dead || process.pid == 1 || (is_init() && process.parent == 0) {
        return false;
    }
    process.pid == shell || (process.started >= since && (has_orphans() || process.group == shell))
}

fn kill(pid: i32) {
    // It may have ended by now, which is as good.
    if let Some(pid) = Pid::from_raw(pid).filter(|pid| !pid.is_init()) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Whose child a process is. 0 of what was started in the sandbox from outside it, and of nothing else but pid 1.
pub(crate) fn parent(pid: Pid) -> Option<i32> {
    let stat = fs::read(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
    parse(&String::from_utf8_lossy(&stat)).map(|process| process.parent)
}

/// What may be of the sandbox.
fn own() -> Vec<Process> {
    let all = list();
    if is_init() || !has_orphans() {
        return all;
    }
    below(i32::try_from(std::process::id()).unwrap_or_default(), all)
}

/// The children of a process, theirs, and so on.
fn below(first: i32, mut all: Vec<Process>) -> Vec<Process> {
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![first];
    while !parents.is_empty() {
        let (children, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| parents.contains(&one.parent));
        parents = children.iter().map(|one| one.pid).collect();
        found.extend(children);
        all = rest;
    }
    found
}

fn list() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit))
        .filter_map(|entry| fs::read(entry.path().join("stat")).ok())
        .filter_map(|stat| parse(&String::from_utf8_lossy(&stat)))
        .collect()
}

/// One line of `/proc/PID/stat`. The name in parentheses is the program's own choice and may hold anything, parentheses
/// too, so the fields are counted from the last one.
fn parse(stat: &str) -> Option<Process> {
    let (pid, rest) = stat.split_once(' ')?;
    let (_name, rest) = rest.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let state = *fields.first()?;
    Some(Process {
        pid: pid.parse().ok()?,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
        dead: matches!(state, "Z" | "X"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let stat =
            "42 (a) S 9 (b)) S 7 41 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 1000 20 18446744073709551615";
        assert_eq!(parse(stat), Some(Process { pid: 42, parent: 7, group: 41, started: 123_456, dead: false }));
    }

    #[test]
    fn this_process_is_listed_and_started_before_now() {
        let own = i32::try_from(std::process::id()).unwrap();
        let found = list();
        let process = found.iter().find(|process| process.pid == own).unwrap();
        assert!(process.started <= clock::boot_ticks());
        assert!(!process.dead);
    }

    #[test]
    fn outside_a_sandbox_only_the_shells_group_is_ended() {
        let young = Process { pid: 50, parent: 2, group: 50, started: 9, dead: false };
        assert!(!is_victim(&young, 5, 40));
        assert!(is_victim(&Process { group: 40, ..young }, 5, 40));
    }

    #[test]
    fn below_a_process_are_its_childrens_children_and_nobody_elses() {
        let one = |pid, parent| Process { pid, parent, group: pid, started: 9, dead: false };
        let all = vec![one(12, 11), one(10, 1), one(11, 10), one(20, 1), one(21, 20)];
        let found: Vec<_> = below(10, all).iter().map(|process| process.pid).collect();
        assert_eq!(found, [11, 12]);
    }

    #[test]
    fn what_is_older_than_the_call_stays_and_the_shell_goes() {
        let old = Process { pid: 41, parent: 2, group: 40, started: 4, dead: false };
        assert!(!is_victim(&old, 5, 40));
        assert!(is_victim(&Process { pid: 40, ..old }, 5, 40));
        assert!(!is_victim(&Process { pid: 40, parent: 2, group: 40, started: 4, dead: true }, 5, 40));
    }
}

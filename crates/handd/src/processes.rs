//! Finding and ending processes.
//!
//! A process may leave its group, its session and its parent, but not the sandbox, and not its start time: that is how
//! what a call has started is found. None of this forks or starts a thread, so it works when no process can be made.

use std::{fs, thread, time::Duration};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::clock;

/// Rounds of looking and killing before everything is ended at once.
const ROUNDS: u32 = 50;
/// And for how long.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether this is the first process of its sandbox. Where it is not, as in tests, the other processes of the machine
/// are none of our business, and only a shell's own group is ever touched.
pub(crate) fn is_init() -> bool {
    std::process::id() == 1
}

#[derive(Debug, PartialEq, Eq)]
struct Process {
    pid: i32,
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
        let found = list();
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
    } else if let Some(group) = shell.and_then(Pid::from_raw).filter(|group| !group.is_init()) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

fn is_victim(process: &Process, since: u64, shell: i32) -> bool {
    if process.dead || process.pid == 1 {
        return false;
    }
    process.pid == shell || (process.started >= since && (is_init() || process.group == shell))
}

fn kill(pid: i32) {
    // It may have ended by now, which is as good.
    if let Some(pid) = Pid::from_raw(pid).filter(|pid| !pid.is_init()) {
        let _ = kill_process(pid, Signal::KILL);
    }
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
        assert_eq!(parse(stat), Some(Process { pid: 42, group: 41, started: 123_456, dead: false }));
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
        let young = Process { pid: 50, group: 50, started: 9, dead: false };
        assert!(!is_victim(&young, 5, 40));
        assert!(is_victim(&Process { group: 40, ..young }, 5, 40));
    }

    #[test]
    fn what_is_older_than_the_call_stays_and_the_shell_goes() {
        let old = Process { pid: 41, group: 40, started: 4, dead: false };
        assert!(!is_victim(&old, 5, 40));
        assert!(is_victim(&Process { pid: 40, ..old }, 5, 40));
        assert!(!is_victim(&Process { pid: 40, group: 40, started: 4, dead: true }, 5, 40));
    }
}

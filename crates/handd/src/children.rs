//! Starting and reaping processes.
//!
//! The first process of a sandbox inherits every orphan in it and must reap them all, its own children included. So
//! nothing else here waits for a child: one place reaps, and keeps the exit statuses of the children that it was asked
//! to start.

use std::{
    collections::HashMap,
    io,
    process::Command,
    sync::{Condvar, Mutex},
};

use rustix::{
    io::Errno,
    process::{self, Pid, WaitId, WaitIdOptions, WaitOptions, WaitStatus},
};

use crate::{
    processes,
    sync::{self, lock},
};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Exited(i32),
    Killed(i32),
}

pub(crate) struct Children {
    state: Mutex<State>,
    spawned: Condvar,
    /// Reap whatever has ended, not just what was started here. To tests no orphans come, and they must not.
    all: bool,
}

#[derive(Default)]
struct State {
    watched: HashMap<i32, Option<Ended>>,
    spawns: u64,
}

impl Children {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::default(), spawned: Condvar::new(), all: processes::has_orphans() }
    }

    /// Starts a process and watches for its end. Nothing is reaped meanwhile: when the program cannot be executed, the
    /// standard library itself waits for the child, and panics if somebody else has.
    #[allow(clippy::zombie_processes, reason = "the reaper waits for it")]
    pub(crate) fn spawn(&self, command: &mut Command) -> io::Result<i32> {
        let mut state = lock(&self.state);
        let child = command.spawn()?;
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        state.watched.insert(pid, None);
        state.spawns += 1;
        self.spawned.notify_all();
        Ok(pid)
    }

    /// How a process from [`Self::spawn`] has ended, if it has.
    pub(crate) fn ended(&self, pid: i32) -> Option<Ended> {
        let mut state = lock(&self.state);
        self.collect(&mut state);
        state.watched.get(&pid).copied().flatten()
    }

    /// The end of this process interests nobody any more.
    pub(crate) fn forget(&self, pid: i32) {
        lock(&self.state).watched.remove(&pid);
    }

    /// Reaps for ever. Run by whoever orphans come to, on a thread of its own.
    pub(crate) fn reap(&self) {
        loop {
            let seen = lock(&self.state).spawns;
            // Only looks: the reaping itself is under the lock, so that it never meets a `spawn` half done.
            match process::waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Ok(_) => self.collect(&mut lock(&self.state)),
                Err(Errno::INTR) => {}
                // No child, so no descendant either, for orphans would be ours: nothing can end before the next spawn.
                Err(_) => {
                    let mut state = lock(&self.state);
                    while state.spawns == seen {
                        state = sync::wait(&self.spawned, state);
                    }
                }
            }
        }
    }

    fn collect(&self, state: &mut State) {
        if self.all {
            while let Ok(Some((pid, status))) = process::wait(WaitOptions::NOHANG) {
                if let Some(end) = state.watched.get_mut(&pid.as_raw_pid()) {
                    *end = how(status);
                }
            }
            return;
        }
        for (pid, end) in &mut state.watched {
            if end.is_some() {
                continue;
            }
            if let Some(pid) = Pid::from_raw(*pid)
                && let Ok(Some((_, status))) = process::waitpid(Some(pid), WaitOptions::NOHANG)
            {
                *end = how(status);
            }
        }
    }
}

fn how(status: WaitStatus) -> Option<Ended> {
    status.exit_status().map(Ended::Exited).or_else(|| status.terminating_signal().map(Ended::Killed))
}

#[cfg(test)]
mod tests {
    use std::{process::Stdio, thread, time::Duration};

    use super::*;

    fn end_of(children: &Children, pid: i32) -> Ended {
        loop {
            if let Some(ended) = children.ended(pid) {
                return ended;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn an_exit_status_is_kept_until_it_is_asked_for() {
        let children = Children::new();
        let pid = children.spawn(Command::new("/bin/sh").args(["-c", "exit 5"])).unwrap();
        assert_eq!(end_of(&children, pid), Ended::Exited(5));
        assert_eq!(children.ended(pid), Some(Ended::Exited(5)));
        children.forget(pid);
        assert_eq!(children.ended(pid), None);
    }

    #[test]
    fn a_signal_is_told_from_a_status() {
        let children = Children::new();
        let pid = children.spawn(Command::new("/bin/sh").args(["-c", "kill -9 $$"]).stdin(Stdio::null())).unwrap();
        assert_eq!(end_of(&children, pid), Ended::Killed(9));
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        assert!(Children::new().spawn(&mut Command::new("/nowhere/program")).is_err());
    }
}

//! A process that is known again after this server has restarted, and never taken for another one.

use std::{fs, io, os::fd::OwnedFd};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, waitpid},
};
use serde::{Deserialize, Serialize};

/// A pid comes round again; a pid with the moment it started, within one boot, does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    pid: i32,
    /// Clock ticks since boot.
    started: u64,
    boot: String,
}

impl Process {
    pub(super) fn find(pid: i32) -> io::Result<Self> {
        Ok(Self { pid, started: started(pid)?, boot: boot()? })
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    pub(super) fn is_alive(&self) -> bool {
        self.life().is_some()
    }

    /// Kills it. One that has ended already is no error.
    pub(super) fn kill(&self) -> io::Result<()> {
        self.hold().map_or(Ok(()), |process| send(&process, Signal::KILL))
    }

    /// Has it do nothing more until it is killed. One that has ended already is no error.
    pub(super) fn halt(&self) -> io::Result<()> {
        self.hold().map_or(Ok(()), |process| send(&process, Signal::STOP))
    }

    /// Kills it, and waits for its end.
    pub(super) fn end(&self) -> io::Result<()> {
        let Some(process) = self.hold() else { return Ok(()) };
        send(&process, Signal::KILL)?;
        if !ends_within(&process, 10) {
            return Err(io::Error::other(format!("process {} was killed and does not end", self.pid)));
        }
        // Orphans come to this server if it is itself the first process of a container. Elsewhere there is nothing to reap.
        if let Some(pid) = Pid::from_raw(self.pid) {
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
        Ok(())
    }

    /// What becomes readable when it has ended. None if it has.
    pub(super) fn life(&self) -> Option<OwnedFd> {
        self.hold().filter(|process| !ends_within(process, 0))
    }

    /// A descriptor for this very process. Compared after it is opened: from then on the pid cannot come round.
    fn hold(&self) -> Option<OwnedFd> {
        let process = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        let same = Self::find(self.pid).is_ok_and(|found| found == *self);
        same.then_some(process)
    }
}

fn send(process: &OwnedFd, signal: Signal) -> io::Result<()> {
    match pidfd_send_signal(process, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// A process descriptor becomes readable when the process has ended, reaped or not.
fn ends_within(process: &OwnedFd, seconds: i64) -> bool {
    let limit = Timespec { tv_sec: seconds, tv_nsec: 0 };
    loop {
        match poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&limit)) {
            Err(Errno::INTR) => {}
            ended => return ended.is_ok_and(|ready| ready > 0),
        }
    }
}

fn started(pid: i32) -> io::Result<u64> {
    let stat = fs::read(format!("/proc/{pid}/stat"))?;
    parse(&String::from_utf8_lossy(&stat))
        .ok_or_else(|| io::Error::other("the kernel's list of processes is not readable"))
}

/// The 22nd field. The second is the program's name, in parentheses, and may hold anything: counted from its end.
fn parse(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

fn boot() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_name_cannot_shift_the_start_time() {
        let stat =
            "42 (a) S 9 (b)) S 7 41 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 1000 20 18446744073709551615";
        assert_eq!(parse(stat), Some(123_456));
        assert_eq!(parse("42 nonsense"), None);
    }

    #[test]
    fn a_process_is_ended_once_and_is_then_gone() {
        let mut child = Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let process = Process::find(i32::try_from(child.id()).unwrap()).unwrap();
        assert!(process.is_alive());
        process.end().unwrap();
        assert!(!process.is_alive());
        process.end().unwrap();
        let _ = child.wait();
    }

    #[test]
    fn another_process_under_the_same_pid_is_left_alone() {
        let mut child = Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let process = Process::find(i32::try_from(child.id()).unwrap()).unwrap();
        let earlier = Process { started: process.started - 1, ..process.clone() };
        assert!(!earlier.is_alive());
        earlier.end().unwrap();
        assert!(process.is_alive());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

//! One run of the guest.

use std::{
    fs,
    io::{self, PipeReader, Read, Write},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::Command,
};

use hand_protocol::{
    JOURNAL_FD, LISTENER_FD,
    guest::{BUNDLE, KERNEL, Kind, LIBRARIES, Porter, STATE},
};
use rustix::{
    io::{DupFlags, Errno, FdFlags, dup2, dup3, fcntl_setfd},
    process::{self, Pid, WaitOptions, WaitStatus},
};

use super::guard::Watched;
use crate::{processes, sync};

/// Bytes of what the daemon says that come into the log.
const SAID: usize = 16 << 10;

/// Characters of the guest's own log that are quoted.
const WORDS: usize = 500;

/// How many descriptors after the standard ones a container runtime passes on: the entrance and the journal.
const PASSED: i32 = JOURNAL_FD - LISTENER_FD + 1;

pub(super) struct Kernel(Pid);

pub(super) struct End(WaitStatus);

/// Starts the guest and the daemon on it. Returns the way in to the daemon too. `entrance` has the number at which the
/// daemon expects that.
pub(super) fn start(
    told: &Porter,
    round: u32,
    journal: &OwnedFd,
    entrance: &mut OwnedFd,
) -> io::Result<(Kernel, UnixStream)> {
    let (inside, theirs) = UnixStream::pair()?;
    let name = format!("hand{round}");
    let (pid, log) = (format!("{STATE}/{name}.pid"), format!("{STATE}/{name}.log"));
    let pass = |from: i32, to: i32| format!("--pass-fd={from}:{to}");
    // Anybody inside can write to what the daemon has for its standard error.
    let (said, say) = io::pipe()?;
    let mut command = Command::new(KERNEL);
    command
        .args(&told.arguments)
        .args([format!("--root={STATE}"), format!("--log={log}")])
        .args(["run", "--detach"])
        .args([format!("--bundle={BUNDLE}"), format!("--pid-file={pid}")])
        .env_clear();
    match told.kind {
        Kind::Kernel => {
            fcntl_setfd(&theirs, FdFlags::empty())?;
            command.args([pass(theirs.as_raw_fd(), LISTENER_FD), pass(journal.as_raw_fd(), JOURNAL_FD)]);
        }
        Kind::Runtime => {
            dup2(&theirs, entrance)?;
            command.arg(format!("--preserve-fds={PASSED}")).env("LD_LIBRARY_PATH", LIBRARIES);
        }
    }
    fcntl_setfd(journal, FdFlags::empty())?;
    let status = command.arg(name).stdout(say.try_clone()?).stderr(say).status()?;
    fcntl_setfd(journal, FdFlags::CLOEXEC)?;
    if told.kind == Kind::Runtime {
        // The daemon's end is the daemon's alone: whoever passes a connection in sees then when there is nobody.
        dup3(journal, entrance, DupFlags::CLOEXEC)?;
    }
    if !status.success() {
        return Err(io::Error::other(format!("{status}: {}", last_words(&log))));
    }
    let pid = fs::read_to_string(pid)?.trim().parse().ok().and_then(Pid::from_raw);
    sync::spawn("complaints", move || repeat(said))?;
    pid.map(|pid| (Kernel(pid), inside)).ok_or_else(|| io::Error::other("it has told no process id"))
}

impl Kernel {
    pub(super) fn pid(&self) -> Pid {
        self.0
    }

    /// Waits for its end, and for that of all it has left behind. Reaps whatever else ends meanwhile.
    pub(super) fn wait(&self, watched: &Watched) -> io::Result<End> {
        let mut end = None;
        loop {
            match process::wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) if pid == self.0 => {
                    watched.set(None);
                    processes::end_all(None);
                    end = Some(status);
                }
                Ok(_) | Err(Errno::INTR) => {}
                // Nobody is left.
                Err(errno) => return end.map(End).ok_or_else(|| errno.into()),
            }
        }
    }
}

impl End {
    /// The daemon has ended because it was to, and the kernel with it.
    pub(super) fn is_deliberate(&self) -> bool {
        self.0.exit_status() == Some(0)
    }
}

/// Repeats the first of what is said inside, and drops the rest.
fn repeat(mut said: PipeReader) {
    let mut left = SAID;
    let mut piece = [0; 4_096];
    while let Ok(read @ 1..) = said.read(&mut piece) {
        let kept = read.min(left);
        left -= kept;
        let _ = io::stderr().write_all(piece.get(..kept).unwrap_or_default());
    }
}

fn last_words(log: &str) -> String {
    let log = fs::read_to_string(log).unwrap_or_default();
    let words = log.trim().replace('\n', "; ");
    let cut = words.chars().count().saturating_sub(WORDS);
    words.chars().skip(cut).collect()
}

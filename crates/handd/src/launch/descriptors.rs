//! Descriptors, and the two forks that copy them.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd},
        unix::{fs::OpenOptionsExt, net::UnixListener},
    },
    path::Path,
};

use hand_protocol::{JOURNAL_FD, LEFT, LEFT_FD, LISTENER_FD, MAX_SOCKETS, SOCKETS_FD, Socket, UPPER_FD, USR_UPPER_FD};
use rustix::{
    fs::Mode,
    process::{self, Pid},
};

use super::failure::{At, Failure};
use crate::layer::Layer;

const DIRECTORY: &str = "the hand's directory";
const NULL: &str = "/dev/null";

/// Closes whatever the server has let through, and keeps the daemon's numbers from being given to anything else.
pub(super) fn reset() -> io::Result<()> {
    close_range(LISTENER_FD, 0)?;
    for number in LISTENER_FD..SOCKETS_FD + MAX_SOCKETS {
        let held = File::open(NULL)?.into_raw_fd();
        if held != number {
            return Err(io::Error::other(format!("descriptor {held} where {number} was free")));
        }
    }
    Ok(())
}

/// What the daemon holds of the host. Opened before there is a sandbox, and reached by nothing inside but the daemon.
pub(super) struct Files {
    listener: OwnedFd,
    journal: OwnedFd,
    left: OwnedFd,
}

impl Files {
    pub(super) fn open(directory: &Path) -> Result<Self, Failure> {
        // Relative, because the whole path may be longer than a socket's address can be.
        process::chdir(directory).at(DIRECTORY)?;
        process::umask(Mode::from_raw_mode(0o077));
        match fs::remove_file("socket") {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).at(DIRECTORY),
            _ => {}
        }
        let listener = UnixListener::bind("socket").at("socket")?;
        let mut options = OpenOptions::new();
        let journal = options.read(true).append(true).create(true).mode(0o600).open("journal").at("journal")?;
        let left = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(LEFT).at(LEFT)?;
        process::chdir("/").at(DIRECTORY)?;
        Ok(Self { listener: listener.into(), journal: journal.into(), left: left.into() })
    }

    /// Puts everything where the daemon expects it; all else is closed when its program is executed.
    pub(super) fn place(self, layer: Option<&Layer>, sockets: &[(Socket, OwnedFd)]) -> io::Result<()> {
        let null = File::open(NULL)?;
        copy(null.as_raw_fd(), 0)?;
        // Standard output still leads to the host's ear; what the daemon says belongs in its log.
        copy(2, 1)?;
        copy(self.listener.as_raw_fd(), LISTENER_FD)?;
        copy(self.journal.as_raw_fd(), JOURNAL_FD)?;
        if let Some(layer) = layer {
            copy(layer.root.as_raw_fd(), UPPER_FD)?;
            copy(self.left.as_raw_fd(), LEFT_FD)?;
        }
        if let Some(usr) = layer.and_then(|layer| layer.usr.as_ref()) {
            copy(usr.as_raw_fd(), USR_UPPER_FD)?;
        }
        let mut next = SOCKETS_FD;
        for (_, socket) in sockets.iter().take(MAX_SOCKETS.unsigned_abs() as usize) {
            copy(socket.as_raw_fd(), next)?;
            next += 1;
        }
        close_range(next, libc::CLOSE_RANGE_CLOEXEC)
    }
}

/// `None` in the child.
#[allow(unsafe_code, reason = "a fork has no safe form")]
pub(super) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: this process has one thread, so no other can hold a lock at the moment of the copy.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(Pid::from_raw(pid)),
    }
}

#[allow(unsafe_code, reason = "dup2 onto a fixed number has no safe form")]
fn copy(from: RawFd, to: RawFd) -> io::Result<()> {
    // SAFETY: `to` is a standard stream or one of the numbers held by `reset`, which no Rust value owns.
    if unsafe { libc::dup2(from, to) } < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[allow(unsafe_code, reason = "neither std nor rustix has close_range")]
fn close_range(first: RawFd, flags: libc::c_uint) -> io::Result<()> {
    // SAFETY: called before this program has opened anything, and, to mark rather than close, right before an exec.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, flags) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

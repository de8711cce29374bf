//! Starts the launcher: `handd` itself, which this server carries inside it.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    process::{ChildStdout, Command, Stdio},
    sync::OnceLock,
};

use hand_protocol::{Launch, Launched};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{MemfdFlags, Mode, SealFlags, fchmod, fcntl_add_seals, memfd_create},
    io::Errno,
};

use crate::ProvisionError;

/// Built for this target by the build script.
pub(crate) static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/handd"));

/// Seconds. It takes milliseconds.
const PATIENCE: i64 = 20;

/// Bytes a second that files come back with at least, many small ones beside other sandboxes' included.
const RESTORED: u64 = 16 << 20;

/// What the launcher says is a few lines; more is not from it.
const LONGEST: u64 = 64 << 10;

/// Makes the sandbox and returns its daemon's pid. What goes wrong before the launcher can speak for itself goes to `log`.
///
/// Nothing runs in this process between the fork and the exec, so that it is not copied however large it is.
pub(super) fn launch(launch: &Launch, log: File) -> Result<i32, ProvisionError> {
    let failed = |what: &str, error: io::Error| ProvisionError::Failed(format!("{what}: {error}"));
    let config =
        serde_json::to_vec(launch).map_err(|error| failed("its configuration cannot be sent", error.into()))?;
    let program = program().map_err(|error| failed("handd cannot be put in memory", error))?;

    let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
    command.arg("launch").env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
    let mut child = command.spawn().map_err(|error| failed("handd cannot be executed", error))?;
    let said = match (child.stdin.take(), child.stdout.take()) {
        // Far less than a pipe holds, so this cannot block.
        (Some(mut stdin), Some(stdout)) => stdin.write_all(&config).and_then(|()| {
            drop(stdin);
            listen(stdout, patience(launch))
        }),
        _ => Err(io::Error::other("it has no pipes")),
    };
    let said = said.inspect_err(|_| {
        let _ = child.kill();
    });
    let ended = child.wait();
    let said = said.map_err(|error| failed("the launcher does not answer", error))?;
    match serde_json::from_slice(&said) {
        Ok(Launched::Ready { pid }) => Ok(pid),
        Ok(Launched::Failed { step, reason }) => Err(ProvisionError::Unsupported { step, reason }),
        Err(_) => Err(ProvisionError::Failed(format!("the launcher ended without an answer: {ended:?}"))),
    }
}

/// Files of an earlier sandbox take their time, and nothing is said meanwhile.
fn patience(launch: &Launch) -> i64 {
    let more = launch.restore.as_ref().map_or(0, |_| PATIENCE as u64 + launch.limits.disk / RESTORED);
    PATIENCE.saturating_add_unsigned(more)
}

/// Everything up to the end, which comes when launcher and daemon have both let go of the pipe.
fn listen(mut from: ChildStdout, patience: i64) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    let mut piece = [0; 4_096];
    loop {
        wait(&from, patience)?;
        match from.read(&mut piece)? {
            0 => return Ok(said),
            read => said.extend(piece.iter().take(read)),
        }
        if said.len() as u64 > LONGEST {
            return Err(io::Error::other("it says too much"));
        }
    }
}

fn wait(from: &impl AsFd, patience: i64) -> io::Result<()> {
    let limit = Timespec { tv_sec: patience, tv_nsec: 0 };
    loop {
        match poll(&mut [PollFd::new(from, PollFlags::IN)], Some(&limit)) {
            Err(Errno::INTR) => {}
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            result => return result.map(|_| ()).map_err(io::Error::from),
        }
    }
}

/// The program as an executable file that is in no directory. Made once: sealed, it stays what it is.
fn program() -> io::Result<&'static OwnedFd> {
    static FILE: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(file) = FILE.get() {
        return Ok(file);
    }
    let made = make()?;
    Ok(FILE.get_or_init(|| made))
}

fn make() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = match memfd_create("handd", flags | MemfdFlags::EXEC) {
        // A kernel before 6.3, where any such file may be executed.
        Err(Errno::INVAL) => memfd_create("handd", flags)?,
        made => made?,
    };
    let mut file = File::from(file);
    file.write_all(PROGRAM)?;
    // To be executed and not to be read: the kernel then lets nobody look into a process that runs it.
    fchmod(&file, Mode::from_raw_mode(0o111))?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `PT_INTERP`.
    const INTERPRETER: usize = 3;

    #[test]
    fn the_program_is_a_sealed_static_executable() {
        let file = program().unwrap();
        assert!(PROGRAM.starts_with(b"\x7fELF\x02\x01"), "a 64-bit, little-endian program");
        // A dynamic program has a header that names its loader, which need not be there inside.
        let number = |at: usize, bytes: usize| {
            PROGRAM[at..at + bytes].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
        };
        let (first, size, count) = (number(32, 8), number(54, 2), number(56, 2));
        assert!((0..count).all(|index| number(first + index * size, 4) != INTERPRETER));
        assert_eq!(rustix::io::write(file, b"x"), Err(Errno::PERM));
        assert_eq!(std::ptr::from_ref(file), std::ptr::from_ref(program().unwrap()));
    }
}

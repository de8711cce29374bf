//! One shell process, and how commands are put to it.
//!
//! Its standard input is a socket, on which it reads commands and writes the status of each. A command runs with its
//! input from `/dev/null`, so the socket is out of its reach: the shell keeps a copy above descriptor 9 meanwhile,
//! closed on exec. Output is a pipe for both streams, and nothing in it can be taken for the end of a command.

use std::{
    io::{self, ErrorKind, PipeWriter, Read, Write},
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    path::Path,
    process::{Command, Stdio},
};

use rustix::rand::{GetRandomFlags, getrandom};

use super::{BASH, SH};
use crate::{children::Children, places::Places};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// A status report is short. Anything longer on the socket is noise that something has written there by hand.
const LONGEST_REPORT: usize = 4_096;

pub(super) struct Session {
    pub(super) pid: i32,
    control: UnixStream,
    unsent: Vec<u8>,
    heard: Vec<u8>,
    /// Names the report of the command that runs now.
    mark: String,
    closed: bool,
}

impl Session {
    pub(super) fn start(places: &Places, children: &Children, output: &PipeWriter) -> io::Result<Self> {
        let (control, theirs) = UnixStream::pair()?;
        control.set_nonblocking(true)?;
        let (program, name, options) = program();
        let directory = if places.workspace.is_dir() { places.workspace.as_path() } else { Path::new("/") };
        let mut command = Command::new(program);
        command
            .arg0(name)
            .args(options)
            .current_dir(directory)
            .env_clear()
            .env("HOME", &places.home)
            .envs([("PATH", PATH), ("TERM", "dumb"), ("LANG", "C.UTF-8"), ("PS1", ""), ("PS2", "")])
            .envs([("USER", "root"), ("LOGNAME", "root"), ("SHELL", program)])
            .envs(places.environment.iter().map(|(name, value)| (name, value)))
            .process_group(0)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(output.try_clone()?))
            .stderr(Stdio::from(output.try_clone()?));
        // The command is dropped on return, and the shell's end of the socket with it: its closing is the shell's end.
        let pid = children.spawn(&mut command)?;
        Ok(Self { pid, control, unsent: Vec::new(), heard: Vec::new(), mark: String::new(), closed: false })
    }

    /// Puts a command to the shell. [`Self::hear`] tells of its end.
    pub(super) fn send(&mut self, command: &str) {
        self.mark = mark();
        self.heard.clear();
        self.unsent.extend_from_slice(script(command, &self.mark).as_bytes());
        self.flush();
    }

    /// Writes as much as the socket takes now.
    pub(super) fn flush(&mut self) {
        match self.control.write(&self.unsent) {
            Ok(written) => {
                self.unsent.drain(..written.min(self.unsent.len()));
            }
            Err(error) if is_later(&error) => {}
            Err(_) => self.closed = true,
        }
    }

    /// The command's exit status, once the shell has reported it.
    pub(super) fn hear(&mut self) -> Option<i32> {
        let mut piece = [0; 512];
        match self.control.read(&mut piece) {
            Ok(0) => self.closed = true,
            Ok(read) => self.heard.extend_from_slice(piece.get(..read).unwrap_or_default()),
            Err(error) if is_later(&error) => {}
            // Reset: the shell ended with commands unread.
            Err(_) => self.closed = true,
        }
        let status = reported(&self.heard, &self.mark);
        if self.heard.len() > LONGEST_REPORT {
            self.heard.clear();
        }
        status
    }

    /// The socket to wait on, and whether there is something to write to it; none once the other end is closed.
    pub(super) fn waiting(&self) -> Option<(&UnixStream, bool)> {
        (!self.closed).then_some((&self.control, !self.unsent.is_empty()))
    }
}

fn program() -> (&'static str, &'static str, &'static [&'static str]) {
    if Path::new(BASH).exists() { (BASH, "bash", &["--noprofile", "--norc"]) } else { (SH, "sh", &[]) }
}

/// All on one line: after a syntax error in what it evaluates, bash misreads the first word of the line that follows.
/// The report's own errors and traces (`set -x`) go nowhere.
fn script(command: &str, mark: &str) -> String {
    let quoted = command.replace('\'', r"'\''");
    format!("\\command eval '{quoted}' </dev/null; {{ printf '\\n%s %d\\n' {mark} \"$?\" >&0; }} 2>/dev/null\n")
}

/// New for each command, and not to be guessed: a command that finds the socket after all still cannot report for
/// itself.
fn mark() -> String {
    let mut random = [0_u8; 16];
    // Without randomness the mark is merely easier to guess.
    let _ = getrandom(&mut random, GetRandomFlags::empty());
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn reported(heard: &[u8], mark: &str) -> Option<i32> {
    let heard = String::from_utf8_lossy(heard);
    heard
        .split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n'))
        .find_map(|line| line.strip_prefix(mark)?.trim().parse().ok())
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_cannot_end_its_own_quotes() {
        assert_eq!(
            script("echo 'it''s'", "m"),
            "\\command eval 'echo '\\''it'\\'''\\''s'\\''' </dev/null; { printf '\\n%s %d\\n' m \"$?\" >&0; } 2>/dev/null\n"
        );
    }

    #[test]
    fn a_report_is_a_whole_line_with_the_right_mark() {
        assert_eq!(reported(b"\nabc 7\n", "abc"), Some(7));
        assert_eq!(reported(b"noise\nabc 7", "abc"), None);
        assert_eq!(reported(b"\nabd 0\nabc 130\n", "abc"), Some(130));
        assert_eq!(reported(b"\nabc x\n", "abc"), None);
    }

    #[test]
    fn every_mark_is_another() {
        assert_ne!(mark(), mark());
        assert_eq!(mark().len(), 32);
    }
}

//! `handd relay SOCKET`: carries its standard input to the daemon of a house, and back what the daemon says.
//!
//! A container engine starts it in the sandbox, and gives its streams to the host. It ends with either side.

use std::{
    fs::File,
    io::{self, ErrorKind, Read, Write},
    net::Shutdown,
    os::{fd::AsFd, unix::net::UnixStream},
    path::Path,
    process::ExitCode,
    thread,
    time::Duration,
};

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use crate::{clock, complain, sync};

/// For a daemon that is just being started.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);

pub(crate) fn main(mut arguments: impl Iterator<Item = String>) -> ExitCode {
    match relay(Path::new(&arguments.next().unwrap_or_default())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("relay: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn relay(socket: &Path) -> io::Result<()> {
    // What passes through here is nobody's inside.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let daemon = reach(socket)?;
    // Copies of the descriptors: the library's own streams would hold half a frame back.
    let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let questions = daemon.try_clone()?;
    sync::spawn("questions", move || {
        let _ = carry(input, &questions);
        // Nobody is there any more who would hear an answer.
        let _ = questions.shutdown(Shutdown::Both);
    })?;
    carry(&daemon, output)
}

fn reach(socket: &Path) -> io::Result<UnixStream> {
    let deadline = clock::now() + PATIENCE;
    loop {
        match UnixStream::connect(socket) {
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
                    && clock::now() < deadline =>
            {
                thread::sleep(PAUSE);
            }
            reached => return reached,
        }
    }
}

/// Passes on whatever has come, as it comes, to the end.
fn carry(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut piece = vec![0; 64 << 10];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) => to.write_all(piece.get(..read).unwrap_or_default())?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

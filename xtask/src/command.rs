//! Child processes: what is run is printed first, so that a failing step can be repeated by hand.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};

/// A command in the workspace's root. Make's own variables are dropped: a job server of an outer make is not ours.
pub(crate) fn command(root: &Path, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root).env_remove("MAKEFLAGS").env_remove("MFLAGS").env_remove("MAKELEVEL");
    command
}

/// The cargo that started us, or the one on the path.
pub(crate) fn cargo(root: &Path) -> Command {
    command(root, std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs to the end with our own standard streams; an exit code other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    announce(command)?;
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    ensure!(status.success(), "{} ended with {status}", shown(command));
    Ok(())
}

/// Runs to the end and hands each line of standard output to `line`, which says whether to print it. Returns whether
/// the exit code was 0: a caller that counts failures wants the count, not an error.
pub(crate) fn watch(command: &mut Command, line: impl FnMut(&str) -> bool) -> Result<bool> {
    announce(command)?;
    let child = command.stdout(Stdio::piped()).spawn();
    let mut child = child.with_context(|| format!("cannot start {}", shown(command)))?;
    let forwarded = child.stdout.take().map_or(Ok(()), |output| forward(output, line));
    // Waited for even when its output could not be passed on, so that no process is left behind.
    let status = child.wait()?;
    forwarded?;
    Ok(status.success())
}

fn forward(output: ChildStdout, mut line: impl FnMut(&str) -> bool) -> Result<()> {
    let mut reader = BufReader::new(output);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes)? > 0 {
        if line(String::from_utf8_lossy(&bytes).trim_end()) {
            std::io::stdout().write_all(&bytes)?;
        }
        bytes.clear();
    }
    Ok(())
}

fn announce(command: &Command) -> Result<()> {
    println!("    $ {}", shown(command));
    std::io::stdout().flush().context("standard output is closed")
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let mut text = program.to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

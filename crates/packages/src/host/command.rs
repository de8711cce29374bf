//! Asking the host's own tools.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A tool that starts a runtime first takes a second or two on a busy machine. One that takes longer waits for the
/// network or for an answer at a terminal, and is done without.
const LIMIT: Duration = Duration::from_secs(10);

/// How long a tool that has closed its output may take to end.
const GRACE: Duration = Duration::from_millis(20);
const GRACES: u32 = 50;

const LONGEST: u64 = 1 << 20;

pub(super) fn run(program: &str, arguments: &[&str], environment: &BTreeMap<String, String>) -> Option<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(environment)
        // In English, with nothing of a project, and without fetching a newer version of the tool first.
        .envs([("LC_ALL", "C.UTF-8"), ("GOTOOLCHAIN", "local"), ("NO_UPDATE_NOTIFIER", "1")])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let output = child.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = output.take(LONGEST).read_to_end(&mut bytes);
        // Nobody listens any more once the limit has passed.
        let _ = sender.send(read.map(|_| bytes));
    });
    let bytes = receiver.recv_timeout(LIMIT).ok().and_then(Result::ok);
    let succeeded = bytes.is_some() && ends_well(&mut child);
    if !succeeded {
        let _ = child.kill();
    }
    let _ = child.wait();
    bytes.filter(|_| succeeded).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn ends_well(child: &mut Child) -> bool {
    for _ in 0..GRACES {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => thread::sleep(GRACE),
            Err(_) => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_command_that_succeeds_has_an_answer() {
        let environment = BTreeMap::from([("GREETING".to_owned(), "hello".to_owned())]);
        assert_eq!(run("/bin/sh", &["-c", "echo $GREETING; pwd"], &environment).as_deref(), Some("hello\n/\n"));
        assert_eq!(run("/bin/sh", &["-c", "echo no; exit 3"], &environment), None);
        assert_eq!(run("/nowhere/at-all", &[], &environment), None);
    }
}

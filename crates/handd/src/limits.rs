//! What the sandbox may use at most, and what the model reads when a call has come up against it.
//!
//! A program that meets a limit prints whatever its author thought of, which seldom says whose limit it is. So a call
//! that fails is looked at once more, and ends with a line for each limit that it has met. Memory is not among them:
//! nobody inside can know why a process was killed. The host does, and says it.

mod allowance;
mod room;
mod signs;

use std::path::Path;

use hand_protocol::{Content, Outcome};
use rustix::process::{Resource, getrlimit};

pub(crate) use self::allowance::Allowance;
use self::room::Room;
use crate::places::Places;

#[derive(Debug)]
pub(crate) struct Limits {
    told: hand_protocol::Limits,
    /// As the kernel holds them: the host's own limit may be lower than what it was to be.
    open_files: u64,
}

impl Limits {
    pub(crate) fn new(told: hand_protocol::Limits) -> Self {
        let open_files = getrlimit(Resource::Nofile).current.unwrap_or(told.open_files);
        Self { told, open_files }
    }

    /// The time that a call has which begins now.
    pub(crate) fn allowance(&self) -> Allowance {
        Allowance::of(self.told.call_seconds)
    }

    /// The outcome, with a line for each limit that the call has met.
    pub(crate) fn explain(&self, mut outcome: Outcome, places: &Places) -> Outcome {
        let is_error = outcome.is_error;
        if let Some(Content::Text { text }) = outcome.content.last_mut() {
            for line in self.lines(text, is_error, || Room::of(&[Path::new("/"), &places.workspace])) {
                if !text.ends_with('\n') {
                    text.push('\n');
                }
                text.push_str(&line);
            }
        }
        outcome
    }

    fn lines(&self, text: &str, is_error: bool, room: impl FnOnce() -> Option<Room>) -> Vec<String> {
        let mut lines = Vec::new();
        if signs::of_processes(text, is_error) {
            let most = self.told.processes;
            lines.push(format!("[the sandbox's limit of {most} processes and threads is reached]"));
        }
        if is_error {
            if signs::of_open_files(text) {
                let most = self.open_files;
                lines.push(format!("[the sandbox's limit of {most} open files in one process is reached]"));
            }
            lines.extend(room().and_then(|room| room.line(self.told.disk, signs::of_disk(text))));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        told: hand_protocol::Limits { processes: 64, disk: 64 << 20, open_files: 9, call_seconds: 5, memory: 1 << 30 },
        open_files: 256,
    };

    fn lines(text: &str, is_error: bool, full: bool) -> Vec<String> {
        let free = if full { 0 } else { 32 << 20 };
        LIMITS.lines(text, is_error, || Some(Room { size: 64 << 20, free, files: 1_000, free_files: 10 }))
    }

    #[test]
    fn each_limit_that_was_met_is_named() {
        let forks = "bash: fork: retry: Resource temporarily unavailable\n";
        let no_process = "[the sandbox's limit of 64 processes and threads is reached]";
        assert_eq!(lines(forks, false, false), [no_process]);
        let both = format!("{forks}cat: a: Too many open files\n");
        let no_file = "[the sandbox's limit of 256 open files in one process is reached]";
        assert_eq!(lines(&both, true, false), [no_process, no_file]);
        let no_room = "[the sandbox's disk limit of 64 MiB is reached]";
        assert_eq!(lines("write: a.txt: the disk is full", true, true), [no_room]);
    }

    #[test]
    fn a_call_that_did_well_or_failed_by_itself_is_told_nothing() {
        assert!(lines("a log: Too many open files\n", false, true).is_empty());
        assert!(lines("no such file or directory\n", true, false).is_empty());
    }

    #[test]
    fn the_lines_stand_below_what_was_printed() {
        let root = tempfile::tempdir().unwrap();
        let places = Places::below(root.path());
        let explain = |text: &str| LIMITS.explain(Outcome::error(text), &places).content;
        let note = "[the sandbox's limit of 256 open files in one process is reached]";
        for (text, between) in [("EMFILE\n", ""), ("EMFILE", "\n")] {
            let Some(Content::Text { text: found }) = explain(text).pop() else { panic!("a text is wanted") };
            assert!(found.starts_with(&format!("{text}{between}{note}")), "{found}");
        }
    }
}

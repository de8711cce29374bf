//! The record of calls, on a file outside the sandbox's tree, as lines of JSON.
//!
//! `{"started":"ID"}` is there before a tool starts, and `{"finished":"ID","outcome":{…}}` once it has ended. Lines are
//! written, not synced: they survive this process and its sandbox, and what dies with the machine is the sandbox too.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::FileExt,
    sync::Arc,
};

use hand_protocol::Outcome;
use serde::{Deserialize, Serialize};

/// Where in the file a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// What an earlier incarnation has left of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Past {
    /// It started, and no end was recorded.
    Unknown,
    Finished(Span),
}

pub(super) struct Journal {
    file: Arc<File>,
    /// The last line has no end: a crash, or a full disk, has torn it.
    torn: bool,
}

#[derive(Serialize)]
struct Started<'a> {
    started: &'a str,
}

#[derive(Serialize)]
struct Finished<'a> {
    finished: &'a str,
    outcome: &'a Outcome,
}

/// A line as far as its kind: an outcome, which may be large, is passed over.
#[derive(Deserialize)]
struct Mark {
    started: Option<String>,
    finished: Option<String>,
}

#[derive(Deserialize)]
struct Recorded {
    outcome: Outcome,
}

impl Journal {
    /// Reads what is there. The file must be open for reading and appending.
    pub(super) fn open(file: File) -> io::Result<(Self, HashMap<String, Past>)> {
        let (past, torn) = scan(&file)?;
        Ok((Self { file: Arc::new(file), torn }, past))
    }

    pub(super) fn started(&mut self, call: &str) -> io::Result<()> {
        let line = line(&Started { started: call })?;
        self.append(&line).map(|_span| ())
    }

    /// Appends a line that [`finished_line`] has made.
    pub(super) fn append(&mut self, line: &[u8]) -> io::Result<Span> {
        let mut file = &*self.file;
        if self.torn {
            file.write_all(b"\n")?;
            self.torn = false;
        }
        // Nobody else writes here, so the end of the file is where an append goes.
        let offset = file.metadata()?.len();
        if let Err(error) = file.write_all(line) {
            self.torn = true;
            return Err(error);
        }
        Ok(Span { offset, length: line.len() as u64 })
    }

    /// For [`recorded`], which needs no lock.
    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }
}

/// The line that records a call's end. Made apart from writing it, for a large one takes its time.
pub(super) fn finished_line(call: &str, outcome: &Outcome) -> io::Result<Vec<u8>> {
    line(&Finished { finished: call, outcome })
}

/// Reads a recorded outcome back.
pub(super) fn recorded(file: &File, span: Span) -> io::Result<Outcome> {
    let mut line = vec![0; usize::try_from(span.length).map_err(io::Error::other)?];
    file.read_exact_at(&mut line, span.offset)?;
    let recorded: Recorded = serde_json::from_slice(&line)?;
    Ok(recorded.outcome)
}

/// What the lines say, and whether the last one is torn.
fn scan(file: &File) -> io::Result<(HashMap<String, Past>, bool)> {
    let mut past = HashMap::new();
    let mut lines = BufReader::with_capacity(64 << 10, At { file, offset: 0 });
    let mut offset = 0;
    loop {
        let mut line = Vec::new();
        let length = lines.read_until(b'\n', &mut line)? as u64;
        if line.last() != Some(&b'\n') {
            return Ok((past, length > 0));
        }
        match serde_json::from_slice(&line) {
            Ok(Mark { finished: Some(call), .. }) => {
                past.insert(call, Past::Finished(Span { offset, length }));
            }
            Ok(Mark { started: Some(call), .. }) => {
                past.entry(call).or_insert(Past::Unknown);
            }
            // Torn once, and ended by whoever wrote the next line.
            _ => {}
        }
        offset += length;
    }
}

fn line(record: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    Ok(line)
}

/// Reads a file from its start, wherever its own position is.
struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reopened(path: &std::path::Path) -> (Journal, HashMap<String, Past>) {
        let file = File::options().read(true).append(true).create(true).open(path).unwrap();
        Journal::open(file).unwrap()
    }

    #[test]
    fn what_was_recorded_is_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let outcome = Outcome::error("line\nbreak");
        let (mut journal, past) = reopened(&path);
        assert!(past.is_empty());
        journal.started("a").unwrap();
        journal.started("b").unwrap();
        let span = journal.append(&finished_line("a", &outcome).unwrap()).unwrap();

        let (journal, past) = reopened(&path);
        assert_eq!(past, HashMap::from([("a".into(), Past::Finished(span)), ("b".into(), Past::Unknown)]));
        assert_eq!(recorded(&journal.file(), span).unwrap(), outcome);
    }

    #[test]
    fn a_torn_last_line_is_no_record_and_spoils_no_later_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        std::fs::write(&path, "{\"started\":\"a\"}\n{\"finished\":\"a\",\"outc").unwrap();
        let (mut journal, past) = reopened(&path);
        assert_eq!(past, HashMap::from([("a".into(), Past::Unknown)]));
        let span = journal.append(&finished_line("b", &Outcome::text("fine")).unwrap()).unwrap();

        let (journal, past) = reopened(&path);
        assert_eq!(past.get("a"), Some(&Past::Unknown));
        assert_eq!(past.get("b"), Some(&Past::Finished(span)));
        assert_eq!(recorded(&journal.file(), span).unwrap(), Outcome::text("fine"));
    }
}

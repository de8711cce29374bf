//! What a search has found, as `path:line:text`.

use std::{io, path::Path};

use grep_searcher::{Searcher, Sink, SinkFinish, SinkMatch};

/// The longest text, in bytes.
const LARGEST: usize = 100 << 10;
/// The longest line that is shown whole, in bytes.
const LINE: usize = 2_000;

#[derive(Default)]
pub(super) struct Report {
    text: String,
    full: bool,
}

/// The part of a report that is about one file.
pub(super) struct Part<'a> {
    report: &'a mut Report,
    path: String,
    /// Where this part begins, to take it back should the file turn out to be binary.
    start: usize,
}

impl Report {
    pub(super) fn of(&mut self, path: &Path) -> Part<'_> {
        let start = self.text.len();
        Part { path: path.to_string_lossy().into_owned(), start, report: self }
    }

    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Adds what comes after it.
    pub(super) fn append(&mut self, next: Self) {
        for line in next.text.split_inclusive('\n') {
            self.add(line);
        }
        self.full |= next.full;
    }

    pub(super) fn finish(mut self, late: bool) -> String {
        if self.full {
            self.text.push_str(&format!("[output truncated at {LARGEST} bytes]\n"));
        }
        if late {
            self.text.push_str("[search stopped after 30s: there may be more]\n");
        }
        match self.text.strip_suffix('\n') {
            Some(text) => text.to_owned(),
            None => "no matches".to_owned(),
        }
    }

    /// Adds a line if there is room for it.
    fn push(&mut self, path: &str, number: u64, line: &[u8]) {
        let whole = line.strip_suffix(b"\n").unwrap_or(line);
        let whole = whole.strip_suffix(b"\r").unwrap_or(whole);
        let shown = String::from_utf8_lossy(whole.get(..LINE).unwrap_or(whole));
        let cut = if whole.len() > LINE { " [line cut]" } else { "" };
        self.add(&format!("{path}:{number}:{shown}{cut}\n"));
    }

    fn add(&mut self, line: &str) {
        if self.full {
            return;
        }
        if self.text.len() + line.len() > LARGEST {
            self.full = true;
        } else {
            self.text.push_str(line);
        }
    }
}

impl Sink for Part<'_> {
    type Error = io::Error;

    fn matched(&mut self, _searcher: &Searcher, found: &SinkMatch<'_>) -> Result<bool, io::Error> {
        self.report.push(&self.path, found.line_number().unwrap_or(0), found.bytes());
        Ok(!self.report.full)
    }

    fn finish(&mut self, _searcher: &Searcher, finish: &SinkFinish) -> Result<(), io::Error> {
        if finish.binary_byte_offset().is_some() {
            self.report.text.truncate(self.start);
        }
        Ok(())
    }
}

//! `grep`: lines that match a regular expression.

mod report;

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder};
use hand_protocol::Outcome;
use ignore::WalkBuilder;
use rustix::fs::OFlags;
use serde_json::{Map, Value};

use self::report::Report;
use super::{Call, Result, files::Named, input::Input};
use crate::{cancel::Cancel, clock, reach};

/// How long a search may take.
const LIMIT: Duration = Duration::from_secs(30);
/// The longest pattern, in bytes, and the largest program that it may become.
const PATTERN: usize = 64 << 10;
const PROGRAM: usize = 10 << 20;
/// Files that are shared out among threads at a time, and the most threads.
const BATCH: usize = 512;
const THREADS: usize = 4;
/// The longest line that can be searched. A file with a longer one is left there.
const LINE: usize = 16 << 20;

pub(super) fn run(call: &Call<'_>, input: &Map<String, Value>) -> Result {
    let input = Input::new("grep", input, &["pattern", "path"])?;
    let pattern = input.required("pattern")?;
    if pattern.len() > PATTERN {
        return Err(input.fault(&format!("pattern is over {PATTERN} bytes")));
    }
    let matcher = compile(pattern).map_err(|error| input.fault(&format!("pattern: {error}")))?;
    let shown = input.text("path")?.unwrap_or(".");
    let path = call.places.resolve(shown);
    let named = Named { tool: "grep", shown, path: &path };
    let metadata = reach::open(&path, OFlags::RDONLY).and_then(|file| file.metadata());
    let metadata = metadata.map_err(|error| named.failed(&error))?;
    let search = Search { matcher, cancel: &call.cancel, deadline: call.allowance.until().min(clock::now() + LIMIT) };
    let report = if metadata.is_dir() {
        search.directory(&path)
    } else if metadata.is_file() {
        search.files(&[path])
    } else {
        return Err(named.fault("is not a file or directory"));
    };
    call.check()?;
    Ok(Outcome::text(report.finish(search.is_over())))
}

fn compile(pattern: &str) -> std::result::Result<RegexMatcher, grep_regex::Error> {
    RegexMatcherBuilder::new().line_terminator(Some(b'\n')).size_limit(PROGRAM).dfa_size_limit(PROGRAM).build(pattern)
}

fn searcher() -> Searcher {
    SearcherBuilder::new().line_number(true).heap_limit(Some(LINE)).binary_detection(BinaryDetection::quit(0)).build()
}

struct Search<'a> {
    matcher: RegexMatcher,
    cancel: &'a Cancel,
    deadline: Instant,
}

impl Search<'_> {
    /// Everything is searched, whatever ignore files say, but what belongs to tools and not to the work.
    fn directory(&self, path: &Path) -> Report {
        let mut report = Report::default();
        let mut batch = Vec::with_capacity(BATCH);
        let mut walk = WalkBuilder::new(path);
        walk.standard_filters(false).follow_links(false).sort_by_file_name(|one, other| one.cmp(other)).filter_entry(
            |entry| {
                let name = entry.file_name();
                let is_proc = entry.path() == Path::new("/proc");
                entry.depth() == 0 || (name != ".git" && name != "node_modules" && !is_proc)
            },
        );
        for entry in walk.build() {
            if self.is_over() || report.is_full() {
                return report;
            }
            // What cannot be read is left out, as are links and devices.
            if let Ok(entry) = entry
                && entry.file_type().is_some_and(|kind| kind.is_file())
            {
                batch.push(entry.into_path());
                if batch.len() == BATCH {
                    report.append(self.batch(&batch));
                    batch.clear();
                }
            }
        }
        report.append(self.batch(&batch));
        report
    }

    /// What is in these files, in their order, by as many threads as there are processors.
    fn batch(&self, paths: &[PathBuf]) -> Report {
        let threads = thread::available_parallelism().map_or(1, |number| number.get().min(THREADS));
        let mut parts = paths.chunks(paths.len().div_ceil(threads).max(1));
        let first = parts.next().unwrap_or_default();
        thread::scope(|scope| {
            // Where the sandbox may have no more threads, this one does it all.
            let others: Vec<_> = parts
                .map(|part| (part, thread::Builder::new().spawn_scoped(scope, || self.files(part)).ok()))
                .collect();
            let mut report = self.files(first);
            for (part, thread) in others {
                report.append(thread.and_then(|thread| thread.join().ok()).unwrap_or_else(|| self.files(part)));
            }
            report
        })
    }

    fn files(&self, paths: &[PathBuf]) -> Report {
        let (mut report, mut searcher) = (Report::default(), searcher());
        for path in paths {
            if self.is_over() || report.is_full() {
                break;
            }
            let Ok(file) = reach::open(path, OFlags::RDONLY) else { continue };
            let source = Watched { file, cancel: self.cancel, deadline: self.deadline };
            // A file that fails half way has what was found in it before.
            let _ = searcher.search_reader(&self.matcher, source, report.of(path));
        }
        report
    }

    fn is_over(&self) -> bool {
        self.cancel.is_set() || clock::now() >= self.deadline
    }
}

/// A file that ends in an error once the call is cancelled or late, so that one large file is no way around either.
struct Watched<'a> {
    file: File,
    cancel: &'a Cancel,
    deadline: Instant,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_set() || clock::now() >= self.deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.file.read(buffer)
    }
}

#[cfg(test)]
mod tests;

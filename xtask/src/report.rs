//! Named steps, the time each took, and the tally at the end.

use std::fmt;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use crate::command::watch;

/// How many checks passed, failed and were skipped. A step that runs a test suite counts its tests, any other step
/// counts as one check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Tally {
    pub(crate) const PASSED: Self = Self { passed: 1, failed: 0, skipped: 0 };
    const FAILED: Self = Self { passed: 0, failed: 1, skipped: 0 };
    const SKIPPED: Self = Self { passed: 0, failed: 0, skipped: 1 };

    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// One line of a test suite's output: libtest's `test result: …`, or a summary in this tally's own form.
    fn read(line: &str) -> Option<Self> {
        if let Some(counts) = line.trim().strip_prefix("test result: ") {
            return Some(Self {
                passed: number_before(counts, "passed")?,
                failed: number_before(counts, "failed")?,
                skipped: number_before(counts, "ignored")?,
            });
        }
        Self::read_summary(line)
    }

    fn read_summary(line: &str) -> Option<Self> {
        let tally = Self {
            passed: number_before(line, "passed")?,
            failed: number_before(line, "failed")?,
            skipped: number_before(line, "skipped")?,
        };
        (tally.to_string() == line.trim()).then_some(tally)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// The number that stands before `word`, as in `12 passed;`.
fn number_before(text: &str, word: &str) -> Option<u64> {
    let words: Vec<&str> = text.split_whitespace().map(|word| word.trim_matches([',', ';', '.'])).collect();
    let at = words.iter().position(|found| *found == word)?;
    words.get(at.checked_sub(1)?)?.parse().ok()
}

/// What became of a step that did not error.
pub(crate) enum Outcome {
    Counted(Tally),
    Skipped(String),
}

/// The steps of one run, in order.
pub(crate) struct Report {
    started: Instant,
    tally: Tally,
    lines: Vec<String>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { started: now(), tally: Tally::default(), lines: Vec::new() }
    }

    /// Runs one step; a failure is noted and the run goes on, so that one run shows everything that is wrong.
    /// Returns whether the step passed, for the steps that build on it.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> Result<Outcome>) -> bool {
        println!("\n==> {name}");
        let started = now();
        let (verdict, tally) = match work() {
            Ok(Outcome::Counted(tally)) if tally.failed > 0 => (format!("FAILED ({tally})"), tally),
            Ok(Outcome::Counted(tally)) if tally == Tally::PASSED => ("ok".to_owned(), tally),
            Ok(Outcome::Counted(tally)) => (format!("ok ({tally})"), tally),
            Ok(Outcome::Skipped(reason)) => (format!("SKIPPED: {reason}"), Tally::SKIPPED),
            Err(error) => (format!("FAILED: {error:#}"), Tally::FAILED),
        };
        let line = format!("{:>7.1} s  {name}: {verdict}", started.elapsed().as_secs_f64());
        println!("<== {}", line.trim_start());
        self.tally.add(tally);
        self.lines.push(line);
        tally.failed == 0
    }

    /// Prints every step again and the tally alone on the last line. Returns whether nothing failed.
    pub(crate) fn finish(self) -> bool {
        println!("\n==> summary");
        for line in &self.lines {
            println!("{line}");
        }
        println!("{:>7.1} s  in all\n\n{}", self.started.elapsed().as_secs_f64(), self.tally);
        self.tally.failed == 0
    }
}

/// Runs a test suite and counts its tests. A suite that ends badly counts as one failure more when it named none.
pub(crate) fn counted(command: &mut Command) -> Result<Outcome> {
    let mut tally = Tally::default();
    let ended_well = watch(command, |line| {
        tally.add(Tally::read(line).unwrap_or_default());
        // A suite's own summary would be taken for ours, which is the only one that stands alone on a line.
        let is_summary = Tally::read_summary(line).is_some();
        if is_summary {
            println!("    suite: {}", line.trim());
        }
        !is_summary
    })?;
    if !ended_well && tally.failed == 0 {
        tally.add(Tally::FAILED);
    }
    if tally == Tally::default() {
        tally = Tally::PASSED;
    }
    Ok(Outcome::Counted(tally))
}

#[expect(clippy::disallowed_methods, reason = "the time a step took is for people to read; nothing depends on it")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_libtest_result_is_counted() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s";
        assert_eq!(Tally::read(line), Some(Tally { passed: 12, failed: 3, skipped: 1 }));
    }

    #[test]
    fn a_summary_counts_only_alone_on_its_line() {
        let tally = Tally { passed: 7, failed: 0, skipped: 2 };
        assert_eq!(Tally::read("7 passed, 0 failed, 2 skipped\n"), Some(tally));
        assert_eq!(Tally::read("so far: 7 passed, 0 failed, 2 skipped"), None);
        assert_eq!(Tally::read("passed"), None);
    }

    #[test]
    fn a_failing_step_fails_the_run_and_the_next_one_still_runs() {
        let mut report = Report::new();
        assert!(!report.step("bad", || anyhow::bail!("no")));
        assert!(report.step("good", || Ok(Outcome::Counted(Tally::PASSED))));
        assert!(report.step("absent", || Ok(Outcome::Skipped("not here".to_owned()))));
        assert_eq!(report.tally, Tally { passed: 1, failed: 1, skipped: 1 });
        assert!(!report.finish());
    }
}

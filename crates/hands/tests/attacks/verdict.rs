//! What came of an attack, and of its control.

/// Whether the sandbox held.
#[derive(Debug, Clone)]
pub(crate) enum Verdict {
    /// With how it was refused.
    Held(String),
    /// With what it got.
    Broke(String),
    /// This machine does not have what it is about.
    Absent(String),
}

/// Whether the same program reaches its canary where nothing is in its way.
#[derive(Debug, Clone)]
pub(crate) enum Shown {
    Reached(String),
    /// It needs more than this user, or this machine, has.
    NotHere(String),
    /// It must be able to, and was not: the attack proves nothing.
    Failed(String),
    None,
}

impl Verdict {
    /// From what a program printed: its last line, and only that one. The sandbox may have added which limit was met.
    pub(crate) fn of(output: &str) -> Self {
        let told = |line: &&str| line.starts_with("HELD ") || line.starts_with("BROKE ");
        let is_printed = |line: &&str| !line.starts_with("[the sandbox's ");
        let last = output.trim_end().lines().rfind(is_printed).filter(told);
        match last {
            Some(line) if output.lines().filter(told).count() == 1 => match line.split_once(' ') {
                Some(("HELD", how)) => Self::Held(how.to_owned()),
                Some((_, what)) => Self::Broke(what.to_owned()),
                None => Self::Broke(line.to_owned()),
            },
            _ => Self::Broke(format!("it ended without one verdict: {}", end_of(output))),
        }
    }
}

impl From<Result<String, String>> for Verdict {
    fn from(result: Result<String, String>) -> Self {
        match result {
            Ok(how) => Self::Held(how),
            Err(what) => Self::Broke(what),
        }
    }
}

/// The end of an output, on one line.
pub(crate) fn end_of(output: &str) -> String {
    let words = output.split_whitespace().collect::<Vec<_>>().join(" ");
    let start = words.char_indices().rev().nth(299).map_or(0, |(at, _)| at);
    words.get(start..).unwrap_or_default().to_owned()
}

#[test]
fn only_one_verdict_at_the_end_is_one() {
    assert!(matches!(Verdict::of("noise\nHELD EPERM: a step\n"), Verdict::Held(how) if how == "EPERM: a step"));
    assert!(matches!(Verdict::of("HELD ENOMEM\n[the sandbox's memory limit of 1 MiB was reached]"), Verdict::Held(_)));
    assert!(matches!(Verdict::of("BROKE a token"), Verdict::Broke(what) if what == "a token"));
    for output in ["", "HELD", "HELD x\nmore", "HELD x\nHELD y", "BROKE x\nHELD y", "UPHELD x"] {
        let Verdict::Broke(what) = Verdict::of(output) else { panic!("{output}") };
        assert!(what.contains("without one verdict"), "{output}");
    }
}

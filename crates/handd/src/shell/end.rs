//! What the model reads when a command has ended, one way or another.

use std::time::Duration;

use hand_protocol::Outcome;

use crate::{cancel::INTERRUPTED, children::Ended};

/// Said with every end that takes the shell along.
const FRESH: &str = "The next call starts a new shell: working directory, variables and functions are lost.";

/// The command has ended and the shell lives on.
pub(super) fn finished(text: String, status: i32) -> Outcome {
    match (status, text.is_empty()) {
        (0, true) => Outcome::text("(no output)"),
        (0, false) => Outcome::text(text),
        (_, true) => Outcome::error(format!("(no output; exit status {status})")),
        (_, false) => Outcome::error(text),
    }
}

/// The command has ended the shell, by `exit` or worse.
pub(super) fn exited(text: &str, how: Ended) -> Outcome {
    match how {
        Ended::Exited(0) => Outcome::text(below(text, &format!("bash: the shell exited with status 0. {FRESH}"))),
        Ended::Exited(status) => {
            Outcome::error(below(text, &format!("bash: the shell exited with status {status}. {FRESH}")))
        }
        Ended::Killed(signal) => {
            Outcome::error(below(text, &format!("bash: the shell was killed by signal {signal}. {FRESH}")))
        }
    }
}

pub(super) fn timed_out(text: &str, limit: Duration) -> Outcome {
    let seconds = limit.as_secs_f64();
    Outcome::error(below(
        text,
        &format!("bash: bash command timed out after {seconds}s\nIts processes were ended. {FRESH}"),
    ))
}

/// `words` say for how long it has run.
pub(super) fn overdue(text: &str, words: &str) -> Outcome {
    Outcome::error(below(text, &format!("bash: {words}\nIts processes were ended. {FRESH}")))
}

/// The same of a command that has only waited for others.
pub(super) fn never_begun(words: &str) -> Outcome {
    Outcome::error(format!("bash: {words}\nIt was not run: the shell was busy with other calls."))
}

pub(super) fn interrupted(text: &str) -> Outcome {
    Outcome::error(below(text, INTERRUPTED))
}

fn below(text: &str, note: &str) -> String {
    match text.strip_suffix('\n').unwrap_or(text) {
        "" => note.to_owned(),
        text => format!("{text}\n{note}"),
    }
}

#[cfg(test)]
mod tests {
    use hand_protocol::Content;

    use super::*;

    #[test]
    fn a_status_makes_an_error_and_is_named_only_where_nothing_was_printed() {
        assert_eq!(finished("hi\n".into(), 0), Outcome::text("hi\n"));
        assert_eq!(finished(String::new(), 0), Outcome::text("(no output)"));
        assert_eq!(finished("no such file\n".into(), 2), Outcome::error("no such file\n"));
        assert_eq!(finished(String::new(), 1), Outcome::error("(no output; exit status 1)"));
    }

    #[test]
    fn a_timeout_keeps_the_output_and_says_how_long_it_was() {
        let whole = timed_out("line\n", Duration::from_secs(120));
        let part = timed_out("", Duration::from_millis(1_500));
        let first = |outcome: &Outcome| match outcome.content.first() {
            Some(Content::Text { text }) => text.clone(),
            other => panic!("not a text: {other:?}"),
        };
        assert!(whole.is_error && first(&whole).starts_with("line\nbash: bash command timed out after 120s\n"));
        assert!(part.is_error && first(&part).starts_with("bash: bash command timed out after 1.5s\n"));
    }

    #[test]
    fn a_call_that_has_used_up_its_time_tells_whether_it_was_run() {
        let run = overdue("line\n", "the call was ended");
        assert_eq!(run, Outcome::error(format!("line\nbash: the call was ended\nIts processes were ended. {FRESH}")));
        let words = "bash: the call was ended\nIt was not run: the shell was busy with other calls.";
        assert_eq!(never_begun("the call was ended"), Outcome::error(words));
    }

    #[test]
    fn an_interrupted_command_asks_for_a_retry() {
        assert_eq!(interrupted(""), Outcome::error(INTERRUPTED));
        assert_eq!(interrupted("a"), Outcome::error(format!("a\n{INTERRUPTED}")));
    }
}

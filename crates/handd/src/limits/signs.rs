//! What programs print when they meet a limit. Their words are all that is left of it when a call has ended.

/// Lines at the end of a text in which the reason of a failure is looked for.
const LINES: usize = 20;

/// What the kernel answers to whoever may not make another process.
const AGAIN: [&str; 2] = ["Resource temporarily unavailable", "EAGAIN"];

/// Others are told the same, as whoever reads from a socket that has nothing to say. These words tell who was not.
const MAKING: [&str; 6] = ["fork", "thread", "clone", "spawn", "could not be started", "[Errno 11]"];

/// What some programs say in place of that.
const IN_OTHER_WORDS: [&str; 4] =
    ["Cannot fork", "can't start new thread", "unable to create native thread", "failed to create new OS thread"];

/// And what shells say, which try again for a while, and whose commands may do well after all.
const OF_SHELLS: [&str; 3] =
    [": fork: retry: Resource temporarily unavailable", ": fork: Resource temporarily unavailable", ": Cannot fork"];

const OPEN_FILES: [&str; 2] = ["Too many open files", "EMFILE"];

const DISK: [&str; 3] = ["No space left on device", "ENOSPC", "Disk quota exceeded"];

/// Whether a process or a thread could not be made.
pub(super) fn of_processes(text: &str, is_error: bool) -> bool {
    if !is_error {
        return last(text).next().is_some_and(|line| has(line, &OF_SHELLS));
    }
    last(text).any(|line| has(line, &IN_OTHER_WORDS) || (has(line, &AGAIN) && has(line, &MAKING)))
}

pub(super) fn of_open_files(text: &str) -> bool {
    last(text).any(|line| has(line, &OPEN_FILES) && !line.contains("in system") && !is_of_watches(line))
}

pub(super) fn of_disk(text: &str) -> bool {
    last(text).any(|line| has(line, &DISK) && !is_of_watches(line))
}

/// The kernel has the same answers for who watches too many files, or in too many ways.
fn is_of_watches(line: &str) -> bool {
    line.contains("watch") || line.contains("inotify")
}

/// The last lines that say anything, the very last one first.
fn last(text: &str) -> impl Iterator<Item = &str> {
    text.lines().rev().filter(|line| !line.trim().is_empty()).take(LINES)
}

fn has(line: &str, words: &[&str]) -> bool {
    words.iter().any(|some| line.contains(some))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn want_of_processes_is_known_by_many_words() {
        for line in [
            "bash: fork: retry: Resource temporarily unavailable",
            "make: vfork: Resource temporarily unavailable",
            "BlockingIOError: [Errno 11] Resource temporarily unavailable",
            "RuntimeError: can't start new thread",
            "Error: spawn ls EAGAIN",
            "sh: 0: Cannot fork",
            "bash: the shell could not be started: Resource temporarily unavailable (os error 11).",
        ] {
            assert!(of_processes(&format!("before\n{line}\nafter\n\n"), true), "{line}");
        }
        assert!(!of_processes("read: Resource temporarily unavailable\n", true));
    }

    #[test]
    fn a_command_that_did_well_must_end_with_a_shells_own_words() {
        let retried = "bash: fork: retry: Resource temporarily unavailable";
        assert!(of_processes(&format!("one\n{retried}\n"), false));
        assert!(!of_processes(&format!("{retried}\none\n"), false));
        assert!(!of_processes("RuntimeError: can't start new thread\n", false));
    }

    #[test]
    fn what_is_far_above_the_end_is_not_the_reason() {
        let far = format!("cat: a: Too many open files\n{}", "x\n".repeat(LINES));
        assert!(!of_open_files(&far));
        assert!(of_open_files("cat: a: Too many open files\nx\n"));
    }

    #[test]
    fn other_limits_with_the_same_words_are_left_out() {
        assert!(!of_open_files("cat: a: Too many open files in system\n"));
        assert!(!of_open_files("inotify_init: Too many open files\n"));
        assert!(of_disk("tar: a: Cannot write: No space left on device\n"));
        assert!(!of_disk("tail: inotify cannot be used: No space left on device\n"));
        assert!(!of_disk("Error: ENOSPC: System limit for number of file watchers reached, watch '/a'\n"));
    }
}

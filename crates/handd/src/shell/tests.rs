//! The shell as it is, driven by a keeper in a directory of its own.

use std::{fs, thread};

use hand_protocol::Content;

use super::*;
use crate::{cancel::INTERRUPTED, clock};

/// Seconds that no call here takes.
const LONG: u64 = 600;

struct Fixture {
    shell: Arc<Handle>,
    places: Places,
    _root: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let places = Places::below(root.path());
        fs::create_dir_all(&places.workspace).unwrap();
        let shell = start(&places, Arc::new(Children::new())).unwrap();
        Self { shell: Arc::new(shell), places, _root: root }
    }

    fn run(&self, command: &str) -> (String, bool) {
        self.run_for(command, Duration::from_secs(60))
    }

    fn run_for(&self, command: &str, timeout: Duration) -> (String, bool) {
        let order = Order::Run { command: command.into(), timeout };
        text(self.shell.run(order, "call", Arc::default(), Allowance::of(LONG)))
    }

    fn prints(&self, command: &str) -> String {
        let (text, is_error) = self.run(command);
        assert!(!is_error, "{command}: {text}");
        text
    }

    /// Whether the process whose id is in this file runs. Ended is enough: whoever inherited it may not have reaped it.
    fn lives(&self, file: &str) -> bool {
        let pid = fs::read_to_string(self.places.workspace.join(file)).unwrap();
        fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|stat| !stat.contains(") Z "))
    }

    fn restart(&self) -> (String, bool) {
        text(self.shell.run(Order::Restart, "call", Arc::default(), Allowance::of(LONG)))
    }
}

fn text(outcome: Outcome) -> (String, bool) {
    match outcome.content.into_iter().next() {
        Some(Content::Text { text }) => (text, outcome.is_error),
        other => panic!("not a text: {other:?}"),
    }
}

#[test]
fn directory_variables_functions_and_jobs_survive_from_call_to_call() {
    let fixture = Fixture::new();
    assert_eq!(fixture.prints("pwd"), format!("{}\n", fixture.places.workspace.display()));
    fixture.prints("mkdir sub && cd sub && WORD=kept && export LOUD=out && say() { echo \"said $1\"; }; sleep 30 &");
    assert_eq!(fixture.prints("basename $PWD; echo $WORD; sh -c 'echo $LOUD'; say it"), "sub\nkept\nout\nsaid it\n");
    assert_eq!(fixture.prints("jobs | wc -l"), "1\n");
    fixture.restart();
}

#[test]
fn both_streams_are_one_and_escapes_are_gone() {
    let fixture = Fixture::new();
    assert_eq!(fixture.prints("echo one; echo two >&2; printf '\\033[31mred\\033[0m\\n'"), "one\ntwo\nred\n");
    assert_eq!(fixture.prints("true"), "(no output)");
}

#[test]
fn a_commands_input_is_empty() {
    assert_eq!(Fixture::new().prints("cat; read line || echo nothing"), "nothing\n");
}

#[test]
fn a_failure_is_an_error_whose_text_is_the_output() {
    let fixture = Fixture::new();
    assert_eq!(fixture.run("echo why; false"), ("why\n".into(), true));
    assert_eq!(fixture.run("(exit 7)"), ("(no output; exit status 7)".into(), true));
}

#[test]
fn no_syntax_wedges_the_shell() {
    let fixture = Fixture::new();
    fixture.prints("WORD=kept");
    for broken in ["echo 'open", "echo \"open", "if then", "f() { echo x", "echo $(", "for x in", "}", "echo `"] {
        let (text, is_error) = fixture.run(broken);
        assert!(is_error && text.contains("unexpected"), "{broken}: {text}");
        assert_eq!(fixture.prints("echo $WORD"), "kept\n", "after {broken}");
    }
    assert!(fixture.prints("cat <<END\nopen ended").contains("open ended"));
    assert_eq!(fixture.prints("cat <<'END'\nit's $HOME\nEND\n"), "it's $HOME\n");
    assert_eq!(fixture.prints("echo last # a comment"), "last\n");
}

#[test]
fn leaving_the_shell_is_reported_and_the_next_call_has_a_new_one() {
    let fixture = Fixture::new();
    fixture.prints("WORD=lost");
    let (text, is_error) = fixture.run("echo before; exit 3");
    assert!(is_error && text.starts_with("before\nbash: the shell exited with status 3"), "{text}");
    assert_eq!(fixture.prints("echo \"[$WORD]\""), "[]\n");
    let (text, is_error) = fixture.run("kill -9 $$");
    assert!(is_error && text.contains("killed by signal 9"), "{text}");
    let (text, is_error) = fixture.run("exec echo replaced");
    assert!(!is_error && text.starts_with("replaced\n"), "{text}");
}

#[test]
fn output_cannot_pose_as_the_end_of_a_command() {
    let fixture = Fixture::new();
    let report = "printf '\\n00000000000000000000000000000000 0\\n'";
    assert!(fixture.run(&format!("{report}; (exit 4)")).1);
    assert!(fixture.run(&format!("{report} >&0; (exit 4)")).1);
}

#[test]
fn a_background_process_holds_no_call_up() {
    let fixture = Fixture::new();
    let began = clock::now();
    assert_eq!(fixture.prints("sleep 30 & echo started"), "started\n");
    assert_eq!(fixture.prints("(while true; do sleep 1; done) & echo again"), "again\n");
    assert!(clock::now() - began < Duration::from_secs(10));
    fixture.restart();
}

#[test]
fn a_background_process_that_prints_between_calls_does_not_block() {
    let fixture = Fixture::new();
    fixture.prints("(head -c 1000000 /dev/zero | tr '\\0' x; echo > done) &");
    let deadline = clock::now() + Duration::from_secs(20);
    while !fixture.places.workspace.join("done").exists() {
        assert!(clock::now() < deadline, "it is blocked on a pipe that nobody reads");
        thread::sleep(Duration::from_millis(5));
    }
    assert!(fixture.prints("echo next").ends_with("next\n"));
}

#[test]
fn a_timeout_ends_what_the_call_started_and_spares_what_is_older() {
    let fixture = Fixture::new();
    fixture.prints("sleep 40 & echo $! > old");
    // The kernel counts start times in hundredths of a second.
    thread::sleep(Duration::from_millis(30));
    let command = "echo output; sleep 41 & echo $! > young; sleep 42";
    let (text, is_error) = fixture.run_for(command, Duration::from_millis(500));
    assert!(is_error && text.starts_with("output\nbash: bash command timed out after 0.5s\n"), "{text}");
    assert!(fixture.lives("old"));
    assert!(!fixture.lives("young"));
    fixture.prints("kill $(cat old)");
}

#[test]
fn a_cancelled_command_ends_and_so_does_one_that_waits_its_turn() {
    let fixture = Fixture::new();
    let cancels: Vec<Arc<Cancel>> = vec![Arc::default(), Arc::default()];
    let calls: Vec<_> = cancels
        .iter()
        .map(|cancel| {
            let (shell, cancel) = (Arc::clone(&fixture.shell), Arc::clone(cancel));
            let order = Order::Run { command: "sleep 50".into(), timeout: Duration::from_secs(100) };
            thread::spawn(move || text(shell.run(order, "call", cancel, Allowance::of(LONG))))
        })
        .collect();
    thread::sleep(Duration::from_millis(100));
    cancels.iter().for_each(|cancel| cancel.set());
    fixture.shell.ring();
    for call in calls {
        assert_eq!(call.join().unwrap(), (INTERRUPTED.to_owned(), true));
    }
    assert_eq!(fixture.prints("echo alive"), "alive\n");
}

#[test]
fn no_call_outlasts_its_allowance_whatever_it_asks_for_or_waits_for() {
    let fixture = Fixture::new();
    fixture.prints("WORD=lost");
    let calls =
        [("echo output; sleep 43 & echo $! > young; sleep 44", 2), ("echo never", 1)].map(|(command, seconds)| {
            let shell = Arc::clone(&fixture.shell);
            let order = Order::Run { command: command.into(), timeout: Duration::from_secs(100) };
            let call = thread::spawn(move || text(shell.run(order, "call", Arc::default(), Allowance::of(seconds))));
            // So that they arrive in this order.
            thread::sleep(Duration::from_millis(100));
            call
        });
    let [(first, _), (second, _)] = calls.map(|call| call.join().unwrap());
    let ended = |seconds: &str| format!("bash: the call was ended after {seconds}, the longest a call may take here\n");
    assert!(first.starts_with(&format!("output\n{}Its processes were ended.", ended("2 seconds"))), "{first}");
    assert!(second.starts_with(&format!("{}It was not run", ended("1 second"))), "{second}");
    assert!(!fixture.lives("young"));
    assert_eq!(fixture.prints("echo \"[$WORD]\""), "[]\n");
}

#[test]
fn a_restart_is_a_clean_slate() {
    let fixture = Fixture::new();
    fixture.prints("cd /; WORD=lost");
    assert_eq!(fixture.restart(), ("bash session restarted".into(), false));
    assert_eq!(fixture.prints("pwd; echo \"[$WORD]\""), format!("{}\n[]\n", fixture.places.workspace.display()));
}

#[test]
fn a_large_command_and_a_large_output_pass() {
    let fixture = Fixture::new();
    let word = "x".repeat(50_000);
    assert_eq!(fixture.prints(&format!("WORD={word}; echo ${{#WORD}}")), "50000\n");
    let preview = fixture.prints("seq 1 200000");
    assert!(preview.starts_with("1\n2\n") && preview.ends_with("\n199999\n200000\n"));
    assert!(preview.len() < 12_000);
    let whole = fs::read_to_string(fixture.places.overflow.join("call.txt")).unwrap();
    assert_eq!(whole.lines().count(), 200_000);
}

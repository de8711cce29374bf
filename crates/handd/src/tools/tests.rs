//! Calls as they come from the host, through the tools and back.

use std::fs;

use serde_json::{Value, json};

use super::*;
use crate::children::Children;

struct Fixture {
    places: Places,
    shell: shell::Handle,
    limits: Limits,
    _root: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let places = Places::below(root.path());
        fs::create_dir_all(&places.workspace).unwrap();
        let shell = shell::start(&places, Arc::new(Children::new())).unwrap();
        let told = hand_protocol::Limits {
            processes: 1 << 20,
            disk: 1 << 20,
            open_files: 1 << 20,
            call_seconds: 600,
            memory: 1 << 30,
        };
        Self { places, shell, limits: Limits::new(told), _root: root }
    }

    fn call(&self, tool: &str, input: Value) -> (String, bool) {
        let Value::Object(input) = input else { panic!("an object is wanted") };
        let execute = Execute { call: "call".into(), tool: tool.into(), input };
        let bench = Bench { places: &self.places, shell: &self.shell, limits: &self.limits };
        let outcome = run(bench, &execute, Arc::default());
        match outcome.content.as_slice() {
            [Content::Text { text }] => (text.clone(), outcome.is_error),
            other => panic!("not one text: {other:?}"),
        }
    }

    fn gives(&self, tool: &str, input: Value) -> String {
        let (text, is_error) = self.call(tool, input);
        assert!(!is_error, "{text}");
        text
    }

    fn fails(&self, tool: &str, input: Value) -> String {
        let (text, is_error) = self.call(tool, input);
        assert!(is_error, "{text}");
        text
    }
}

#[test]
fn a_file_is_written_read_edited_and_found() {
    let fixture = Fixture::new();
    let written = fixture.gives("write", json!({"file_path": "src/a.txt", "content": "one\ntwo\nthree\n"}));
    assert_eq!(written, "wrote 14 bytes to src/a.txt");
    assert_eq!(fixture.gives("read", json!({"file_path": "src/a.txt"})), "one\ntwo\nthree\n");
    assert_eq!(fixture.gives("read", json!({"file_path": "src/a.txt", "view_range": [2, 3]})), "two\nthree");
    assert_eq!(fixture.gives("read", json!({"file_path": "src/a.txt", "view_range": [3, -1]})), "three");
    let edited = fixture.gives("edit", json!({"file_path": "src/a.txt", "old_string": "two", "new_string": "2"}));
    assert_eq!(edited, "edited src/a.txt (1 replacement(s))");
    let path = fixture.places.workspace.join("src/a.txt");
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\n2\nthree\n");
    assert_eq!(fixture.gives("glob", json!({"pattern": "**/*.txt"})), path.display().to_string());
    assert_eq!(fixture.gives("grep", json!({"pattern": "^2$"})), format!("{}:2:2", path.display()));
    assert_eq!(fixture.gives("bash", json!({"command": "cat src/a.txt"})), "one\n2\nthree\n");
}

#[test]
fn reading_says_what_a_file_is_when_it_is_not_text() {
    let fixture = Fixture::new();
    fs::write(fixture.places.workspace.join("empty"), "").unwrap();
    fs::write(fixture.places.workspace.join("binary"), b"\0\x01").unwrap();
    assert_eq!(fixture.gives("read", json!({"file_path": "empty"})), "(empty file)");
    assert_eq!(fixture.fails("read", json!({"file_path": "binary"})), "read: binary is a binary file, not text");
    assert_eq!(fixture.fails("read", json!({"file_path": "none"})), "read: none: no such file or directory");
    let beyond = fixture.fails("read", json!({"file_path": "binary", "view_range": [3, 4]}));
    assert_eq!(beyond, "read: binary has 1 lines, so none from line 3 on");
}

#[test]
fn a_large_file_is_read_by_lines() {
    let fixture = Fixture::new();
    let text: String = (1..=100_000).map(|number| format!("line {number}\n")).collect();
    fs::write(fixture.places.workspace.join("large"), text).unwrap();
    assert!(fixture.fails("read", json!({"file_path": "large"})).contains("give a view_range"));
    let range = json!({"file_path": "large", "view_range": [99_999, 0]});
    assert_eq!(fixture.gives("read", range), "line 99999\nline 100000");
    let all = json!({"file_path": "large", "view_range": [1, -1]});
    assert!(fixture.fails("read", all).contains("give a shorter one"));
}

#[test]
fn a_result_over_the_limit_is_cut_and_kept() {
    let fixture = Fixture::new();
    fs::write(fixture.places.workspace.join("long"), "x".repeat(200_000)).unwrap();
    let shown = fixture.gives("read", json!({"file_path": "long"}));
    assert!(shown.contains("output of 200000 bytes cut here"));
    assert_eq!(fs::metadata(fixture.places.overflow.join("call.txt")).unwrap().len(), 200_000);
}

#[test]
fn a_limit_that_a_command_meets_is_named_below_its_words() {
    let fixture = Fixture::new();
    let command = "ulimit -n 16; for i in {1..16}; do exec {descriptor}< /dev/null || exit 1; done";
    let said = fixture.fails("bash", json!({"command": format!("({command})")}));
    assert!(said.contains("Too many open files\n[the sandbox's limit of "), "{said}");
    assert!(said.contains(" open files in one process is reached]"), "{said}");
}

#[test]
fn a_wrong_call_is_an_error_that_names_what_is_wrong() {
    let fixture = Fixture::new();
    assert_eq!(fixture.fails("fly", json!({})), "unknown tool: fly");
    assert_eq!(fixture.fails("bash", json!({})), "bash: command is required");
    assert_eq!(fixture.fails("read", json!({})), "read: file_path is required");
    assert_eq!(fixture.fails("write", json!({"file_path": "a"})), "write: content is required");
    assert!(fixture.fails("grep", json!({"pattern": "("})).starts_with("grep: pattern: "));
    assert!(fixture.fails("glob", json!({"pattern": "a", "mode": 1})).contains("mode is not a field"));
}

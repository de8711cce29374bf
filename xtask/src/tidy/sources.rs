//! What holds for the text of every file.

use super::{File, Finding};

/// Past this a file wants a second idea named.
const MAX_RUST_LINES: usize = 800;

/// Split, so that this file does not find itself.
const UNFINISHED: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// Directories of one machine or one person. A path into them works for nobody else.
const MACHINE: &[&str] = &[concat!("/wor", "k/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Use", "rs/")];

/// What a sandbox hides and shows are such directories; these files have to name them.
const SPEAKS_OF_SANDBOXES: &[&str] = &["crates/hand-protocol/", "crates/handd/", "crates/hands/", "docs/SECURITY.md"];
const SANDBOX_PATHS: &[&str] = &[concat!("/ro", "ot/"), concat!("/ho", "me/")];

pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        if file.path.ends_with(".rs") {
            findings.extend(rust(file));
        }
        if !is_copied(&file.path) {
            findings.extend(lines(file));
        }
    }
    findings
}

fn rust(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let count = file.text.lines().count();
    if count > MAX_RUST_LINES && !is_test(&file.path) && !is_copied(&file.path) {
        let what = format!("{count} lines, more than {MAX_RUST_LINES}: its second idea wants a file of its own");
        findings.push(Finding::new(file, 0, what));
    }
    if is_crate_root(&file.path) && !file.text.starts_with("//!") {
        findings.push(Finding::new(file, 1, "a crate starts with a `//!` comment that says what it is for"));
    }
    findings
}

fn lines(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let number = index + 1;
        if line.ends_with([' ', '\t']) {
            findings.push(Finding::new(file, number, "white space at the end of the line"));
        }
        for word in UNFINISHED.iter().filter(|word| has_word(line, word)) {
            findings.push(Finding::new(file, number, format!("`{word}`: finish it, or write an issue")));
        }
        for path in MACHINE.iter().filter(|path| has_path(line, path) && !may_name(&file.path, path)) {
            findings.push(Finding::new(file, number, format!("`{path}…` is a path of one machine")));
        }
    }
    findings
}

/// Whether `word` stands in `line` on its own, not as a part of a longer one (`mktemp` wants a row of capital letters).
fn has_word(line: &str, word: &str) -> bool {
    let outside = |letter: Option<char>| letter.is_none_or(|letter| !letter.is_alphanumeric() && letter != '_');
    line.match_indices(word).any(|(start, _)| {
        outside(line[..start].chars().next_back()) && outside(line[start + word.len()..].chars().next())
    })
}

/// Whether `path` starts in `line`: what follows other parts of a path or an address is no path of a machine.
fn has_path(line: &str, path: &str) -> bool {
    let outside = |letter: char| !letter.is_alphanumeric() && !"/}-_.…~*".contains(letter);
    line.match_indices(path).any(|(start, _)| line[..start].chars().next_back().is_none_or(outside))
}

fn may_name(file: &str, path: &str) -> bool {
    SANDBOX_PATHS.contains(&path) && SPEAKS_OF_SANDBOXES.iter().any(|start| file.starts_with(start))
}

fn is_crate_root(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    matches!(parts.as_slice(), ["crates", _, "src", "lib.rs" | "main.rs"] | ["xtask" | "benches", "src", "main.rs"])
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.ends_with("_tests.rs") || path.split('/').any(|part| part == "tests")
}

/// Not written by hand here: lock files, licences, recorded and generated text.
fn is_copied(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let by_name = name.ends_with(".snap") || name.ends_with(".lock") || name.starts_with("LICENSE");
    let by_tool = path == "docs/openapi.json" || name == "package-lock.json";
    by_name || by_tool || path.split('/').any(|part| part == "generated" || part == "fixtures")
}

use std::fs;

use super::*;

fn found(tree: &Path, pattern: &str) -> String {
    let cancel = Cancel::default();
    let search = Search { matcher: compile(pattern).unwrap(), cancel: &cancel, deadline: clock::now() + LIMIT };
    search.directory(tree).finish(false).replace(&format!("{}/", tree.display()), "")
}

fn tree(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = tree.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    tree
}

#[test]
fn matches_are_shown_by_path_and_line() {
    let tree = tree(&[("b/two.txt", b"no\nneedle 2\r\n"), ("a.txt", b"needle 1\nhay\nneedle 3")]);
    assert_eq!(found(tree.path(), r"needle \d"), "a.txt:1:needle 1\na.txt:3:needle 3\nb/two.txt:2:needle 2");
    assert_eq!(found(tree.path(), "^hay$"), "a.txt:2:hay");
    assert_eq!(found(tree.path(), "nothing"), "no matches");
}

#[test]
fn ignore_files_are_not_asked_but_some_places_are_left_out() {
    let tree = tree(&[
        (".gitignore", b"*.log\n"),
        ("a.log", b"needle"),
        (".hidden", b"needle"),
        (".git/config", b"needle"),
        ("web/node_modules/lib.js", b"needle"),
    ]);
    assert_eq!(found(tree.path(), "needle"), ".hidden:1:needle\na.log:1:needle");
}

#[test]
fn binary_files_and_links_are_skipped() {
    let tree = tree(&[("binary", b"needle\n\0\n"), ("text", b"needle\n")]);
    std::os::unix::fs::symlink(tree.path().join("text"), tree.path().join("link")).unwrap();
    assert_eq!(found(tree.path(), "needle"), "text:1:needle");
}

#[test]
fn a_long_line_is_cut() {
    let mut long = b"needle".to_vec();
    long.resize(5_000, b'x');
    let tree = tree(&[("long", &long)]);
    let shown = found(tree.path(), "needle");
    assert!(shown.ends_with("x [line cut]"));
    assert!(shown.len() < 2_100);
}

#[test]
fn there_is_an_end_to_the_output() {
    let many = b"a needle in a line of some length\n".repeat(10_000);
    let tree = tree(&[("many", &many)]);
    let shown = found(tree.path(), "needle");
    assert!(shown.ends_with("\n[output truncated at 102400 bytes]"));
    assert!(shown.len() < 103_000);
}

#[test]
fn a_search_that_is_late_finds_nothing_more() {
    let tree = tree(&[("text", b"needle\n")]);
    let cancel = Cancel::default();
    let matcher = compile("needle").unwrap();
    let search = Search { matcher, cancel: &cancel, deadline: clock::now() };
    let report = search.files(&[tree.path().join("text")]);
    assert!(search.is_over());
    assert!(report.finish(true).contains("search stopped"));
}

#[test]
fn a_pattern_that_is_none_or_too_large_is_an_error() {
    assert!(compile("(").is_err());
    assert!(compile(r"(\w{1000}){1000}").is_err());
}

#[test]
fn however_many_files_there_are_they_are_shown_in_their_order() {
    let names: Vec<String> = (0..BATCH * 2 + 7).map(|number| format!("{:02}/{number:05}", number % 90)).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), b"hay\nneedle\n".as_slice())).collect();
    let tree = tree(&files);
    let mut expected: Vec<String> = names.iter().map(|name| format!("{name}:2:needle")).collect();
    expected.sort();
    assert_eq!(found(tree.path(), "needle").lines().collect::<Vec<_>>(), expected);
}

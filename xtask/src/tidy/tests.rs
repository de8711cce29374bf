//! The tree itself, and each check on a tree that was made up to break it.

use std::path::Path;

use super::{File, check, tree};

fn file(path: &str, text: impl Into<String>) -> File {
    File { path: path.to_owned(), text: text.into() }
}

/// What is found in these files, as it would be printed.
fn found(files: &[File]) -> Vec<String> {
    check(files).unwrap().iter().map(ToString::to_string).collect()
}

fn manifest(name: &str, rest: &str) -> File {
    file(&format!("crates/{name}/Cargo.toml"), format!("[package]\nname = \"{name}\"\n{rest}"))
}

#[test]
fn the_tree_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let findings = found(&tree::read(root).unwrap());
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn only_the_named_crates_use_a_guarded_dependency() {
    let axum = "[dependencies]\naxum.workspace = true\n";
    assert_eq!(found(&[manifest("api", axum), manifest("testkit", axum)]), [""; 0]);
    assert_eq!(
        found(&[manifest("brain", axum)]),
        ["crates/brain/Cargo.toml: only api, benches, testkit may depend on `axum`"]
    );
    assert_eq!(found(&[manifest("bus", "[dev-dependencies]\nsqlx = \"0.9\"\n")]).len(), 1);
    assert_eq!(found(&[manifest("store", "[target.'cfg(unix)'.dependencies]\nrusqlite = \"0.39\"\n")]).len(), 1);
    assert_eq!(found(&[manifest("store-sqlite", "[dependencies]\nrusqlite.workspace = true\n")]), [""; 0]);
    assert_eq!(found(&[manifest("mcp", "[dependencies]\nrmcp = \"3\"\n")]), [""; 0]);
}

#[test]
fn a_renamed_dependency_is_still_itself() {
    let renamed = "[dependencies]\nweb = { package = \"axum\", version = \"0.8\" }\n";
    assert_eq!(found(&[manifest("brain", renamed)]).len(), 1);
}

#[test]
fn the_arrow_has_no_upward_edge() {
    assert_eq!(
        found(&[manifest("store", "[dependencies]\nbrain.workspace = true\n")]),
        ["crates/store/Cargo.toml: `store` must not depend on `brain`, which is above it"]
    );
    assert_eq!(found(&[manifest("api", "[dependencies]\nstore-sqlite.workspace = true\n")]).len(), 1);
    assert_eq!(found(&[manifest("brain", "[dependencies]\nstore.workspace = true\n")]), [""; 0]);
    assert_eq!(found(&[manifest("brain", "[dev-dependencies]\ntestkit.workspace = true\n")]), [""; 0]);
}

#[test]
fn a_crate_without_a_place_in_the_arrow_is_named() {
    assert!(found(&[manifest("novelty", "")])[0].contains("`novelty` has no place in the dependency arrow"));
}

#[test]
fn the_core_stays_pure() {
    assert_eq!(
        found(&[manifest("session", "[dependencies]\nwire.workspace = true\nserde.workspace = true\n")]),
        [""; 0]
    );
    let findings = found(&[manifest("session", "[dependencies]\nhand-protocol.workspace = true\ntokio = \"1\"\n")]);
    assert_eq!(
        findings,
        [
            "crates/session/Cargo.toml: `session` depends on `wire` alone, not on `hand-protocol`",
            "crates/session/Cargo.toml: `session` is pure, which `tokio` would end",
        ]
    );
    assert_eq!(found(&[manifest("session", "[dev-dependencies]\ntokio = \"1\"\n")]), [""; 0]);
}

#[test]
fn a_long_file_is_found_unless_it_holds_tests_or_generated_code() {
    let long = "//! Long.\n".repeat(801);
    assert!(found(&[file("crates/wire/src/event.rs", long.clone())])[0].contains("801 lines"));
    for path in ["crates/wire/src/event/tests.rs", "crates/wire/tests/all.rs", "crates/wire/src/generated/all.rs"] {
        assert_eq!(found(&[file(path, long.clone())]), [""; 0]);
    }
    assert_eq!(found(&[file("crates/wire/src/event.rs", "//! Long.\n".repeat(800))]), [""; 0]);
}

#[test]
fn a_crate_says_what_it_is_for() {
    assert_eq!(
        found(&[file("crates/wire/src/lib.rs", "mod event;\n")]),
        ["crates/wire/src/lib.rs:1: a crate starts with a `//!` comment that says what it is for"]
    );
    assert_eq!(found(&[file("crates/wire/src/lib.rs", "//! Types.\n"), file("crates/wire/src/id.rs", "\n")]), [""; 0]);
}

#[test]
fn unfinished_work_is_found_as_a_word() {
    let mark = concat!("TO", "DO");
    assert_eq!(found(&[file("demo/task.txt", format!("first\n{mark}: second\n"))]).len(), 1);
    assert_eq!(found(&[file("demo/task.txt", format!("{mark}S\nmktemp out.{}\n", "X".repeat(6)))]), [""; 0]);
}

#[test]
fn white_space_at_the_end_of_a_line_is_found() {
    assert_eq!(found(&[file("Makefile", "one\ntwo \n")]), ["Makefile:2: white space at the end of the line"]);
    assert_eq!(found(&[file("LICENSE-MIT", "one \n"), file("a.snap", "two \n")]), [""; 0]);
}

#[test]
fn a_path_of_one_machine_is_found_outside_the_sandbox() {
    let home = concat!("/ro", "ot/");
    let disk = concat!("/wor", "k/");
    assert_eq!(found(&[file("crates/api/src/work.rs", format!("open(\"{home}.ssh\")"))]).len(), 1);
    assert_eq!(found(&[file("crates/hands/src/layout.rs", format!("hide(\"{home}.ssh\")"))]), [""; 0]);
    assert_eq!(found(&[file("crates/hands/src/layout.rs", format!("open(\"{disk}main\")"))]).len(), 1);
    assert_eq!(found(&[file("crates/api/src/work.rs", format!("/v1/environments/{{id}}{disk}poll"))]), [""; 0]);
}

#[test]
fn every_document_can_be_reached() {
    let readme =
        file("README.md", "See [how it is built](docs/ARCHITECTURE.md#tree) and ![a chart](docs/chart.svg).\n");
    let architecture = file("docs/ARCHITECTURE.md", "[on keys](rfcs/0001-keys.md \"why\") [home](../README.md)\n");
    let rfc = file("docs/rfcs/0001-keys.md", "[itself](0001-keys.md) [outside](https://example.com/x)\n");
    let chart = file("docs/chart.svg", "");
    let lost = file("docs/LOST.md", "[only itself](LOST.md)\n");
    assert_eq!(
        found(&[readme, architecture, rfc, chart, lost]),
        ["docs/LOST.md: nothing links to it: name it in README.md or in another document"]
    );
}

#[test]
fn a_link_that_leads_nowhere_is_found_and_code_is_not_read_as_links() {
    let text = "[gone](docs/GONE.md) and `[not](a/link.md)`\n```\n[nor](this.md)\n```\n[a folder](crates/wire)\n";
    assert_eq!(
        found(&[file("README.md", text), file("crates/wire/README", "")]),
        ["README.md:1: the link to `docs/GONE.md` leads nowhere"]
    );
}

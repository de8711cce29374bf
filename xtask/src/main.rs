//! The house's own commands: `cargo xtask <command>`. The Makefile and `.ci/run` only call these.
//!
//! What is checked is Rust with tests rather than shell, and it is the same on a laptop and on a build machine: the
//! one difference is that under `CI=true` a missing optional toolchain is a failure instead of a skip.

mod ci;
mod command;
mod openapi;
mod report;
mod tidy;
mod toolchain;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::command::{cargo, run};
use crate::report::Report;

const USAGE: &str = "cargo xtask <command>

  ci                  everything that `make test` promises, step by step, with a tally at the end
  soak                the tests and the conformance suite at their full counts
  sim [arguments]     runs of the simulation: --seeds N for that many, --seed S to repeat one
  lint                clippy over the workspace, warnings as errors
  fmt [--check]       format the Rust code
  tidy                the checks that a compiler cannot make: dependency arrow, file sizes, links
  tools               get the programs that tests need and few machines have, into target/tools
  openapi [--check]   write docs/openapi.json from the built server, or compare with it
  bench [arguments]   run the benches against the release build; `bench help` lists them";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one command; `Ok(false)` when it found something and has already said what.
fn dispatch(arguments: &[String]) -> Result<bool> {
    let root = root()?;
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["ci"] => ci::ci(&root),
        ["soak"] => ci::soak(&root),
        ["sim", arguments @ ..] => run(&mut ci::sim(&root, arguments)).map(|()| true),
        ["lint"] => run(&mut ci::clippy(&root)).map(|()| true),
        ["fmt"] => run(cargo(&root).args(["fmt", "--all"])).map(|()| true),
        ["fmt", "--check"] => run(&mut ci::format_check(&root)).map(|()| true),
        ["tidy"] => Ok(tidy::report(&root)? == 0),
        ["tools"] => get_tools(&root),
        ["openapi"] => openapi::write(&root).map(|()| true),
        ["openapi", "--check"] => openapi::check(&root),
        ["bench", rest @ ..] => bench(&root, rest).map(|()| true),
        [] | ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(true)
        }
        other => bail!("unknown command `{}`\n\n{USAGE}", other.join(" ")),
    }
}

/// Ends well only if all are there.
fn get_tools(root: &Path) -> Result<bool> {
    let mut report = Report::new();
    report.step("tools", || tools::get(root));
    Ok(report.finish())
}

/// The benches measure the program that users run, so that one is built first, exactly as users build it.
fn bench(root: &Path, arguments: &[&str]) -> Result<()> {
    run(cargo(root).args(["build", "--release", "--locked"]))?;
    let mut command = cargo(root);
    command.args(["run", "--release", "--locked", "--package", "benches", "--"]).args(arguments);
    command.env("STEAD_BIN", openapi::binary(root));
    // What they compare with is had if it can be; each bench says by name what it goes without.
    get_tools(root)?;
    tools::show(&mut command, root);
    run(&mut command)
}

/// The workspace: asked of cargo first, so that a tree that was moved after the build still finds itself.
fn root() -> Result<PathBuf> {
    let built_in = || PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(built_in, PathBuf::from);
    Ok(package.parent().context("xtask stands outside the workspace")?.to_path_buf())
}

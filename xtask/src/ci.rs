//! Everything that `make test` promises, in the order in which a mistake is cheapest to find.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command::{cargo, command, run};
use crate::report::{Outcome, Report, Tally, counted};
use crate::toolchain::{CLIPPY, NODE, POSTGRES, PYTHON, RUSTFMT, Toolchain};
use crate::{openapi, tidy, tools};

const CONFORMANCE: &str = "conformance/run.sh";

/// The whole of it, at bounded counts.
pub(crate) fn ci(root: &Path) -> Result<bool> {
    let mut report = Report::new();
    report.step("format", || needing(&RUSTFMT, root, || passes(&mut format_check(root))));
    report.step("tidy", || {
        let findings = tidy::report(root)?;
        ensure!(findings == 0, "{findings} findings");
        Ok(Outcome::Counted(Tally::PASSED))
    });
    report.step("lint", || needing(&CLIPPY, root, || passes(&mut clippy(root))));
    let built = report.step("build", || passes(cargo(root).args(["build", "--release", "--locked"])));
    report.step("tools", || tools::get(root));
    report.step("tests", || counted(&mut tests(root)));
    report.step("simulation", || counted(&mut sim(root, &["--seeds", SEEDS])));
    if built {
        served(&mut report, root);
    } else {
        report.step("openapi, conformance, demo", || Ok(Outcome::Skipped("there is no build to run".to_owned())));
    }
    Ok(report.finish())
}

/// Runs of the simulation in each run of the tests, and in a soak.
const SEEDS: &str = "200";
const SOAK_SEEDS: &str = "10000";

/// How often servers are killed in a soak, for each database.
const KILLS: &str = "500";

/// How often each property is tried in a soak.
const PROPERTIES: &str = "50000";

/// The attacks on other backends, and as another user, each by the name of its test.
const ATTACKS: [&str; 3] = [
    "every_attack_is_held_for_an_ordinary_user_too",
    "every_attack_is_held_on_gvisor",
    "every_attack_is_held_on_gvisor_for_an_ordinary_user_too",
];

/// How often the official SDKs run in a soak: what happens once in a thousand turns does not show in one run.
const ROUNDS: usize = 3;

/// The tests and the official SDKs again, at full counts.
pub(crate) fn soak(root: &Path) -> Result<bool> {
    let mut report = Report::new();
    let built = report.step("build", || passes(cargo(root).args(["build", "--release", "--locked"])));
    report.step("tools", || tools::get(root));
    report.step("tests, full counts", || {
        counted(tests(root).env("PROPTEST_CASES", PROPERTIES).env("STEAD_TEST_KILLS", KILLS))
    });
    // On namespaces, as the user that this is, they have just run.
    for attacks in ATTACKS {
        report.step(&attacks.replace('_', " "), || counted(&mut attack(root, attacks)));
    }
    report.step("simulation, full counts", || counted(&mut sim(root, &["--seeds", SOAK_SEEDS])));
    if built {
        (0..ROUNDS).for_each(|_| conformance(&mut report, root));
    }
    Ok(report.finish())
}

pub(crate) fn format_check(root: &Path) -> Command {
    let mut command = cargo(root);
    command.args(["fmt", "--all", "--", "--check"]);
    command
}

pub(crate) fn clippy(root: &Path) -> Command {
    let mut command = cargo(root);
    command.args(["clippy", "--release", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]);
    command
}

/// All tests even after one failed: a run on another machine is too dear to learn one thing from it.
fn tests(root: &Path) -> Command {
    let mut command = cargo(root);
    command.args(["test", "--release", "--workspace", "--locked", "--no-fail-fast"]);
    tools::show(&mut command, root);
    command
}

fn attack(root: &Path, test: &str) -> Command {
    let mut command = cargo(root);
    command.args(["test", "--release", "--locked", "--package", "hands", "--test", "attacks", "--", "--ignored"]);
    command.args(["--exact", test]);
    tools::show(&mut command, root);
    command
}

/// The steps that need the built server.
fn served(report: &mut Report, root: &Path) {
    if openapi::is_kept(root) {
        report.step("openapi", || {
            ensure!(openapi::check(root)?, "docs/openapi.json is out of date");
            Ok(Outcome::Counted(Tally::PASSED))
        });
    }
    conformance(report, root);
    report.step("conformance on PostgreSQL", || on_postgres(root));
    report.step("demo", || demo(root));
}

/// The newest SDK again, against a server on the scaled store.
fn on_postgres(root: &Path) -> Result<Outcome> {
    for toolchain in [&POSTGRES, &PYTHON] {
        if !toolchain.ready(root) {
            return toolchain.absent();
        }
    }
    let mut suite = cargo(root);
    suite.args([
        "run",
        "--release",
        "--locked",
        "--quiet",
        "--package",
        "testkit",
        "--bin",
        "with-postgres",
        "--",
        "--",
    ]);
    suite.args(["bash", CONFORMANCE, "python-2.12"]).env("STEAD_BIN", openapi::binary(root));
    counted(&mut suite)
}

/// Runs of the simulation, each from a seed of its own; the seed of a run that fails is printed with the command to repeat it.
pub(crate) fn sim(root: &Path, arguments: &[&str]) -> Command {
    let mut command = cargo(root);
    command.args(["run", "--release", "--locked", "--quiet", "--package", "sim", "--"]).args(arguments);
    command
}

/// The official SDKs against a live server. A toolchain that is missing takes away its own part alone.
fn conformance(report: &mut Report, root: &Path) {
    let mut ready = Vec::new();
    for toolchain in [&PYTHON, &NODE] {
        if toolchain.ready(root) {
            ready.push(toolchain.name);
        } else {
            report.step(&format!("conformance with {}", toolchain.name), || toolchain.absent());
        }
    }
    if ready.is_empty() {
        return;
    }
    report.step(&format!("conformance with {}", ready.join(" and ")), || {
        ensure!(root.join(CONFORMANCE).exists(), "{CONFORMANCE} is not there");
        let mut suite = command(root, "bash");
        suite.arg(CONFORMANCE).env("STEAD_BIN", openapi::binary(root));
        counted(&mut suite)
    });
}

/// README's first promise, kept as a test: the job of `make demo` on a fresh data directory, with the scripted model
/// whatever keys the developer's shell holds.
fn demo(root: &Path) -> Result<Outcome> {
    let scratch = Scratch::new()?;
    let out = scratch.0.join("out");
    let mut demo = command(root, "make");
    demo.arg("demo").arg(format!("DEMO_OUT={}", out.display())).env("STEAD_DATA_DIR", scratch.0.join("data"));
    for variable in ["ANTHROPIC_API_KEY", "OPENAI_API_KEY", "STEAD_URL", "STEAD_DATABASE_URL", "STEAD_LISTEN"] {
        demo.env_remove(variable);
    }
    run(&mut demo)?;
    for name in ["report.md", "chart.svg"] {
        let size = std::fs::metadata(out.join(name)).with_context(|| format!("the demo left no {name}"))?.len();
        ensure!(size > 0, "the demo left an empty {name}");
    }
    Ok(Outcome::Counted(Tally::PASSED))
}

fn needing(toolchain: &Toolchain, root: &Path, work: impl FnOnce() -> Result<Outcome>) -> Result<Outcome> {
    if toolchain.ready(root) { work() } else { toolchain.absent() }
}

fn passes(command: &mut Command) -> Result<Outcome> {
    run(command).map(|()| Outcome::Counted(Tally::PASSED))
}

/// A directory of our own under the system's temporary one, removed at the end. Its path is short because the server
/// puts Unix sockets below it, whose paths may have 108 bytes.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("stead-ci-{}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("could not remove {}: {error}", self.0.display());
        }
    }
}

//! How the packages of an environment are installed: one script for each manager, for Bash inside the sandbox, as root.
//!
//! Everything lands where every program finds it without being told: commands in `/usr/local/bin`, Python's packages in
//! the Python that `python3` is, Node's where `NODE_PATH` leads. A virtual environment on `PATH` would do for
//! `python3`, but not for scripts that begin with `#!/usr/bin/python3`, nor where `PATH` is set anew. Debian's mark
//! that its Python is managed by the distribution is there to keep a system whole; this one is a layer that was made
//! for these packages, and its pip writes to `/usr/local` besides.

mod quote;
mod scripts;
#[cfg(test)]
mod tests;

use std::time::Duration;

use wire::environment::{Manager, Packages};

use self::quote::quote;
use crate::Indexes;

/// Changed whenever the same packages are installed in another way, so that layers made before are not taken for new.
pub(crate) const VERSION: u32 = 1;

/// The end of a script's output tells [`crate::diagnose`] by these what no manager says.
pub(crate) const LACKS: &str = "packages: there is no program called";
pub(crate) const TOO_LONG: &str = "packages: given up after";

/// Runs before each script. `within` gives a command its time; `again` has it tried anew, for those that do not try
/// again themselves.
const BEFORE: &str = include_str!("recipe/before.sh");

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub manager: Manager,
    /// For `bash -c`. Asks nothing, and ends with a status other than zero if any package is not there afterwards.
    pub script: String,
    /// Programs that have to be there. The script looks for them too, so that a step may be run unseen.
    pub needs: &'static [&'static str],
    /// After which the whole step is to be ended: its commands have shorter limits of their own.
    pub limit: Duration,
}

/// A base without a package manager.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the {} packages need `{program}`, and the base of the environment has none: install it on the host (Debian \
     package `{package}`), or take a base image that has it", .manager.name()
)]
pub struct Missing {
    pub manager: Manager,
    pub program: String,
    /// What Debian calls the package that has it.
    pub package: &'static str,
}

/// What to say when one of [`Step::needs`] is not there.
pub fn missing(manager: Manager, program: &str) -> Missing {
    let package = match program {
        "cargo" => "cargo",
        "cc" => "build-essential",
        "gem" => "ruby-dev",
        "go" => "golang-go",
        "npm" => "npm",
        "python3" | "pip3" => "python3-pip",
        "timeout" => "coreutils",
        _ => "apt",
    };
    Missing { manager, program: program.to_owned(), package }
}

/// In the order in which they are to be run; none for a manager without packages.
pub fn recipes(packages: &Packages, indexes: &Indexes) -> Vec<Step> {
    let steps = Manager::ALL.into_iter().filter_map(|manager| {
        let packages = normal(packages, manager);
        (!packages.is_empty()).then(|| step(manager, &packages, indexes))
    });
    steps.collect()
}

/// Each once, and sorted: a manager gets all of its packages, so their order says nothing.
pub(crate) fn normal(packages: &Packages, manager: Manager) -> Vec<&str> {
    let mut entries: Vec<&str> = packages.of(manager).iter().map(|entry| entry.trim()).collect();
    // What looks like an option is refused before it gets here. It must not become one even so.
    entries.retain(|entry| !entry.is_empty() && !entry.starts_with('-'));
    entries.sort_unstable();
    entries.dedup();
    entries
}

fn step(manager: Manager, packages: &[&str], indexes: &Indexes) -> Step {
    let (needs, minutes): (&'static [&'static str], u64) = match manager {
        Manager::Apt => (&["apt-get"], 45),
        // Compiling takes as long as it takes.
        Manager::Cargo => (&["cargo", "cc"], 120),
        Manager::Gem => (&["gem"], 45),
        Manager::Go => (&["go"], 60),
        Manager::Npm => (&["npm"], 45),
        Manager::Pip => (&["python3", "pip3"], 60),
    };
    let mut script = BEFORE.to_owned();
    for (name, value) in &indexes.settings.environment {
        script.push_str(&format!("export {name}={}\n", quote(value)));
    }
    for program in needs {
        script.push_str(&format!("need {program}\n"));
    }
    script.push_str(&match manager {
        Manager::Apt => scripts::apt(packages),
        Manager::Cargo => scripts::cargo(packages),
        Manager::Gem => scripts::gem(packages),
        Manager::Go => scripts::go(packages),
        Manager::Npm => scripts::npm(packages),
        Manager::Pip => scripts::pip(packages),
    });
    Step { manager, script, needs, limit: Duration::from_secs(minutes * 60) }
}

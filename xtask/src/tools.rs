//! Programs that tests run and few machines have: runtimes to make sandboxes with, a registry to pull images from.
//!
//! They are taken out of Debian's packages into `target/tools`, from the archive that this machine is configured with,
//! and stay there from run to run. Nothing is installed and nothing on the machine changes, so that it takes no rights:
//! apt works on a state of its own below that directory. Who removes the directory has them anew with the next run.

mod apt;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::report::{Outcome, Tally};
use crate::toolchain::strict;

use self::apt::Apt;

/// Tells tests where the programs are: an absolute path.
const VARIABLE: &str = "STEAD_TEST_TOOLS";

/// Where a loader looks for libraries besides.
const LIBRARY_PATH: &str = "LD_LIBRARY_PATH";

struct Tool {
    name: &'static str,
    package: &'static str,
    /// Packages with libraries that it needs and few machines have.
    libraries: &'static [&'static str],
    /// Of the release's backports, for the release's own is too old.
    is_backport: bool,
}

static TOOLS: [Tool; 6] = [
    // Debian 12's own has no systrap, and takes no descriptors in.
    Tool { name: "runsc", package: "runsc", libraries: &[], is_backport: true },
    Tool { name: "runc", package: "runc", libraries: &[], is_backport: false },
    Tool { name: "crun", package: "crun", libraries: &["libyajl2"], is_backport: false },
    Tool { name: "docker-registry", package: "docker-registry", libraries: &[], is_backport: false },
    // What benches compare with.
    Tool { name: "bwrap", package: "bubblewrap", libraries: &[], is_backport: false },
    Tool { name: "rg", package: "ripgrep", libraries: &[], is_backport: false },
];

/// Gets those that are not there yet. What cannot be had is named; under `CI=true` that is a failure.
pub(crate) fn get(root: &Path) -> Result<Outcome> {
    let place = Place::of(root);
    let (backports, release): (Vec<_>, Vec<_>) =
        TOOLS.iter().filter(|tool| !place.has(tool)).partition(|tool| tool.is_backport);
    if backports.is_empty() && release.is_empty() {
        return Ok(Outcome::Counted(Tally::PASSED));
    }
    let scratch = place.directory.join("apt");
    let archive = Apt::of_this_machine(&scratch.join("release"));
    let later = match &archive {
        Ok(archive) if !backports.is_empty() => archive.backports(&scratch.join("backports")),
        Ok(_) => Err(anyhow!("nothing is needed of it")),
        Err(error) => Err(anyhow!("{error:#}")),
    };
    let mut lacks = place.fetch_all(&release, &archive);
    lacks.extend(place.fetch_all(&backports, &later));
    // Lists and packages, several times as large as what was wanted of them.
    if scratch.exists() {
        fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))?;
    }
    match lacks.join("; ") {
        none if none.is_empty() => Ok(Outcome::Counted(Tally::PASSED)),
        lacks if strict() => bail!("under CI=true nothing is skipped: {lacks}"),
        lacks => Ok(Outcome::Skipped(lacks)),
    }
}

/// Lets a command, and the servers that it starts, find them: before what the machine has installed, which may be too
/// old.
pub(crate) fn show(command: &mut Command, root: &Path) {
    let Place { directory, libraries } = Place::of(root);
    let path = env::var_os("PATH").unwrap_or_default();
    if let Ok(path) = env::join_paths([directory.clone()].into_iter().chain(env::split_paths(&path))) {
        command.env("PATH", path);
    }
    command.env(LIBRARY_PATH, with(&libraries)).env(VARIABLE, directory);
}

struct Place {
    directory: PathBuf,
    libraries: PathBuf,
}

impl Place {
    fn of(root: &Path) -> Self {
        let directory = root.join("target/tools");
        Self { libraries: directory.join("lib"), directory }
    }

    /// Whether it is there, and starts.
    fn has(&self, tool: &Tool) -> bool {
        let mut probe = Command::new(self.directory.join(tool.name));
        probe.arg("--version").env(LIBRARY_PATH, with(&self.libraries));
        probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    }

    /// Returns which it could not get, and why.
    fn fetch_all(&self, tools: &[&Tool], archive: &Result<Apt>) -> Vec<String> {
        let fetch = |tool: &Tool| match archive {
            Ok(archive) => self.fetch(tool, archive),
            Err(error) => bail!("{error:#}"),
        };
        let fetched = tools.iter().map(|tool| (tool.name, fetch(tool)));
        fetched.filter_map(|(name, fetched)| Some(format!("no {name}: {:#}", fetched.err()?))).collect()
    }

    fn fetch(&self, tool: &Tool, archive: &Apt) -> Result<()> {
        for package in tool.libraries {
            let unpacked = archive.unpacked(package)?;
            for library in files(&unpacked.join("usr/lib")) {
                let name = library.file_name().unwrap_or_default();
                if name.to_string_lossy().contains(".so") {
                    place(&library, &self.libraries.join(name))?;
                }
            }
        }
        let unpacked = archive.unpacked(tool.package)?;
        let places = ["usr/bin", "usr/sbin"].map(|directory| unpacked.join(directory).join(tool.name));
        let program = places.iter().find(|path| path.is_file()).context("its package has no such program")?;
        place(program, &self.directory.join(tool.name))?;
        ensure!(self.has(tool), "it does not start here");
        Ok(())
    }
}

/// A copy that is whole or not there, as somebody may stop this at any time.
fn place(from: &Path, to: &Path) -> Result<()> {
    let unfinished = to.with_extension("unfinished");
    let copied = fs::create_dir_all(to.parent().unwrap_or(to))
        .and_then(|()| fs::copy(from, &unfinished))
        .and_then(|_| fs::rename(&unfinished, to));
    copied.with_context(|| format!("cannot copy it to {}", to.display()))
}

/// All below a directory that are files, or links to some.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The loader's path with this directory behind what is on it. An empty part of it would be the working directory.
fn with(directory: &Path) -> OsString {
    let path = env::var_os(LIBRARY_PATH).unwrap_or_default();
    let others = env::split_paths(&path).filter(|path| !path.as_os_str().is_empty());
    env::join_paths(others.chain([directory.to_owned()])).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_finds_them_first_and_all_else_as_before() {
        let mut command = Command::new("true");
        show(&mut command, Path::new("/tree"));
        let set = |name: &str| command.get_envs().find(|(known, _)| *known == name).and_then(|(_, value)| value);
        let path: Vec<_> = set("PATH").map(|path| env::split_paths(path).collect()).unwrap_or_default();
        let before: Vec<_> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
        assert_eq!(path.split_first(), Some((&PathBuf::from("/tree/target/tools"), before.as_slice())));
        assert_eq!(set(VARIABLE), Some("/tree/target/tools".as_ref()));
        assert!(set(LIBRARY_PATH).is_some_and(|path| env::split_paths(path).all(|part| part.is_absolute())));
    }
}

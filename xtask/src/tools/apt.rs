//! apt on a state of its own: the machine's sources and keys, and nobody else's lists, caches and locks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::command::run;

/// The keys of Debian's own archive, which every Debian has.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

pub(super) struct Apt {
    directory: PathBuf,
    /// Which sources, if not the machine's.
    sources: Option<PathBuf>,
}

impl Apt {
    /// Reads what the machine's own sources have.
    pub(super) fn of_this_machine(directory: &Path) -> Result<Self> {
        for program in ["apt-get", "dpkg"] {
            let found = Command::new(program).arg("--version").output().is_ok_and(|said| said.status.success());
            ensure!(found, "there is no {program} here to get it with");
        }
        Self::updated(Self { directory: directory.to_owned(), sources: None })
    }

    /// What was made for this machine's Debian later. It lies where the release does.
    pub(super) fn backports(&self, directory: &Path) -> Result<Self> {
        let release = ["Created-By: Packages", "Origin: Debian", "Component: main"];
        let mut list = self.get(&["indextargets", "--format", "$(REPO_URI) $(CODENAME)"]);
        let listed = list.args(release).output().context("apt-get cannot be run")?;
        let listed = String::from_utf8_lossy(&listed.stdout);
        let (place, name) = release_in(&listed)?;
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let sources = directory.join("sources.list");
        let signed = if Path::new(KEYS).exists() { format!("[signed-by={KEYS}] ") } else { String::new() };
        fs::write(&sources, format!("deb {signed}{place} {name}-backports main\n"))
            .context("cannot write its sources")?;
        Self::updated(Self { directory: directory.to_owned(), sources: Some(sources) })
    }

    fn updated(self) -> Result<Self> {
        for part in ["state/lists/partial", "cache/archives/partial"] {
            let part = self.directory.join(part);
            fs::create_dir_all(&part).with_context(|| format!("cannot make {}", part.display()))?;
        }
        // One source of many may be out of reach, and the rest do.
        if let Err(error) = run(&mut self.get(&["update", "-qq"])) {
            eprintln!("{error:#}");
        }
        Ok(self)
    }

    /// Downloads a package and unpacks it, and returns where.
    pub(super) fn unpacked(&self, package: &str) -> Result<PathBuf> {
        let at = self.directory.join(package);
        if at.exists() {
            fs::remove_dir_all(&at).with_context(|| format!("cannot remove {}", at.display()))?;
        }
        fs::create_dir(&at).with_context(|| format!("cannot make {}", at.display()))?;
        run(self.get(&["download", "-qq", package]).current_dir(&at))?;
        let entries = fs::read_dir(&at)?.flatten().map(|entry| entry.path());
        let file = entries.into_iter().find(|path| path.extension().is_some_and(|kind| kind == "deb"));
        let unpacked = at.join("unpacked");
        run(Command::new("dpkg").arg("-x").arg(file.context("nothing was downloaded")?).arg(&unpacked))?;
        Ok(unpacked)
    }

    fn get(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("apt-get");
        let mut set = |name: &str, value: &Path| {
            command.arg("-o").arg(format!("{name}={}", value.display()));
        };
        set("Dir::State", &self.directory.join("state"));
        set("Dir::State::status", Path::new("/var/lib/dpkg/status"));
        set("Dir::Cache", &self.directory.join("cache"));
        if let Some(sources) = &self.sources {
            set("Dir::Etc::sourcelist", sources);
            set("Dir::Etc::sourceparts", Path::new("-"));
        }
        // The user that apt would become may not write here. Descriptions in other languages are as long as the lists.
        command.args(["-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=none"]).args(arguments);
        command
    }
}

/// The release itself among what sources have, not its updates: its place and its name.
fn release_in(listed: &str) -> Result<(&str, &str)> {
    let mut sources = listed.lines().filter_map(|line| line.split_once(' '));
    match sources.find(|(_, name)| !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric())) {
        Some(release) => Ok(release),
        None => bail!("this machine gets its packages from no Debian"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backports_lie_where_the_release_does() {
        let listed =
            "http://one.test/debian/ bookworm-updates\nhttp://two.test/debian/ bookworm\nhttp://three.test/ x\n";
        assert_eq!(release_in(listed).ok(), Some(("http://two.test/debian/", "bookworm")));
        assert!(release_in("").is_err());
        assert!(release_in("http://one.test/ stable-security\n").is_err());
    }
}

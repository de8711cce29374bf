//! Where this host's package managers get packages.

mod apt;
mod cargo;
mod certificates;
mod gem;
mod git;
mod go;
mod npm;
mod pip;
mod secrets;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::Host;
use crate::address::{Address, is_seen_inside};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Indexes {
    /// Names and addresses, in small letters and without ports: what package managers inside have to reach, even where
    /// it is private.
    pub hosts: BTreeSet<String>,
    /// With these, the managers inside use the same indexes.
    pub settings: Settings,
    /// Which files and variables of the host hold secrets that were left out, so that an operator knows why an index
    /// refuses those inside.
    pub withheld: BTreeSet<String>,
    /// What else an operator should know: settings that could not be followed, and why. Without secrets.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    pub environment: Vec<(String, String)>,
    /// By their places inside.
    pub files: Vec<(PathBuf, String)>,
    /// Public keys that repositories are signed with, at the same places on the host and inside. They may be binary, so
    /// they are copied as they are.
    pub keys: Vec<PathBuf>,
}

impl Settings {
    /// For a base that is not this host's own system: the sources of one distribution's packages are none for another,
    /// and certificates are elsewhere.
    pub fn for_another_system(&self) -> Self {
        let is_portable = |path: &Path| !path.starts_with("/etc/apt");
        let is_bundle = |value: &str| certificates::is_of_the_system(Path::new(value));
        Self {
            environment: self.environment.iter().filter(|(_, value)| !is_bundle(value)).cloned().collect(),
            files: self.files.iter().filter(|(path, _)| is_portable(path)).map(without_bundles).collect(),
            keys: Vec::new(),
        }
    }
}

/// Without the lines that name certificates of the system, as `cert = /etc/ssl/certs/…`.
fn without_bundles((path, text): &(PathBuf, String)) -> (PathBuf, String) {
    let names_one = |line: &&str| {
        line.split_once('=')
            .is_some_and(|(_, value)| certificates::is_of_the_system(Path::new(value.trim().trim_matches('"'))))
    };
    let kept = text.split_inclusive('\n').filter(|line| !names_one(line)).collect();
    (path.clone(), kept)
}

impl Indexes {
    pub fn of_this_host() -> Self {
        Self::find(&Host::this())
    }

    /// Asks the host's tools, so it takes seconds rather than milliseconds. Never fails: what is not found is not
    /// there, or has a note.
    pub fn find(host: &Host) -> Self {
        let mut found = Self::default();
        apt::find(host, &mut found);
        cargo::find(host, &mut found);
        gem::find(host, &mut found);
        go::find(host, &mut found);
        npm::find(host, &mut found);
        pip::find(host, &mut found);
        git::find(host, &mut found);
        certificates::find(host, &mut found);
        secrets::find(host, &mut found);
        found
    }

    fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    fn set(&mut self, name: &str, value: impl Into<String>) {
        self.settings.environment.push((name.to_owned(), value.into()));
    }

    fn file(&mut self, path: impl Into<PathBuf>, text: impl Into<String>) {
        self.settings.files.push((path.into(), text.into()));
    }

    fn withhold(&mut self, origin: &str) {
        self.withheld.insert(origin.to_owned());
    }

    /// Opens the host of an address that stands in `origin`, and gives the address as it may be copied. None if those
    /// inside cannot use it.
    fn open(&mut self, address: &str, origin: &str) -> Option<String> {
        match Address::parse(address) {
            Address::Remote(remote) => {
                if remote.had_secret {
                    self.withhold(origin);
                }
                self.hosts.insert(remote.host);
                Some(remote.text)
            }
            Address::Local(path) if is_seen_inside(&path) => Some(address.trim().to_owned()),
            Address::Local(path) => {
                self.note(format!("{origin}: {} is left out, for sandboxes do not see it", path.display()));
                None
            }
            Address::Unclear => {
                // Whatever it is, an @ may be the end of a password.
                if address.contains('@') {
                    self.withhold(origin);
                }
                self.note(format!("{origin}: an address in it is left out, for it could not be understood"));
                None
            }
        }
    }
}

//! The host: its files, its environment, and what its own tools answer.

mod command;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// No file of settings is longer; what is, is not read.
const LONGEST: u64 = 4 << 20;

/// What a program wrote to its standard output; none if it is not there, failed, or took too long.
pub type Runner = Box<dyn Fn(&str, &[&str]) -> Option<String> + Send + Sync>;

pub struct Host {
    /// What stands for `/`.
    pub root: PathBuf,
    pub environment: BTreeMap<String, String>,
    pub run: Runner,
}

impl Host {
    /// The machine that this runs on.
    pub fn this() -> Self {
        let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        let environment: BTreeMap<_, _> = std::env::vars_os().filter_map(text).collect();
        let given = environment.clone();
        let run: Runner = Box::new(move |program, arguments| command::run(program, arguments, &given));
        Self { root: "/".into(), environment, run }
    }

    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Option<String> {
        (self.run)(program, arguments)
    }

    /// An empty variable is none, as the tools have it.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.variable("HOME").map_or_else(|| "/root".into(), PathBuf::from)
    }

    /// Where the user's settings are.
    pub(crate) fn config(&self) -> PathBuf {
        self.variable("XDG_CONFIG_HOME").map_or_else(|| self.home().join(".config"), PathBuf::from)
    }

    pub(crate) fn exists(&self, path: &Path) -> bool {
        self.place(path).exists()
    }

    pub(crate) fn read(&self, path: &Path) -> Option<String> {
        let place = self.place(path);
        // A pipe would be read for ever.
        if !fs::metadata(&place).ok()?.is_file() {
            return None;
        }
        let mut bytes = Vec::new();
        File::open(place).ok()?.take(LONGEST + 1).read_to_end(&mut bytes).ok()?;
        (bytes.len() as u64 <= LONGEST).then(|| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What is in a directory, by name.
    pub(crate) fn list(&self, directory: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.place(directory)).into_iter().flatten().flatten();
        let mut paths: Vec<_> = entries.map(|entry| directory.join(entry.file_name())).collect();
        paths.sort();
        paths
    }

    fn place(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

impl fmt::Debug for Host {
    /// Without the environment, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("root", &self.root).finish_non_exhaustive()
    }
}

/// A host of a directory and a few prepared answers.
#[cfg(test)]
pub(crate) mod fake {
    use tempfile::TempDir;

    use super::*;

    pub(crate) struct Fake {
        directory: TempDir,
        environment: BTreeMap<String, String>,
        answers: BTreeMap<String, String>,
    }

    impl Fake {
        pub(crate) fn new() -> Self {
            let environment = BTreeMap::from([("HOME".to_owned(), "/srv/me".to_owned())]);
            Self { directory: tempfile::tempdir().unwrap(), environment, answers: BTreeMap::new() }
        }

        pub(crate) fn file(self, path: &str, text: &str) -> Self {
            let place = self.directory.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(place, text).unwrap();
            self
        }

        pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
            self.environment.insert(name.to_owned(), value.to_owned());
            self
        }

        /// `command` is the program and its first argument.
        pub(crate) fn answer(mut self, command: &str, output: &str) -> Self {
            self.answers.insert(command.to_owned(), output.to_owned());
            self
        }

        pub(crate) fn host(&self) -> Host {
            let answers = self.answers.clone();
            let run: Runner = Box::new(move |program, arguments| {
                let first = arguments.first().copied().unwrap_or_default();
                answers.get(&format!("{program} {first}")).cloned()
            });
            Host { root: self.directory.path().to_owned(), environment: self.environment.clone(), run }
        }
    }
}

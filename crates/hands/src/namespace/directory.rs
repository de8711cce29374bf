//! A hand's own directory on the host: what is in it, and how it comes and goes.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, ErrorKind, Read, Seek, SeekFrom},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{groups, keep::Keep, own, process::Process, uploads::UPLOADS};
use crate::{Address, Ground, Limits, Network, unconfined};

/// Where they all are, below the data directory.
pub(super) const HANDS: &str = "hands";

const RECORD: &str = "address.json";
const JOURNAL: &str = "journal";

/// Bytes of a log that are quoted.
const WORDS: u64 = 500;

/// What is kept beside a live sandbox, for a server that finds it later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) address: Address,
    pub(super) daemon: Process,
    pub(super) limits: Limits,
    pub(super) groups: Vec<PathBuf>,
    /// What it stands on.
    #[serde(default)]
    pub(super) ground: Ground,
    /// What it may reach.
    #[serde(default)]
    pub(super) network: Option<Network>,
    /// What takes all that it writes, to become a layer.
    #[serde(default)]
    pub(super) keep: Option<Keep>,
}

/// Whether this can be a directory's name, and is no path.
pub(super) fn check(name: &str) -> io::Result<()> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    if name.is_empty() || name.len() > 100 || !name.chars().all(plain) {
        let rule = "a sandbox's name is 1 to 100 ASCII letters, digits, `_` or `-`";
        return Err(io::Error::new(ErrorKind::InvalidInput, rule));
    }
    Ok(())
}

pub(super) struct Directory(PathBuf);

impl Directory {
    /// The directory of the hand of this name, which may not exist.
    pub(super) fn of(data_dir: &Path, name: &str) -> io::Result<Self> {
        check(name)?;
        Ok(Self(data_dir.join(HANDS).join(name)))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes it anew, but for the journal: what an earlier sandbox of the session was asked to do must not be done again.
    pub(super) fn make(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            if entry.file_name() == JOURNAL {
                continue;
            }
            if entry.file_type()?.is_dir() { own::remove(&entry.path())? } else { fs::remove_file(entry.path())? }
        }
        fs::create_dir(self.0.join(UPLOADS))?;
        fs::set_permissions(self.0.join(UPLOADS), Permissions::from_mode(0o755))
    }

    pub(super) fn log(&self) -> io::Result<File> {
        OpenOptions::new().append(true).create(true).mode(0o600).open(self.0.join("log"))
    }

    /// The end of the log, for an error's message. Only the end: the daemon may have written anything, and any amount.
    pub(super) fn last_words(&self) -> String {
        let mut words = Vec::new();
        if let Ok(mut log) = File::open(self.0.join("log")) {
            let length = log.metadata().map_or(0, |metadata| metadata.len());
            let _ = log.seek(SeekFrom::Start(length.saturating_sub(WORDS)));
            let _ = log.take(WORDS).read_to_end(&mut words);
        }
        String::from_utf8_lossy(&words).trim().replace('\n', "; ")
    }

    pub(super) fn record(&self) -> Option<Record> {
        serde_json::from_slice(&fs::read(self.0.join(RECORD)).ok()?).ok()
    }

    /// Whole or not at all: a reader never sees half of it.
    pub(super) fn keep(&self, record: &Record) -> io::Result<()> {
        let unfinished = self.0.join("address.unfinished");
        fs::write(&unfinished, serde_json::to_vec_pretty(record)?)?;
        fs::rename(unfinished, self.0.join(RECORD))
    }

    /// Ends the sandbox that the record names, if it still lives, and takes its control groups away.
    pub(super) fn end(&self) -> io::Result<()> {
        let Some(record) = self.record() else { return Ok(()) };
        if record.address.backend == unconfined::BACKEND {
            own::end(&record.daemon)?
        } else {
            record.daemon.end()?
        }
        groups::remove(&record.groups)
    }

    /// Ends the sandbox and leaves nothing behind.
    pub(super) fn destroy(&self) -> io::Result<()> {
        self.end()?;
        match own::remove(&self.0) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_a_path_is_no_name() {
        for name in ["", ".", "..", "a/b", "/etc", "a b", &"x".repeat(101)] {
            assert!(Directory::of(Path::new("/data"), name).is_err(), "{name}");
        }
        assert_eq!(Directory::of(Path::new("/data"), "sesn_1-A").unwrap().path(), Path::new("/data/hands/sesn_1-A"));
    }

    #[test]
    fn the_journal_outlives_a_new_sandbox_and_nothing_else_does() {
        let data = tempfile::tempdir().unwrap();
        let directory = Directory::of(data.path(), "one").unwrap();
        directory.make().unwrap();
        fs::write(directory.path().join(UPLOADS).join("file"), "text").unwrap();
        fs::write(directory.path().join(JOURNAL), "past").unwrap();
        directory.make().unwrap();
        assert!(!directory.path().join(UPLOADS).join("file").exists());
        assert_eq!(fs::read_to_string(directory.path().join(JOURNAL)).unwrap(), "past");
        directory.destroy().unwrap();
        directory.destroy().unwrap();
        assert!(!directory.path().exists());
    }
}

//! Where the files of sandboxes that were put away lie: beside the hands' own directories, which later sandboxes of the
//! same names take over. Each name has a directory, and in it each incarnation one, with the archive and the record of
//! the sandbox that it came from. That directory gets its name when both are whole.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use crate::{
    Checkpoint,
    namespace::{
        directory::{self, Record},
        shared::random,
    },
};

/// Below the data directory.
const RESTED: &str = "rested";

const CHECKPOINT: &str = "checkpoint";
const RECORD: &str = "address.json";

/// Ends the name of what is being written, or removed. No incarnation ends like this.
const UNFINISHED: &str = ".unfinished";

/// What was put away under one name.
pub(in crate::namespace) struct Rested(PathBuf);

/// One sandbox that was put away.
pub(in crate::namespace) struct Away {
    pub(in crate::namespace) record: Record,
    pub(in crate::namespace) checkpoint: Checkpoint,
}

impl Rested {
    pub(in crate::namespace) fn of(data_dir: &Path, name: &str) -> io::Result<Self> {
        directory::check(name)?;
        Ok(Self(data_dir.join(RESTED).join(name)))
    }

    /// What was put away under any name.
    pub(in crate::namespace) fn everywhere(data_dir: &Path) -> Vec<Self> {
        let names = entries(&data_dir.join(RESTED));
        names.iter().filter_map(|name| Self::of(data_dir, name).ok()).collect()
    }

    /// What this incarnation was put away as.
    pub(in crate::namespace) fn find(&self, incarnation: &str) -> Option<Away> {
        self.look(incarnation).ok().flatten()
    }

    /// The same, where what cannot be read just now must not be taken for what is not there.
    pub(in crate::namespace) fn look(&self, incarnation: &str) -> io::Result<Option<Away>> {
        if directory::check(incarnation).is_err() {
            return Ok(None);
        }
        let place = self.0.join(incarnation);
        let record = match fs::read(place.join(RECORD)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            read => serde_json::from_slice::<Record>(&read?)?,
        };
        let checkpoint = checkpoint(&place.join(CHECKPOINT))?;
        Ok((record.address.incarnation == incarnation).then_some(Away { record, checkpoint }))
    }

    pub(in crate::namespace) fn all(&self) -> Vec<Away> {
        entries(&self.0).iter().filter_map(|name| self.find(name)).collect()
    }

    /// Room for what is to be put away. It goes again unless it is committed.
    pub(super) fn begin(&self) -> io::Result<Unfinished> {
        private().recursive(true).create(&self.0)?;
        let place = self.0.join(format!("{:032x}{UNFINISHED}", random()?));
        private().create(&place)?;
        Ok(Unfinished { rested: self.0.clone(), place, is_committed: false })
    }

    /// Removes what this incarnation was put away as, if it was.
    pub(in crate::namespace) fn remove(&self, incarnation: &str) -> io::Result<()> {
        if directory::check(incarnation).is_err() {
            return Ok(());
        }
        // What is half removed is never found.
        let removed = self.0.join(format!("{:032x}{UNFINISHED}", random()?));
        match fs::rename(self.0.join(incarnation), &removed) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                gone(fs::remove_dir_all(removed))?;
                self.close();
                Ok(())
            }
        }
    }

    pub(in crate::namespace) fn remove_all(&self) -> io::Result<()> {
        for name in entries(&self.0) {
            self.remove(&name)?;
        }
        gone(fs::remove_dir_all(&self.0))
    }

    /// Removes what was never finished.
    pub(super) fn sweep(&self) -> io::Result<()> {
        for name in entries(&self.0).iter().filter(|name| name.ends_with(UNFINISHED)) {
            gone(fs::remove_dir_all(self.0.join(name)))?;
        }
        self.close();
        Ok(())
    }

    /// Takes the directory of the name away, if nothing is in it.
    fn close(&self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// What is about to be put away.
pub(super) struct Unfinished {
    rested: PathBuf,
    place: PathBuf,
    is_committed: bool,
}

impl Unfinished {
    /// For the archive. Nobody else reads what is in it.
    pub(super) fn file(&self) -> io::Result<File> {
        create(&self.place.join(CHECKPOINT))
    }

    /// For an archive that lies elsewhere already, and goes on doing so.
    pub(super) fn link(&self, archive: &Path) -> io::Result<()> {
        fs::hard_link(archive, self.place.join(CHECKPOINT))
    }

    /// From now on the sandbox of this record is one that was put away.
    pub(super) fn commit(mut self, record: &Record) -> io::Result<Checkpoint> {
        let mut file = create(&self.place.join(RECORD))?;
        file.write_all(&serde_json::to_vec_pretty(record)?)?;
        // On disk before its processes end: there is nothing else of it then.
        file.sync_all()?;
        File::open(self.place.join(CHECKPOINT))?.sync_all()?;
        File::open(&self.place)?.sync_all()?;
        let place = self.rested.join(&record.address.incarnation);
        fs::rename(&self.place, &place)?;
        self.is_committed = true;
        File::open(&self.rested)?.sync_all()?;
        checkpoint(&place.join(CHECKPOINT))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_committed {
            let _ = fs::remove_dir_all(&self.place);
            let _ = fs::remove_dir(&self.rested);
        }
    }
}

fn private() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

fn create(path: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

fn checkpoint(path: &Path) -> io::Result<Checkpoint> {
    let found = fs::symlink_metadata(path)?;
    if !found.is_file() {
        return Err(io::Error::other("a checkpoint is a file"));
    }
    let at = found.mtime().saturating_mul(1_000).saturating_add(found.mtime_nsec() / 1_000_000);
    Ok(Checkpoint { path: path.to_owned(), bytes: found.len(), at })
}

/// The names in a directory. None if it is not there.
pub(super) fn entries(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// What has gone already need not be removed.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;
    use crate::{Address, Ground, Limits, namespace::process::Process};

    fn record(incarnation: &str) -> Record {
        let address = Address {
            backend: "namespace".into(),
            directory: "hands/one".into(),
            incarnation: incarnation.into(),
            home: None,
        };
        Record {
            address,
            daemon: Process::find(1).unwrap(),
            limits: Limits::default(),
            groups: Vec::new(),
            ground: Ground::default(),
            network: None,
            keep: None,
        }
    }

    fn rested(data: &TempDir) -> Rested {
        Rested::of(data.path(), "one").unwrap()
    }

    fn put(rested: &Rested, incarnation: &str) -> Checkpoint {
        let unfinished = rested.begin().unwrap();
        unfinished.file().unwrap().write_all(b"archive").unwrap();
        unfinished.commit(&record(incarnation)).unwrap()
    }

    #[test]
    fn what_is_committed_is_found_and_nothing_else_is() {
        let data = tempfile::tempdir().unwrap();
        let rested = rested(&data);
        let unfinished = rested.begin().unwrap();
        unfinished.file().unwrap().write_all(b"half").unwrap();
        assert!(rested.find("abc").is_none() && rested.all().is_empty());
        drop(unfinished);
        assert!(!rested.0.exists());

        let checkpoint = put(&rested, "abc");
        let away = rested.find("abc").unwrap();
        assert_eq!((away.record, away.checkpoint), (record("abc"), checkpoint.clone()));
        assert_eq!(checkpoint.bytes, 7);
        for path in [&checkpoint.path, &checkpoint.path.with_file_name(RECORD)] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::metadata(&rested.0).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(rested.find("abd").is_none() && rested.find("../one/abc").is_none());
    }

    #[test]
    fn each_incarnation_goes_by_itself() {
        let data = tempfile::tempdir().unwrap();
        let rested = rested(&data);
        put(&rested, "abc");
        put(&rested, "abd");
        rested.remove("../one/abd").unwrap();
        rested.remove("abc").unwrap();
        rested.remove("abc").unwrap();
        assert!(rested.find("abc").is_none() && rested.find("abd").is_some());
        rested.remove_all().unwrap();
        rested.remove_all().unwrap();
        assert!(!rested.0.exists());
    }

    #[test]
    fn only_what_was_never_finished_is_swept() {
        let data = tempfile::tempdir().unwrap();
        let rested = rested(&data);
        put(&rested, "abc");
        std::mem::forget(rested.begin().unwrap());
        // Of a later version, which writes records that this one cannot read.
        put(&rested, "abd");
        fs::write(rested.0.join("abd").join(RECORD), "{}").unwrap();
        for found in Rested::everywhere(data.path()) {
            found.sweep().unwrap();
        }
        let mut left = entries(&rested.0);
        left.sort();
        assert_eq!(left, ["abc", "abd"]);
    }
}

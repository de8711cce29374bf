//! The data directory: one process owns it, and its lock proves that every earlier owner is dead.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use crate::Rng;

const LOCK: &str = "lock";
const ID: &str = "directory_id";

/// Owned until dropped, or until the process dies.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    id: String,
    _lock: File,
}

#[derive(Debug, thiserror::Error)]
pub enum OwnError {
    #[error("another Stead owns the data directory {0}: stop it, or choose another with STEAD_DATA_DIR")]
    Locked(PathBuf),
    #[error("the data directory {path} cannot be used: {source}")]
    Unusable { path: PathBuf, source: io::Error },
}

/// Another node may hold the lock for a moment, to see whether this one's owner is dead.
const PATIENCE: [Duration; 5] = [Duration::from_millis(100); 5];

impl Directory {
    /// Takes the lock of a directory that exists.
    pub fn own(path: &Path, rng: &dyn Rng) -> Result<Self, OwnError> {
        let unusable = |source| OwnError::Unusable { path: path.to_owned(), source };
        let file = File::options().create(true).truncate(false).read(true).write(true).open(path.join(LOCK));
        let mut file = file.map_err(unusable)?;
        let mut waits = PATIENCE.into_iter();
        while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let Some(wait) = waits.next() else { return Err(OwnError::Locked(path.to_owned())) };
            std::thread::sleep(wait);
        }
        // For people who look; nothing reads it.
        let _ = file.rewind().and_then(|()| file.set_len(0)).and_then(|()| writeln!(file, "{}", std::process::id()));
        let id = identify(path, rng).map_err(unusable)?;
        Ok(Self { path: path.to_owned(), id, _lock: file })
    }

    /// Takes the lock if nobody has it, without waiting: while what is returned lives, no process owns the directory.
    pub fn own_if_abandoned(path: &Path) -> Option<Self> {
        let file = File::options().read(true).write(true).open(path.join(LOCK)).ok()?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
        let id = std::fs::read_to_string(path.join(ID)).ok()?;
        Some(Self { path: path.to_owned(), id, _lock: file })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Made with the directory, and never changed: names it wherever paths would not do.
    pub fn id(&self) -> &str {
        &self.id
    }
}

fn identify(path: &Path, rng: &dyn Rng) -> io::Result<String> {
    let file = path.join(ID);
    match std::fs::read_to_string(&file) {
        Ok(id) if !id.is_empty() => return Ok(id),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let id = format!("{:032x}", rng.bits());
    // Whole or not there: a directory must not change its name because a process died here.
    let new = path.join("directory_id.new");
    let mut written = File::create(&new)?;
    written.write_all(id.as_bytes())?;
    written.sync_all()?;
    std::fs::rename(&new, &file)?;
    File::open(path)?.sync_all()?;
    Ok(id)
}

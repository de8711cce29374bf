//! Directories named by a key, each made once. What is there is whole, whatever process died when.
//!
//! Beside `KEY` lies `KEY.lock`: locked alone by who makes or removes the directory, together by who uses it, and last
//! modified when it was last used. A directory is made as `KEY.building`, synced and renamed; one that goes is renamed
//! to `KEY.removed` first. Either, with its lock free, was left behind by a process that is gone.

#[cfg(test)]
mod tests;

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustix::{
    fs::{FlockOperation, Timespec, Timestamps, UTIME_NOW, flock, futimens, syncfs},
    io::Errno,
};

use crate::remove;

const LOCK: &str = "lock";
const BUILDING: &str = "building";
const REMOVED: &str = "removed";

/// How often somebody looks whether another has made what is wanted.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(crate) struct Shelf {
    directory: PathBuf,
}

/// A directory that is there, and stays while this lives.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    path: PathBuf,
    _lock: Arc<File>,
}

/// The right to make a directory. Dropped without [`Place::commit`], it takes what was made with it.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    building: PathBuf,
    /// None once the directory is in its place.
    lock: Option<File>,
}

#[derive(Debug)]
pub(crate) enum Locked {
    Made(Held),
    Empty(Place),
}

impl Shelf {
    /// Clears what processes that are gone have left.
    pub(crate) fn open(directory: PathBuf) -> io::Result<Self> {
        // Files inside may carry any mode and owner that an archive gave them: nobody else on the host gets to them.
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        let shelf = Self { directory };
        for (key, _) in shelf.with_suffix(&[BUILDING, REMOVED, LOCK])? {
            let Some(_lock) = acquire(&shelf.beside(&key, LOCK), FlockOperation::NonBlockingLockExclusive)? else {
                continue;
            };
            remove::tree(&shelf.beside(&key, BUILDING))?;
            remove::tree(&shelf.beside(&key, REMOVED))?;
            if !shelf.path(&key).exists() {
                fs::remove_file(shelf.beside(&key, LOCK))?;
            }
        }
        Ok(shelf)
    }

    /// A key is a name without a dot or a slash; whoever makes keys sees to that.
    fn path(&self, key: &str) -> PathBuf {
        self.directory.join(key)
    }

    fn beside(&self, key: &str, suffix: &str) -> PathBuf {
        self.directory.join(format!("{key}.{suffix}"))
    }

    /// What is there under this key, and from now on last used now. None also while somebody has it locked alone: who
    /// has to know calls [`Shelf::lock`].
    pub(crate) fn find(&self, key: &str) -> io::Result<Option<Held>> {
        let path = self.path(key);
        if !path.is_dir() {
            return Ok(None);
        }
        let Some(lock) = acquire(&self.beside(key, LOCK), FlockOperation::NonBlockingLockShared)? else {
            return Ok(None);
        };
        hold(path, lock)
    }

    /// What is there, or the right to make it. Waits while another has that right.
    pub(crate) async fn lock(&self, key: &str) -> io::Result<Locked> {
        loop {
            if let Some(held) = self.find(key)? {
                return Ok(Locked::Made(held));
            }
            if let Some(lock) = acquire(&self.beside(key, LOCK), FlockOperation::NonBlockingLockExclusive)? {
                if self.path(key).is_dir() {
                    continue;
                }
                let building = self.beside(key, BUILDING);
                remove::tree(&building)?;
                DirBuilder::new().mode(0o700).create(&building)?;
                return Ok(Locked::Empty(Place { path: self.path(key), building, lock: Some(lock) }));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What is there, with the time of its last use, the longest unused first.
    pub(crate) fn list(&self) -> io::Result<Vec<(String, PathBuf, SystemTime)>> {
        let mut found: Vec<_> = self
            .with_suffix(&[LOCK])?
            .into_iter()
            .map(|(key, used_at)| (self.path(&key), key, used_at))
            .filter(|(path, ..)| path.is_dir())
            .map(|(path, key, used_at)| (key, path, used_at))
            .collect();
        found.sort_by(|one, other| (one.2, &one.0).cmp(&(other.2, &other.0)));
        Ok(found)
    }

    /// Removes what was used longest ago until the rest comes to `ceiling` bytes at most. What `keep` names stays, and
    /// so does what is held, here or in another process. Returns the keys that went.
    pub(crate) fn evict(
        &self,
        ceiling: u64,
        keep: impl Fn(&str) -> bool,
        size: impl Fn(&Path) -> u64,
    ) -> io::Result<Vec<String>> {
        let sized: Vec<_> = self.list()?.into_iter().map(|(key, path, _)| (size(&path), key)).collect();
        let mut total = sized.iter().fold(0_u64, |total, (size, _)| total.saturating_add(*size));
        let mut gone = Vec::new();
        for (size, key) in sized {
            if total <= ceiling {
                break;
            }
            if !keep(&key) && self.remove(&key)? {
                total = total.saturating_sub(size);
                gone.push(key);
            }
        }
        Ok(gone)
    }

    /// False if somebody holds it.
    fn remove(&self, key: &str) -> io::Result<bool> {
        let lock_path = self.beside(key, LOCK);
        let Some(_lock) = acquire(&lock_path, FlockOperation::NonBlockingLockExclusive)? else { return Ok(false) };
        let removed = self.beside(key, REMOVED);
        remove::tree(&removed)?;
        fs::rename(self.path(key), &removed)?;
        remove::tree(&removed)?;
        fs::remove_file(lock_path)?;
        Ok(true)
    }

    /// The keys of files with one of these suffixes, and when each was last modified.
    fn with_suffix(&self, suffixes: &[&str]) -> io::Result<Vec<(String, SystemTime)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some((key, suffix)) = name.to_str().and_then(|name| name.rsplit_once('.')) else { continue };
            if suffixes.contains(&suffix) {
                // One that is gone by now was somebody else's to remove.
                let Ok(modified) = entry.metadata().and_then(|metadata| metadata.modified()) else { continue };
                found.push((key.to_owned(), modified));
            }
        }
        Ok(found)
    }
}

impl Held {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Place {
    /// The directory to fill.
    pub(crate) fn building(&self) -> &Path {
        &self.building
    }

    /// Puts it in its place for good. Blocks until it is on disk.
    pub(crate) fn commit(mut self) -> io::Result<Held> {
        // All of it at once: one call for each of a hundred thousand files takes far longer.
        syncfs(File::open(&self.building)?)?;
        fs::rename(&self.building, &self.path)?;
        if let Some(parent) = self.path.parent() {
            File::open(parent)?.sync_all()?;
        }
        let lock = self.lock.take().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        flock(&lock, FlockOperation::LockShared)?;
        // For a moment nobody had the lock.
        hold(self.path.clone(), lock)?.ok_or_else(|| io::Error::other("it was removed as soon as it was made"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Best effort: what stays is cleared at the next start.
        if self.lock.is_some() && remove::tree(&self.building).is_err() {
            tracing::warn!(path = %self.building.display(), "an unfinished directory could not be removed");
        }
    }
}

/// With the lock shared: if the directory is there, it stays.
fn hold(path: PathBuf, lock: File) -> io::Result<Option<Held>> {
    if !path.is_dir() {
        return Ok(None);
    }
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    futimens(&lock, &Timestamps { last_access: now, last_modification: now })?;
    Ok(Some(Held { path, _lock: Arc::new(lock) }))
}

/// None if another has it in a way that this would disturb.
fn acquire(path: &Path, operation: FlockOperation) -> io::Result<Option<File>> {
    loop {
        let file = File::options().create(true).truncate(false).read(true).write(true).mode(0o600).open(path)?;
        match flock(&file, operation) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        // Whoever had it may have removed the file, and others lock a new one by now.
        if is_at(&file, path)? {
            return Ok(Some(file));
        }
    }
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

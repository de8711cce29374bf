//! A gateway's directory, for as long as the gateway runs in it.

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, FlockOperation, Mode, chmodat, flock, fstat, statat, unlinkat};
use rustix::io::Errno;
use tokio::net::UnixListener;

use crate::RunError;
use crate::control::{self, SOCKET};

/// Locked while a gateway runs; in it, the gateway's process id.
pub(crate) const LOCK: &str = "lock";

pub(crate) struct Held {
    /// Leads there, whatever becomes of the path.
    directory: File,
    /// Locked for as long as it is open.
    lock: File,
}

impl Held {
    /// Makes the directory if it is not there. Of several who try, one has it.
    pub(crate) fn take(path: &Path) -> Result<Self, RunError> {
        let unusable = |source| RunError::Unusable { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
        let directory = File::open(path).map_err(unusable)?;
        let opened = File::options().create(true).truncate(false).write(true).mode(0o600).open(path.join(LOCK));
        let mut lock = opened.map_err(unusable)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(RunError::Running(path.to_owned())),
            Err(error) => return Err(unusable(error.into())),
        }
        lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).map_err(unusable)?;
        Ok(Self { directory, lock })
    }

    /// The lock is ours: a socket that is there is a dead gateway's.
    pub(crate) fn bind(&self) -> io::Result<UnixListener> {
        self.unbind()?;
        let listener = UnixListener::bind(control::way(&self.directory))?;
        chmodat(&self.directory, SOCKET, Mode::from_raw_mode(0o600), AtFlags::empty())?;
        Ok(listener)
    }

    /// Whoever connects from now on is told at once that nobody is there.
    pub(crate) fn unbind(&self) -> io::Result<()> {
        // Somebody else's socket, where the lock is somebody else's.
        if !self.is_ours() {
            return Ok(());
        }
        match unlinkat(&self.directory, SOCKET, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether others still find the gateway. Data directories are deleted, and swept by whoever tidies up.
    pub(crate) fn is_found(&self) -> bool {
        self.is_ours() && statat(&self.directory, SOCKET, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Whether the lock that others would try is the one that is held.
    fn is_ours(&self) -> bool {
        match (fstat(&self.lock), statat(&self.directory, LOCK, AtFlags::SYMLINK_NOFOLLOW)) {
            (Ok(own), Ok(there)) => (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn it_is_found_until_its_files_are_gone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("gateway");
        let held = Held::take(&path).unwrap();
        assert!(!held.is_found(), "nobody can connect yet");
        let _listener = held.bind().unwrap();
        assert!(held.is_found());
        fs::rename(&path, parent.path().join("moved")).unwrap();
        assert!(held.is_found(), "it is found there");
        fs::remove_dir_all(parent.path().join("moved")).unwrap();
        assert!(!held.is_found());
    }

    #[tokio::test]
    async fn one_whose_lock_was_taken_away_leaves_the_next_ones_socket_alone() {
        let directory = tempfile::tempdir().unwrap();
        let first = Held::take(directory.path()).unwrap();
        let _listener = first.bind().unwrap();
        assert!(matches!(Held::take(directory.path()), Err(RunError::Running(_))));
        fs::remove_file(directory.path().join(LOCK)).unwrap();
        let second = Held::take(directory.path()).unwrap();
        let _other = second.bind().unwrap();
        assert!(!first.is_found() && second.is_found());
        first.unbind().unwrap();
        assert!(directory.path().join(SOCKET).exists());
        second.unbind().unwrap();
        assert!(!directory.path().join(SOCKET).exists());
    }
}

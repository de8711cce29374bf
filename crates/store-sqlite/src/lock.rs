//! The lock on the data directory: proof that no other server lives on it.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Another process owns the data directory.
#[derive(Debug, thiserror::Error)]
#[error("another Stead owns the data directory {0}: stop it, or choose another with STEAD_DATA_DIR")]
pub struct Locked(pub PathBuf);

/// Held until dropped, or until the process dies.
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    pub(crate) fn take(data_dir: &Path) -> Result<Self, Locked> {
        let locked = || Locked(data_dir.to_owned());
        let path = data_dir.join("lock");
        let mut file =
            File::options().create(true).truncate(false).read(true).write(true).open(path).map_err(|_| locked())?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| locked())?;
        // For people who look; nothing reads it.
        let _ = file.rewind().and_then(|()| file.set_len(0)).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

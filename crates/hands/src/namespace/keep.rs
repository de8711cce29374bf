//! The directory on disk that takes what a sandbox writes, where a layer is to be made of that.
//!
//! It is an overlay's: beside each directory that takes what is written there is one that the overlay works in, for
//! both must be on one mount.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use hand_protocol::Identity;
use serde::{Deserialize, Serialize};

use super::harvest::{remove, walk};

/// What is written over the root.
pub(super) const ROOT: &str = "root";
/// What is written over the host's `/usr`. Over an image it stays empty, for that has a `/usr` in its root.
pub(super) const USR: &str = "usr";
/// The overlays' own.
pub(super) const WORK: [&str; 2] = ["root-work", "usr-work"];

/// Kept in the sandbox's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Keep {
    pub(super) path: PathBuf,
    /// Whom what is in it belongs to, as long as it is no layer.
    pub(super) identity: Identity,
}

impl Keep {
    /// Gets the directory ready, empty, for the users of one sandbox to write in. What an earlier attempt has left in
    /// it goes; anything else in it is an error.
    pub(super) fn prepare(path: &Path, identity: Identity) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        let made = make(&path, identity);
        made.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        Ok(Self { path, identity })
    }
}

fn make(path: &Path, identity: Identity) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(path)?;
    // The sandbox's root goes through it, and is nobody here.
    fs::set_permissions(path, Permissions::from_mode(0o755))?;
    let top = walk::open(path)?;
    let parts = || [ROOT, USR].into_iter().chain(WORK);
    for name in walk::names(&top)? {
        if !parts().any(|part| part.as_bytes() == name.as_bytes()) {
            return Err(io::Error::other("there is something in it that is not of a sandbox"));
        }
        remove::entry(&top, name.as_bytes())?;
    }
    for part in parts() {
        let path = path.join(part);
        fs::create_dir(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        chown(&path, Some(identity.uid), Some(identity.gid))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use rustix::process::{getegid, geteuid};

    use super::*;

    fn own() -> Identity {
        Identity { uid: geteuid().as_raw(), gid: getegid().as_raw(), count: 1 }
    }

    #[test]
    fn each_sandbox_begins_with_nothing_of_the_one_before() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("deep/layer");
        Keep::prepare(&path, own()).unwrap();
        fs::create_dir_all(path.join("root/etc")).unwrap();
        fs::write(path.join("root/etc/file"), "text").unwrap();
        let keep = Keep::prepare(&path, own()).unwrap();
        assert_eq!(keep, Keep { path: path.clone(), identity: own() });
        for part in ["root", "usr", "root-work", "usr-work"] {
            assert_eq!(fs::read_dir(path.join(part)).unwrap().count(), 0, "{part}");
        }
    }

    #[test]
    fn its_parts_belong_to_the_sandboxs_root() {
        if !geteuid().is_root() {
            eprintln!("skipped: only root can give files away");
            return;
        }
        let data = tempfile::tempdir().unwrap();
        let identity = Identity { uid: 1_000_000, gid: 2_000_000, count: 65_536 };
        Keep::prepare(data.path(), identity).unwrap();
        let found = fs::metadata(data.path().join("usr-work")).unwrap();
        assert_eq!((found.uid(), found.gid(), found.mode() & 0o777), (1_000_000, 2_000_000, 0o755));
        assert_eq!(fs::metadata(data.path()).unwrap().uid(), 0);
    }

    #[test]
    fn what_is_somebody_elses_is_left_alone() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join("notes"), "text").unwrap();
        assert!(Keep::prepare(data.path(), own()).is_err());
        assert!(data.path().join("notes").exists());
    }
}

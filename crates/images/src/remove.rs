//! Removing directories that others have filled: through no link, however deep, whatever modes they left.

use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use rustix::{
    fs::{AtFlags, Mode, RenameFlags, chmodat, fchmod, openat, renameat_with, unlinkat},
    io::Errno,
};

use crate::walk::{self, LIST, MAX_DEPTH};

/// Removes what is at a path, if anything is. Its parent is ours, and no link.
pub(crate) fn tree(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    match walk::open(parent) {
        Ok(parent) => entry(&parent, name.as_bytes()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes what has this name in a directory, if anything has.
pub(crate) fn entry(parent: impl AsFd, name: &[u8]) -> io::Result<()> {
    let parent = parent.as_fd();
    if unlinked(parent, name)? {
        return Ok(());
    }
    let top = open(parent, name)?;
    let mut moved = 0;
    // What lies too deep comes up here, and is then found by the next round.
    loop {
        let before = moved;
        empty(&top, &top, 0, &mut moved)?;
        if moved == before {
            break;
        }
    }
    Ok(unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

fn empty(directory: &OwnedFd, top: &OwnedFd, depth: usize, moved: &mut u64) -> io::Result<()> {
    // Nobody but root can remove from a directory that may not be written to.
    let _ = fchmod(directory, Mode::RWXU);
    for name in walk::names(directory)? {
        let name = name.to_bytes();
        if unlinked(directory, name)? {
            continue;
        }
        let child = open(directory, name)?;
        if depth < MAX_DEPTH {
            empty(&child, top, depth + 1, moved)?;
            unlinkat(directory, name, AtFlags::REMOVEDIR)?;
        } else {
            // A directory that moves is written to, for it names its parent.
            let _ = fchmod(&child, Mode::RWXU);
            raise(directory, name, top, moved)?;
        }
    }
    Ok(())
}

/// Moves a directory to the top, under a name that nothing has there.
fn raise(directory: &OwnedFd, name: &[u8], top: &OwnedFd, moved: &mut u64) -> io::Result<()> {
    loop {
        *moved += 1;
        match renameat_with(directory, name, top, format!("raised-{moved}"), RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            done => return Ok(done?),
        }
    }
}

/// False if it is a directory.
fn unlinked(parent: impl AsFd, name: &[u8]) -> io::Result<bool> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::ISDIR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn open(parent: impl AsFd, name: &[u8]) -> io::Result<OwnedFd> {
    let parent = parent.as_fd();
    match openat(parent, name, LIST, Mode::empty()) {
        Err(Errno::ACCESS) => {
            // It is a directory, which was just seen, and nobody else works in here.
            chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
            Ok(openat(parent, name, LIST, Mode::empty())?)
        }
        opened => Ok(opened?),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{PermissionsExt, symlink},
    };

    use rustix::fs::mkdirat;

    use super::*;

    #[test]
    fn a_link_goes_and_what_it_leads_to_stays() {
        let directory = tempfile::tempdir().unwrap();
        let outside = directory.path().join("outside");
        let doomed = directory.path().join("doomed");
        fs::create_dir_all(outside.join("kept")).unwrap();
        fs::create_dir_all(doomed.join("a/b")).unwrap();
        symlink(&outside, doomed.join("a/link")).unwrap();
        fs::set_permissions(doomed.join("a"), Permissions::from_mode(0o000)).unwrap();
        tree(&doomed).unwrap();
        assert!(!doomed.exists());
        assert!(outside.join("kept").is_dir());
        tree(&doomed).unwrap();
    }

    #[test]
    fn depth_does_not_stop_it() {
        let directory = tempfile::tempdir().unwrap();
        let doomed = directory.path().join("doomed");
        fs::create_dir(&doomed).unwrap();
        let mut at = walk::open(&doomed).unwrap();
        for _ in 0..5 * MAX_DEPTH {
            mkdirat(&at, "raised-1", Mode::RWXU).unwrap();
            at = openat(&at, "raised-1", LIST, Mode::empty()).unwrap();
        }
        drop(at);
        tree(&doomed).unwrap();
        assert!(!doomed.exists());
    }
}

//! Gives what the sandbox's users own to the users whom they were inside, and takes from it what no layer may have.

use std::{collections::HashSet, ffi::CStr, io, os::fd::OwnedFd};

use hand_protocol::Identity;
use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, Stat, Uid, chownat, fstat, listxattr, removexattr, unlinkat},
    io::Errno,
};

use super::walk::{self, Visit};

const SET_ID: Mode = Mode::SUID.union(Mode::SGID);

/// What the kernel gives at most for a list of attributes.
const LONGEST: usize = 64 << 10;

/// With it, an overlay hides what lies below a directory. Its other marks are notes for itself, and of some of them it
/// could be told where else to look for a file.
const OPAQUE: &[u8] = b"user.overlay.opaque";

pub(super) struct Giver {
    /// Whose the files are. None if they stay whose they are.
    identity: Option<Identity>,
    /// The file system that all of it is on.
    device: u64,
    /// Files with more than one name that have been given: one that was given twice would be another's.
    given: HashSet<u64>,
    attributes: Vec<u8>,
}

impl Giver {
    pub(super) fn new(top: &OwnedFd, identity: Option<Identity>) -> io::Result<Self> {
        let device = fstat(top)?.st_dev;
        Ok(Self { identity, device, given: HashSet::new(), attributes: vec![0; LONGEST] })
    }

    /// A directory, with all that is in it. Everybody inside may pass through it.
    pub(super) fn give(&mut self, parent: &OwnedFd, name: &str) -> io::Result<()> {
        let directory = walk::directory(parent, name)?.ok_or_else(|| missing(name))?;
        let held = walk::hold(parent, name)?;
        self.change(&held, &fstat(&held)?)?;
        walk::change_mode(&held, Mode::from_raw_mode(0o755))?;
        walk::below(directory, self)
    }

    fn change(&mut self, held: &OwnedFd, stat: &Stat) -> io::Result<()> {
        if stat.st_dev != self.device {
            return Err(io::Error::other("a part of it is on another file system"));
        }
        let kind = FileType::from_raw_mode(stat.st_mode);
        if let Some(Identity { uid, gid, count }) = self.identity {
            let owner = Uid::from_raw(inside(stat.st_uid, uid, count));
            let group = Gid::from_raw(inside(stat.st_gid, gid, count));
            chownat(held, "", Some(owner), Some(group), AtFlags::EMPTY_PATH)?;
            if matches!(kind, FileType::Directory | FileType::RegularFile) {
                self.strip(held)?;
            }
        }
        // Links and whiteouts have none that mean anything.
        if matches!(kind, FileType::Directory | FileType::RegularFile) {
            let mode = Mode::from_raw_mode(stat.st_mode);
            if mode.intersects(SET_ID) {
                walk::change_mode(held, mode - SET_ID)?;
            }
        }
        Ok(())
    }

    /// Takes the extended attributes away: rights among them, and what is of use only where it was made.
    fn strip(&mut self, held: &OwnedFd) -> io::Result<()> {
        let path = walk::through(held);
        let length = match listxattr(&path, self.attributes.as_mut_slice()) {
            Err(Errno::OPNOTSUPP) => 0,
            length => length?,
        };
        let names = self.attributes.get(..length).unwrap_or_default().split(|byte| *byte == 0);
        for name in names.filter(|name| !name.is_empty() && !stays(name)) {
            match removexattr(&path, name) {
                Err(Errno::NODATA) => {}
                removed => removed?,
            }
        }
        Ok(())
    }
}

impl Visit for Giver {
    fn enter(&mut self, parent: &OwnedFd, name: &CStr) -> io::Result<Option<OwnedFd>> {
        let held = walk::hold(parent, name)?;
        let stat = fstat(&held)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                self.change(&held, &stat)?;
                return walk::directory(parent, name);
            }
            FileType::RegularFile | FileType::Symlink => {}
            // A whiteout: for the overlay, that there is nothing of this name.
            FileType::CharacterDevice if stat.st_rdev == 0 => {}
            // A device, a socket or a pipe, which only those who made it have a use for.
            _ => {
                unlinkat(parent, name, AtFlags::empty())?;
                return Ok(None);
            }
        }
        if stat.st_nlink < 2 || self.given.insert(stat.st_ino) {
            self.change(&held, &stat)?;
        }
        Ok(None)
    }
}

/// Who somebody outside is inside. Whoever is none of the sandbox's users: its root.
fn inside(id: u32, first: u32, count: u32) -> u32 {
    id.checked_sub(first).filter(|id| *id < count).unwrap_or(0)
}

/// The labels of a machine's own policy stay too: no sandbox can set one, and some nobody can take away.
fn stays(attribute: &[u8]) -> bool {
    attribute == OPAQUE || (attribute.starts_with(b"security.") && attribute != b"security.capability")
}

fn missing(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("its directory `{name}` is not there"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_inside_are_counted_from_the_first() {
        for (outside, within) in [(1_000_000, 0), (1_000_042, 42), (1_065_535, 65_535)] {
            assert_eq!(inside(outside, 1_000_000, 65_536), within);
        }
        for stranger in [0, 5, 999_999, 1_065_536, u32::MAX] {
            assert_eq!(inside(stranger, 1_000_000, 65_536), 0);
        }
    }

    #[test]
    fn of_an_overlays_marks_only_the_one_that_hides_stays() {
        assert!(stays(OPAQUE));
        assert!(stays(b"security.selinux"));
        for name in ["user.overlay.redirect", "user.overlay.origin", "user.x", "security.capability", "trusted.x"] {
            assert!(!stays(name.as_bytes()), "{name}");
        }
    }
}

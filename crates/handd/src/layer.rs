//! What a sandbox has written, as an archive: so it is put away, and so the next one begins with it.
//!
//! A tar archive under zstd. In it `root` is what lies over the root, and `usr` what lies over the host's `/usr`. Both
//! are as an overlay keeps them, with whiteouts and opaque directories, so that what was removed stays removed. Names,
//! times, extended attributes and the holes of sparse files are in extended header records, as GNU tar writes and reads
//! them: an operator can look into an archive, and later versions of this program can read it.
//!
//! An agent has made all that is saved, and somebody may have forged what is unpacked. Both sides go by directory
//! descriptors and single names, and follow no link.

mod attributes;
mod extents;
mod records;
mod save;
#[cfg(test)]
mod tests;
mod unpack;

use std::{
    io::{self, Write},
    os::fd::{OwnedFd, RawFd},
};

use hand_protocol::{UPPER_FD, USR_UPPER_FD};
use rustix::fs::{FileType, fstat};

use self::save::save;
pub(crate) use self::unpack::unpack;
use crate::serve::descriptors;

/// The parts of an archive.
const ROOT: &str = "root";
const USR: &str = "usr";

/// Directories in directories, each of which takes a descriptor while what is in it is looked at.
const DEEPEST: usize = 512;

/// What an archive may have besides the bytes that fit on the disk: headers and names.
const BESIDES: u64 = 4 << 30;

/// The directories that take what is written.
pub(crate) struct Layer {
    pub(crate) root: OwnedFd,
    /// None over a system that is whole, which has its `/usr` in the root.
    pub(crate) usr: Option<OwnedFd>,
}

impl Layer {
    /// Takes over what the launcher has left, if it has left any. To be called before anything is opened: where nothing
    /// was left, the numbers are free.
    pub(crate) fn take() -> Option<Self> {
        let (root, usr) = (directory(UPPER_FD), directory(USR_UPPER_FD));
        Some(Self { root: root?, usr })
    }

    /// Writes the archive of what was written, on a disk of this size.
    pub(crate) fn save(&self, disk: u64, to: impl Write) -> io::Result<()> {
        save(self, disk, to)
    }

    fn parts(&self) -> impl Iterator<Item = (&'static str, &OwnedFd)> {
        let usr = self.usr.as_ref().map(|usr| (USR, usr));
        [Some((ROOT, &self.root)), usr].into_iter().flatten()
    }
}

fn directory(number: RawFd) -> Option<OwnedFd> {
    let taken = descriptors::take(number).ok()?;
    let found = fstat(&taken).ok()?;
    (FileType::from_raw_mode(found.st_mode) == FileType::Directory).then_some(taken)
}

/// The most bytes that an archive has, before it is compressed, of a layer that fits on such a disk.
fn longest(disk: u64) -> u64 {
    disk.saturating_add(BESIDES)
}

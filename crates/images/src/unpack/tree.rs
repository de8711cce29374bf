//! The directory that is unpacked into, and the ways in it.

use std::{collections::HashMap, io, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{FileType, Mode, Timespec, Timestamps, fchmod, fstat, futimens, mkdirat, openat},
    io::Errno,
    process::geteuid,
};

use super::{Error, Watch};
use crate::{
    remove,
    walk::{self, LIST, PASS, Totals},
};

pub(super) struct Tree {
    root: OwnedFd,
    /// By inode, for every directory made here: by path, these would take what memory an archive likes.
    later: HashMap<u64, Later>,
    owner_bits: Mode,
}

/// What a directory gets when nothing is put into it any more.
#[derive(Clone, Copy)]
pub(super) struct Later {
    pub(super) mode: u32,
    pub(super) time: Timespec,
}

/// For directories that are on the way to others, and that no entry describes.
const UNSAID: Later = Later { mode: 0o755, time: Timespec { tv_sec: 0, tv_nsec: 0 } };

impl Tree {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        // Whoever is not root could not remove what is in a directory of theirs that may not be written to.
        let owner_bits = if geteuid().is_root() { Mode::empty() } else { Mode::RWXU };
        let mut tree = Self { root: walk::open(path)?, later: HashMap::new(), owner_bits };
        let root = tree.root()?;
        tree.later(&root, UNSAID)?;
        Ok(tree)
    }

    pub(super) fn root(&self) -> io::Result<OwnedFd> {
        self.root.try_clone()
    }

    /// The directory at the end of these names, if it is there.
    pub(super) fn enter(&mut self, names: &[&[u8]]) -> io::Result<Option<OwnedFd>> {
        self.walk(names, false)
    }

    /// The directory at the end of these names, made if it is not there.
    pub(super) fn reach(&mut self, names: &[&[u8]]) -> io::Result<OwnedFd> {
        self.walk(names, true)?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn walk(&mut self, names: &[&[u8]], make: bool) -> io::Result<Option<OwnedFd>> {
        let mut at = self.root()?;
        for name in names {
            at = match openat(&at, *name, PASS, Mode::empty()) {
                Ok(next) => next,
                Err(Errno::NOENT) if make => self.make(&at, name)?,
                Err(Errno::NOENT) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
        }
        Ok(Some(at))
    }

    /// The directory of this name, which replaces whatever else has it.
    pub(super) fn directory(&mut self, parent: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
        match walk::stat(parent, name) {
            Ok(stat) if walk::kind(&stat) == FileType::Directory => Ok(openat(parent, name, LIST, Mode::empty())?),
            Ok(_) => {
                remove::entry(parent, name)?;
                self.make(parent, name)
            }
            Err(Errno::NOENT) => self.make(parent, name),
            Err(error) => Err(error.into()),
        }
    }

    fn make(&mut self, parent: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
        mkdirat(parent, name, Mode::RWXU)?;
        let directory = openat(parent, name, LIST, Mode::empty())?;
        self.later(&directory, UNSAID)?;
        Ok(directory)
    }

    pub(super) fn later(&mut self, directory: &OwnedFd, later: Later) -> io::Result<()> {
        self.later.insert(fstat(directory)?.st_ino, later);
        Ok(())
    }

    /// Gives every directory what it was to get later, and counts what there is.
    pub(super) fn settle(&self, watch: &Watch) -> Result<Totals, Error> {
        let mut totals = Totals::default();
        self.settle_below(&self.root, watch, &mut totals)?;
        Ok(totals)
    }

    fn settle_below(&self, directory: &OwnedFd, watch: &Watch, totals: &mut Totals) -> Result<(), Error> {
        watch.check()?;
        let failed = Error::writing(b"/");
        for name in walk::names(directory).map_err(&failed)? {
            let stat = walk::stat(directory, name.to_bytes()).map_err(|error| failed(error.into()))?;
            totals.add(&stat);
            if walk::kind(&stat) == FileType::Directory {
                let child = openat(directory, &name, LIST, Mode::empty()).map_err(|error| failed(error.into()))?;
                self.settle_below(&child, watch, totals)?;
            }
        }
        self.settle_one(directory).map_err(failed)
    }

    fn settle_one(&self, directory: &OwnedFd) -> io::Result<()> {
        let Later { mode, time } = self.later.get(&fstat(directory)?.st_ino).copied().unwrap_or(UNSAID);
        fchmod(directory, Mode::from_raw_mode(mode) | self.owner_bits)?;
        Ok(futimens(directory, &Timestamps { last_access: time, last_modification: time })?)
    }
}

//! Walking directories that others have filled: by descriptors, never through a link, never without a bound.

use std::{collections::HashSet, ffi::CString, io, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, openat, statat},
    io::Errno,
};

/// Directories in directories. Each costs a descriptor while what is below it is looked at.
pub(crate) const MAX_DEPTH: usize = 128;

/// To read a directory, and to change it.
pub(crate) const LIST: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// To go through a directory. Needs no permission to read it.
pub(crate) const PASS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

pub(crate) fn open(path: &Path) -> io::Result<OwnedFd> {
    Ok(openat(CWD, path, LIST, Mode::empty())?)
}

/// What is in a directory, sorted.
pub(crate) fn names(directory: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

pub(crate) fn stat(directory: &OwnedFd, name: &[u8]) -> Result<Stat, Errno> {
    statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
}

pub(crate) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// What a tree holds. A file with several names counts once for its bytes, and for each name as a file.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) bytes: u64,
    pub(crate) files: u64,
    linked: HashSet<u64>,
}

impl Totals {
    pub(crate) fn add(&mut self, stat: &Stat) {
        self.files += 1;
        if kind(stat) == FileType::Directory || stat.st_nlink < 2 || self.linked.insert(stat.st_ino) {
            self.bytes = self.bytes.saturating_add(stat.st_blocks.unsigned_abs().saturating_mul(512));
        }
    }
}

/// The totals of all below a directory. What may not be read counts for nothing: it may belong to another user.
pub(crate) fn measure(directory: &OwnedFd) -> io::Result<Totals> {
    let mut totals = Totals::default();
    below(directory, 0, &mut totals)?;
    Ok(totals)
}

fn below(directory: &OwnedFd, depth: usize, totals: &mut Totals) -> io::Result<()> {
    if depth > MAX_DEPTH {
        return Err(io::Error::other(format!("it has directories more than {MAX_DEPTH} deep")));
    }
    let names = match names(directory) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
        names => names?,
    };
    for name in names {
        let stat = stat(directory, name.to_bytes())?;
        totals.add(&stat);
        if kind(&stat) == FileType::Directory {
            match openat(directory, &name, LIST, Mode::empty()) {
                Ok(child) => below(&child, depth + 1, totals)?,
                Err(Errno::ACCESS) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

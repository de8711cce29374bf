//! Goes through directories that others have filled: by descriptors, through no link, and no deeper than is useful.

use std::{
    ffi::{CStr, CString},
    io,
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{CWD, Dir, Mode, OFlags, chmod, fstat, openat},
    io::Errno,
    path::Arg,
    process::geteuid,
};

/// Directories in directories, each of which takes a descriptor while what is below it is looked at.
pub(super) const DEEPEST: usize = 512;

/// To read a directory, and to change it.
const LIST: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// To have hold of an entry, whatever it is. Of a link that is the link itself; nothing is opened.
const HOLD: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What is done with each entry.
pub(super) trait Visit {
    /// A directory that is returned is gone into.
    fn enter(&mut self, parent: &OwnedFd, name: &CStr) -> io::Result<Option<OwnedFd>>;

    /// After all that is in a directory.
    fn leave(&mut self, _parent: &OwnedFd, _name: &CStr) -> io::Result<()> {
        Ok(())
    }
}

struct Level {
    directory: OwnedFd,
    /// Still to be visited.
    names: Vec<CString>,
    /// The entry that is being gone through.
    open: Option<CString>,
}

impl Level {
    fn of(directory: OwnedFd) -> io::Result<Self> {
        Ok(Self { names: names(&directory)?, directory, open: None })
    }
}

/// Visits all that is below a directory.
pub(super) fn below(top: OwnedFd, visitor: &mut impl Visit) -> io::Result<()> {
    let mut way = vec![Level::of(top)?];
    while let Some(level) = way.last_mut() {
        if let Some(name) = level.names.pop() {
            if let Some(child) = visitor.enter(&level.directory, &name)? {
                level.open = Some(name);
                if way.len() >= DEEPEST {
                    return Err(io::Error::other(format!("it has directories more than {DEEPEST} deep")));
                }
                way.push(Level::of(child)?);
            }
        } else {
            way.pop();
            if let Some(parent) = way.last_mut()
                && let Some(name) = parent.open.take()
            {
                visitor.leave(&parent.directory, &name)?;
            }
        }
    }
    Ok(())
}

/// A directory of the host's own, which no link leads to.
pub(in crate::namespace) fn open(path: &Path) -> io::Result<OwnedFd> {
    Ok(openat(CWD, path, LIST, Mode::empty())?)
}

/// A directory in another one. None if there is nothing of this name, or something else.
///
/// Whoever is not root is held up by modes, though all of it is his own: then it is made one that he can read and
/// change.
pub(super) fn directory(parent: &OwnedFd, name: impl Arg + Copy) -> io::Result<Option<OwnedFd>> {
    if !geteuid().is_root() {
        let found = match openat(parent, name, HOLD | OFlags::DIRECTORY, Mode::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            found => found?,
        };
        let mode = Mode::from_raw_mode(fstat(&found)?.st_mode);
        if !mode.contains(Mode::RWXU) {
            change_mode(&found, mode | Mode::RWXU)?;
        }
    }
    match openat(parent, name, LIST, Mode::empty()) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        opened => Ok(Some(opened?)),
    }
}

/// The directory at the end of this path below another one, likewise.
pub(super) fn descend(top: &OwnedFd, path: &str) -> io::Result<Option<OwnedFd>> {
    let mut at = top.try_clone()?;
    for name in path.split('/') {
        match directory(&at, name)? {
            Some(next) => at = next,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

pub(super) fn hold(parent: &OwnedFd, name: impl Arg) -> io::Result<OwnedFd> {
    Ok(openat(parent, name, HOLD, Mode::empty())?)
}

/// Of what is held, which must not be a link.
pub(super) fn change_mode(held: &OwnedFd, mode: Mode) -> io::Result<()> {
    Ok(chmod(through(held), mode)?)
}

/// A path to what is held, for calls that take no such descriptor.
pub(super) fn through(held: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", held.as_raw_fd())
}

pub(in crate::namespace) fn names(directory: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

//! Removes what others have made, with all that is in it.

use std::{
    ffi::{CStr, CString},
    io,
    os::fd::OwnedFd,
};

use rustix::{
    fs::{AtFlags, unlinkat},
    io::Errno,
};

use super::walk::{self, Visit};

/// Removes what has this name in a directory, if anything has.
pub(in crate::namespace) fn entry(parent: &OwnedFd, name: &[u8]) -> io::Result<()> {
    let name = CString::new(name)?;
    if let Some(directory) = Remover.enter(parent, &name)? {
        walk::below(directory, &mut Remover)?;
        Remover.leave(parent, &name)?;
    }
    Ok(())
}

/// Removes all that is in a directory.
pub(super) fn contents(directory: OwnedFd) -> io::Result<()> {
    walk::below(directory, &mut Remover)
}

struct Remover;

impl Visit for Remover {
    fn enter(&mut self, parent: &OwnedFd, name: &CStr) -> io::Result<Option<OwnedFd>> {
        match unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(None),
            Err(Errno::ISDIR) => {}
            Err(errno) => return Err(errno.into()),
        }
        walk::directory(parent, name)
    }

    fn leave(&mut self, parent: &OwnedFd, name: &CStr) -> io::Result<()> {
        Ok(unlinkat(parent, name, AtFlags::REMOVEDIR)?)
    }
}

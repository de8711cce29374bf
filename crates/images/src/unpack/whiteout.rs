//! Entries that hide: `.wh.NAME` the name beside it, `.wh..wh..opq` all else that lower layers have in its directory.

use std::{collections::HashSet, hash::BuildHasher, io, os::fd::OwnedFd};

use rustix::{
    fs::{AtFlags, FileType, Mode, XattrFlags, fsetxattr, mknodat, openat, unlinkat},
    io::Errno,
};

use super::{Unpacker, Whiteouts};
use crate::{
    remove,
    walk::{self, LIST},
};

/// What a name of a file must not start with, for a tarball could not say so.
pub(crate) const PREFIX: &[u8] = b".wh.";

pub(crate) const OPAQUE: &[u8] = b".wh..wh..opq";

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Hidden<'a> {
    Name(&'a [u8]),
    Everything,
    /// What a file system of long ago kept for itself.
    Nothing,
}

/// What an entry of this name hides, if it is not a file.
pub(super) fn of(name: &[u8]) -> Result<Option<Hidden<'_>>, &'static str> {
    if name == OPAQUE {
        return Ok(Some(Hidden::Everything));
    }
    match name.strip_prefix(PREFIX) {
        None => Ok(None),
        Some(b"" | b"." | b"..") => Err("it would hide what is not a file"),
        Some(hidden) if hidden.starts_with(PREFIX) => Ok(Some(Hidden::Nothing)),
        Some(hidden) => Ok(Some(Hidden::Name(hidden))),
    }
}

/// The paths that the layer at work has brought. What hides does so in the layers below, never in its own.
#[derive(Default)]
pub(super) struct Created(HashSet<u64>);

impl Unpacker<'_> {
    pub(super) fn created(&self, path: &[u8], created: &mut Created) {
        created.0.insert(self.hashes.hash_one(path));
    }

    pub(super) fn hide(&mut self, parents: &[&[u8]], hidden: &Hidden<'_>, created: &Created) -> io::Result<()> {
        if *hidden == Hidden::Nothing {
            return Ok(());
        }
        let directory = match self.rules.whiteouts {
            Whiteouts::Keep(_) => Some(self.tree.reach(parents)?),
            Whiteouts::Apply => self.tree.enter(parents)?,
        };
        // In what is not there, nothing is to be hidden.
        let Some(directory) = directory else { return Ok(()) };
        let directory = openat(&directory, ".", LIST, Mode::empty())?;
        match (self.rules.whiteouts, hidden) {
            (Whiteouts::Keep(_), Hidden::Name(name)) => {
                remove::entry(&directory, name)?;
                // The one device that anybody may make: what an overlay takes for a name that is gone.
                mknodat(&directory, *name, FileType::CharacterDevice, Mode::empty(), 0)?;
            }
            (Whiteouts::Keep(marks), _) => fsetxattr(&directory, marks.opaque(), b"y", XattrFlags::empty())?,
            (Whiteouts::Apply, Hidden::Name(name)) => {
                let mut path = [parents, &[*name]].concat().join(&b'/');
                self.prune(&directory, name, &mut path, created)?;
            }
            (Whiteouts::Apply, _) => self.prune_below(&directory, &mut parents.join(&b'/'), created)?,
        }
        Ok(())
    }

    /// Removes what lower layers have under this name, and leaves what this one has.
    fn prune(&self, parent: &OwnedFd, name: &[u8], path: &mut Vec<u8>, created: &Created) -> io::Result<()> {
        let stat = match walk::stat(parent, name) {
            Err(Errno::NOENT) => return Ok(()),
            stat => stat?,
        };
        let kept = created.0.contains(&self.hashes.hash_one(path.as_slice()));
        let directory = walk::kind(&stat) == FileType::Directory;
        if directory {
            let child = openat(parent, name, LIST, Mode::empty())?;
            self.prune_below(&child, path, created)?;
        }
        if kept {
            return Ok(());
        }
        match unlinkat(parent, name, if directory { AtFlags::REMOVEDIR } else { AtFlags::empty() }) {
            // Something of this layer is in it.
            Err(Errno::NOTEMPTY) => Ok(()),
            removed => Ok(removed?),
        }
    }

    fn prune_below(&self, directory: &OwnedFd, path: &mut Vec<u8>, created: &Created) -> io::Result<()> {
        for name in walk::names(directory)? {
            let length = path.len();
            if length > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(name.to_bytes());
            self.prune(directory, name.to_bytes(), path, created)?;
            path.truncate(length);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whiteout_is_known_by_its_name() {
        assert_eq!(of(b"file"), Ok(None));
        assert_eq!(of(b".wheel"), Ok(None));
        assert_eq!(of(b".wh.file"), Ok(Some(Hidden::Name(b"file"))));
        assert_eq!(of(b".wh..wh..opq"), Ok(Some(Hidden::Everything)));
        assert_eq!(of(b".wh..wh.plnk"), Ok(Some(Hidden::Nothing)));
        for name in [b".wh.".as_slice(), b".wh..", b".wh..."] {
            assert!(of(name).is_err(), "{name:?}");
        }
    }
}

//! Layers of unknown origin into a directory.
//!
//! The archive is read by a library; every file is made here, by descriptors that no name in the archive can lead out
//! of the directory. What that means for an archive:
//!
//! - absolute paths start at the root of the image; `..` in a path ends it all;
//! - links are made and never followed: not by a path, nor by a file of the same name, which replaces the link;
//! - a hard link leads to a file or a symbolic link of the image;
//! - devices and FIFOs are left out, for a sandbox has its own;
//! - set-user-id and set-group-id bits are left out unless they are asked for;
//! - of the extended attributes `user.*` are kept. `security.capability` and all others are left out, and so are
//!   `user.overlay.*`, which would tell the overlay above what to hide;
//! - what was left out is counted in [`Skipped`];
//! - owners are kept, as numbers, if this process is root's; all else belongs to whoever runs it;
//! - whiteouts hide what is in the layers below, or stay as marks of an overlay ([`Whiteouts`]).
//!
//! Bytes, files, lengths of paths, the ratio to the compressed size and the time have bounds: [`Limits`](crate::Limits).

mod attributes;
mod entry;
mod error;
mod path;
#[cfg(test)]
mod tests;
mod tree;
mod watch;
mod whiteout;

use std::{
    cell::Cell,
    hash::RandomState,
    io::{self, BufReader, Read},
    path::Path,
};

use rustix::process::geteuid;
use serde::{Deserialize, Serialize};

pub use error::Error;
pub(crate) use error::shown;
pub(crate) use watch::{METADATA, Watch, Watched};
pub(crate) use whiteout::{OPAQUE, PREFIX};

use crate::{Digest, Marks, compression, walk::Totals};
use tree::Tree;
use watch::{Plain, Stored, Tally};

/// Raised whenever the same layers would come out as other files than before.
pub(crate) const VERSION: u32 = 1;

const BUFFER: usize = 256 << 10;

/// What was in the archives and is not in the directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Devices, FIFOs, and kinds of entries that nobody knows.
    pub special_files: u64,
    /// Files that would have been set-user-id or set-group-id. They are there, without the bit.
    pub special_bits: u64,
    pub attributes: u64,
}

/// What becomes of the entries that hide something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whiteouts {
    /// What they hide goes: layers become one directory.
    Apply,
    /// They become what an overlay hides with: one layer stays one.
    Keep(Marks),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) special_bits: bool,
    pub(crate) owners: bool,
    pub(crate) whiteouts: Whiteouts,
}

impl Rules {
    /// Owners can be given away by root alone.
    pub(crate) fn new(special_bits: bool, whiteouts: Whiteouts) -> Self {
        Self { special_bits, owners: geteuid().is_root(), whiteouts }
    }
}

/// What a layer has to be, or it is none of this image.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expected {
    /// Of the bytes as stored.
    pub(crate) blob: Option<Digest>,
    /// Of the tarball inside.
    pub(crate) diff: Option<Digest>,
}

pub(crate) struct Unpacker<'a> {
    tree: Tree,
    watch: &'a Watch,
    rules: Rules,
    skipped: Skipped,
    buffer: Vec<u8>,
    /// For the names of a layer's files: kept as hashes, for there may be a million.
    hashes: RandomState,
}

impl<'a> Unpacker<'a> {
    /// Into a directory that is there and has nothing in it that is not to be replaced.
    pub(crate) fn new(directory: &Path, rules: Rules, watch: &'a Watch) -> io::Result<Self> {
        let (tree, skipped, hashes) = (Tree::open(directory)?, Skipped::default(), RandomState::new());
        Ok(Self { tree, watch, rules, skipped, buffer: vec![0; BUFFER], hashes })
    }

    /// One layer on top of those before. `told` is told how many bytes of it have been read.
    pub(crate) fn layer(&mut self, stored: impl Read, expected: &Expected, told: &dyn Fn(u64)) -> Result<(), Error> {
        let (stored_tally, plain_tally) = (Tally::new(expected.blob.is_some()), Tally::new(expected.diff.is_some()));
        let allowance = Cell::new(0);
        {
            let stored = Watched { inner: stored, watch: self.watch };
            let stored = Stored { inner: stored, tally: &stored_tally, told };
            let mut stored = BufReader::with_capacity(BUFFER, stored);
            let inner = compression::decode(&mut stored).map_err(Error::reading)?;
            let mut plain =
                Plain { inner, watch: self.watch, tally: &plain_tally, stored: &stored_tally, allowance: &allowance };
            self.entries(&mut plain, &allowance)?;
            // An archive ends before its file does, and the digest is the file's.
            allowance.set(u64::MAX);
            io::copy(&mut plain, &mut io::sink()).map_err(Error::reading)?;
            drop(plain);
            io::copy(&mut stored, &mut io::sink()).map_err(Error::reading)?;
        }
        stored_tally.check(expected.blob.as_ref(), "layer")?;
        plain_tally.check(expected.diff.as_ref(), "layer's archive")
    }

    fn entries(&mut self, reader: impl Read, allowance: &Cell<u64>) -> Result<(), Error> {
        let mut created = whiteout::Created::default();
        let mut archive = tar::Archive::new(reader);
        let mut entries = archive.entries().map_err(Error::reading)?;
        loop {
            // What comes before an entry's bytes is read into memory by the library.
            allowance.set(METADATA);
            let Some(entry) = entries.next() else { return Ok(()) };
            let mut entry = entry.map_err(Error::reading)?;
            allowance.set(u64::MAX);
            self.watch.entry()?;
            self.entry(&mut entry, &mut created)?;
            // Nothing of it may be left to be skipped as if it were metadata.
            io::copy(&mut entry, &mut io::sink()).map_err(Error::reading)?;
        }
    }

    /// Gives the directories their modes and times, which had to wait until they were full.
    pub(crate) fn finish(self) -> Result<(Totals, Skipped), Error> {
        let totals = self.tree.settle(self.watch)?;
        Ok((totals, self.skipped))
    }
}

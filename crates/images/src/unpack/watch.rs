//! The bounds of unpacking, checked where the bytes go by.

use std::{
    cell::{Cell, RefCell},
    io::{self, Read},
};

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Error;
use crate::{Digest, Limits};

/// Bytes that may come before an entry's own: long names, attributes, the map of a sparse file.
pub(crate) const METADATA: u64 = 256 << 10;

/// Small files of zeros may be packed as well as they can be.
const RATIO_FROM: u64 = 64 << 20;

/// Over all layers of an image.
#[derive(Debug)]
pub(crate) struct Watch {
    limits: Limits,
    /// None if it is too far off to be told.
    deadline: Option<Instant>,
    cancelled: CancellationToken,
    entries: Cell<u64>,
    /// Bytes that came out of the archives.
    unpacked: Cell<u64>,
    /// Bytes that went into files. More than those if files are sparse.
    written: Cell<u64>,
}

impl Watch {
    pub(crate) fn start(limits: Limits, cancelled: CancellationToken) -> Self {
        let deadline = Instant::now().checked_add(limits.time);
        let (entries, unpacked, written) = (Cell::new(0), Cell::new(0), Cell::new(0));
        Self { limits, deadline, cancelled, entries, unpacked, written }
    }

    /// Whether there is still time, and somebody who waits.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.cancelled.is_cancelled() {
            return Err(Error::Cancelled);
        }
        if self.deadline.is_some_and(|deadline| Instant::now() > deadline) {
            return Err(Error::TimedOut(self.limits.time));
        }
        Ok(())
    }

    pub(super) fn max_path(&self) -> usize {
        self.limits.path
    }

    pub(crate) fn entry(&self) -> Result<(), Error> {
        self.check()?;
        let limit = self.limits.files;
        add(&self.entries, 1, limit).ok_or(Error::Files(limit))
    }

    /// Whether a file of this size may come, before anything of it is read.
    pub(super) fn announced(&self, size: u64) -> Result<(), Error> {
        let limit = self.limits.bytes;
        if size > limit.saturating_sub(self.written.get()) { Err(Error::Bytes(limit)) } else { Ok(()) }
    }

    pub(super) fn written(&self, bytes: u64) -> Result<(), Error> {
        let limit = self.limits.bytes;
        add(&self.written, bytes, limit).ok_or(Error::Bytes(limit))
    }

    fn unpacked(&self, bytes: u64) -> Result<(), Error> {
        self.check()?;
        // Headers and padding are in there, too: a block and a half for each entry.
        let limit = self.limits.bytes.saturating_add(self.limits.files.saturating_mul(1024));
        add(&self.unpacked, bytes, limit).ok_or(Error::Bytes(self.limits.bytes))
    }
}

fn add(count: &Cell<u64>, more: u64, limit: u64) -> Option<()> {
    let sum = count.get().saturating_add(more);
    count.set(sum);
    (sum <= limit).then_some(())
}

/// What went by so far.
pub(super) struct Tally {
    bytes: Cell<u64>,
    hash: Option<RefCell<Sha256>>,
}

impl Tally {
    pub(super) fn new(hashed: bool) -> Self {
        Self { bytes: Cell::new(0), hash: hashed.then(RefCell::default) }
    }

    fn add(&self, bytes: &[u8]) {
        self.bytes.set(self.bytes.get() + bytes.len() as u64);
        if let Some(hash) = &self.hash {
            hash.borrow_mut().update(bytes);
        }
    }

    pub(super) fn check(self, expected: Option<&Digest>, what: &'static str) -> Result<(), Error> {
        let actual = self.hash.map(|hash| Digest::finish(hash.into_inner()));
        match (expected, actual) {
            (Some(expected), Some(actual)) if *expected != actual => {
                Err(Error::Digest { what, expected: expected.clone(), actual })
            }
            _ => Ok(()),
        }
    }
}

/// A layer's bytes as they are stored.
pub(super) struct Stored<'a, R> {
    pub(super) inner: Watched<'a, R>,
    pub(super) tally: &'a Tally,
    pub(super) told: &'a dyn Fn(u64),
}

impl<R: Read> Read for Stored<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.tally.add(buffer.get(..read).unwrap_or_default());
        (self.told)(self.tally.bytes.get());
        Ok(read)
    }
}

/// A reader that stops when nobody waits for it any more.
pub(crate) struct Watched<'a, R> {
    pub(crate) inner: R,
    pub(crate) watch: &'a Watch,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.watch.check().map_err(io::Error::other)?;
        self.inner.read(buffer)
    }
}

/// The bytes of the archive inside.
pub(super) struct Plain<'a, R> {
    pub(super) inner: R,
    pub(super) watch: &'a Watch,
    pub(super) tally: &'a Tally,
    pub(super) stored: &'a Tally,
    /// How many more may be read before whoever reads has to say what for.
    pub(super) allowance: &'a Cell<u64>,
}

impl<R: Read> Read for Plain<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let allowed = self.allowance.get();
        if allowed == 0 && !buffer.is_empty() {
            return Err(io::Error::other(Error::Metadata(METADATA)));
        }
        let most = usize::try_from(allowed).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = buffer.get_mut(..most).unwrap_or_default();
        let read = self.inner.read(buffer)?;
        self.tally.add(buffer.get(..read).unwrap_or_default());
        if allowed != u64::MAX {
            self.allowance.set(allowed - read as u64);
        }
        self.watch.unpacked(read as u64).map_err(io::Error::other)?;
        let (bytes, ratio) = (self.tally.bytes.get(), self.watch.limits.ratio);
        if bytes > RATIO_FROM.saturating_add(self.stored.bytes.get().saturating_mul(ratio)) {
            return Err(io::Error::other(Error::Ratio(ratio)));
        }
        Ok(read)
    }
}

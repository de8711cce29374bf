//! A tarball whose members are read where they are.

use std::{
    cell::Cell,
    collections::HashMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use tar::EntryType;

use crate::{piece::open_file, unpack::METADATA};

/// An image has a few for each of its layers.
const MAX_MEMBERS: usize = 100_000;

/// Where each file's bytes start, and how many they are.
#[derive(Debug)]
pub(super) struct Archive(HashMap<String, (u64, u64)>);

impl Archive {
    /// Members that are links are left out: only old tools save layers as such.
    pub(super) fn index(path: &Path) -> io::Result<Self> {
        let allowance = Cell::new(0);
        let mut archive = tar::Archive::new(Measured { file: open_file(path)?, allowance: &allowance });
        let mut entries = archive.entries_with_seek()?;
        let mut members = HashMap::new();
        loop {
            // What comes before a member's bytes is read into memory by the library; the bytes are not read.
            allowance.set(METADATA);
            let Some(entry) = entries.next() else { return Ok(Self(members)) };
            let entry = entry?;
            if !matches!(entry.header().entry_type(), EntryType::Regular | EntryType::Continuous) {
                continue;
            }
            if members.len() >= MAX_MEMBERS {
                return Err(io::Error::other(format!("it has more than {MAX_MEMBERS} files")));
            }
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let name = name.strip_prefix("./").map(str::to_owned).unwrap_or(name);
            members.insert(name, (entry.raw_file_position(), entry.size()));
        }
    }

    pub(super) fn member(&self, name: &str) -> Option<(u64, u64)> {
        self.0.get(name).copied()
    }
}

struct Measured<'a> {
    file: File,
    allowance: &'a Cell<u64>,
}

impl Read for Measured<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let allowed = self.allowance.get();
        if allowed == 0 && !buffer.is_empty() {
            return Err(io::Error::other("the name of a file in it is too long"));
        }
        let most = usize::try_from(allowed).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.allowance.set(allowed.saturating_sub(read as u64));
        Ok(read)
    }
}

impl Seek for Measured<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

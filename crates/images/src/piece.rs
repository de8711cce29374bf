//! A layer on this machine's disk.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Take},
    path::{Path, PathBuf},
};

use crate::unpack::Expected;

/// A part of a file, and what it has to be.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) path: PathBuf,
    pub(crate) offset: u64,
    pub(crate) size: u64,
    pub(crate) expected: Expected,
}

impl Piece {
    pub(crate) fn open(&self) -> io::Result<Take<File>> {
        let mut file = open_file(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        Ok(file.take(self.size))
    }
}

/// Opens what is a file: a FIFO would wait for ever, and a device has no end.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
    }
    File::open(path)
}

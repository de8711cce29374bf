//! Why a layer is not unpacked.

use std::{io, time::Duration};

use crate::Digest;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the archive cannot be read: {0}")]
    Archive(io::Error),
    #[error("the archive's entry `{path}` is refused: {reason}")]
    Path { path: String, reason: &'static str },
    #[error("the archive's entry `{path}` cannot be written: {source}")]
    Write { path: String, source: io::Error },
    #[error("the {what} is {actual}, and should be {expected}")]
    Digest { what: &'static str, expected: Digest, actual: Digest },
    #[error("it unpacks to more than {0} bytes")]
    Bytes(u64),
    #[error("it has more than {0} entries")]
    Files(u64),
    #[error("it unpacks to more than {0} times its size")]
    Ratio(u64),
    #[error("an entry's names and attributes take more than {0} bytes")]
    Metadata(u64),
    #[error("unpacking took more than {0:?}")]
    TimedOut(Duration),
    #[error("nobody waits for it any more")]
    Cancelled,
}

impl Error {
    /// Readers can only fail with an [`io::Error`]; ours put one of these inside.
    pub(super) fn reading(error: io::Error) -> Self {
        error.downcast().unwrap_or_else(Self::Archive)
    }

    pub(super) fn path(path: &[u8], reason: &'static str) -> Self {
        Self::Path { path: shown(path), reason }
    }

    pub(super) fn malformed(reason: &'static str) -> Self {
        Self::Archive(io::Error::new(io::ErrorKind::InvalidData, reason))
    }

    /// Paths are gone along name by name, through directories alone.
    pub(super) fn writing(path: &[u8]) -> impl Fn(io::Error) -> Self + '_ {
        move |source| match source.kind() {
            io::ErrorKind::NotADirectory => Self::path(path, "its path goes through a link or a file"),
            _ => Self::Write { path: shown(path), source },
        }
    }
}

/// For people: a hostile name may hold anything.
pub(crate) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).escape_debug().take(300).collect()
}

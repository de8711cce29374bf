//! What goes wrong below the store, told so that people can act on it.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use store::Error;

const FULL: &str = "the disk is full";
const READ_ONLY: &str = "the database is read-only";

/// Why the database of a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the data directory {path} cannot be used: {source}")]
    Directory { path: PathBuf, source: io::Error },
    #[error(
        "the database {path} is damaged: {source}; restore a copy, or export what can be read with `stead db export`"
    )]
    Damaged { path: PathBuf, source: rusqlite::Error },
    #[error("the database {path} is read-only: make it and its directory writable for the user that Stead runs as")]
    ReadOnly { path: PathBuf },
    #[error("the disk of the database {path} is full: free some of it, and start again")]
    Full { path: PathBuf },
    #[error("the database {path} cannot be opened: {source}")]
    Database { path: PathBuf, source: rusqlite::Error },
    #[error(
        "the database is of schema {found}, newer than the {known} of this version of Stead: use the version that wrote it, or a later one"
    )]
    Newer { found: u32, known: u32 },
}

impl OpenError {
    pub(crate) fn of(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            _ if is_damage(&source) => Self::Damaged { path, source },
            Some(ErrorCode::ReadOnly) => Self::ReadOnly { path },
            Some(ErrorCode::DiskFull) => Self::Full { path },
            _ => Self::Database { path, source },
        }
    }
}

/// Whether it is the database's file that is wrong, and no circumstance.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

pub(crate) fn failed(error: impl Reason) -> Error {
    Error::Failed(error.reason())
}

/// Something that failed, in words for whoever runs the server.
pub(crate) trait Reason: std::fmt::Display {
    fn reason(&self) -> String {
        self.to_string()
    }
}

impl Reason for rusqlite::Error {
    fn reason(&self) -> String {
        match self.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => FULL.to_owned(),
            Some(ErrorCode::ReadOnly) => READ_ONLY.to_owned(),
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => format!("the database is damaged: {self}"),
            Some(ErrorCode::SystemIoFailure) => format!("the disk failed: {self}"),
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                format!("the database's file cannot be opened: {self}")
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                "another process has locked the database".to_owned()
            }
            Some(ErrorCode::OutOfMemory) => "there is not enough memory".to_owned(),
            Some(ErrorCode::TooBig) => "it is too large for the database".to_owned(),
            _ => self.to_string(),
        }
    }
}

impl Reason for io::Error {
    fn reason(&self) -> String {
        match self.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FULL.to_owned(),
            _ => self.to_string(),
        }
    }
}

impl Reason for serde_json::Error {}
impl Reason for tokio::sync::AcquireError {}
impl Reason for tokio::task::JoinError {}
impl Reason for String {}
impl Reason for &str {}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_sqlite(code: std::ffi::c_int) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)
    }

    #[test]
    fn a_circumstance_is_named_by_its_extended_code_too() {
        use rusqlite::ffi::{SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_READONLY, SQLITE_READONLY_DIRECTORY};
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(failed(of_sqlite(SQLITE_FULL)), Error::Failed("the disk is full".into()));
        assert_eq!(failed(full), Error::Failed("the disk is full".into()), "a blob that finds no room says the same");
        for code in [SQLITE_READONLY, SQLITE_READONLY_DIRECTORY] {
            assert_eq!(failed(of_sqlite(code)), Error::Failed("the database is read-only".into()));
        }
        assert!(of_sqlite(SQLITE_IOERR_WRITE).reason().starts_with("the disk failed: "));
    }

    #[test]
    fn a_database_that_cannot_be_opened_says_what_to_do() {
        use rusqlite::ffi::{SQLITE_CANTOPEN, SQLITE_CORRUPT, SQLITE_FULL, SQLITE_NOTADB, SQLITE_READONLY};
        let advice = [
            (SQLITE_CORRUPT, "stead db export"),
            (SQLITE_NOTADB, "stead db export"),
            (SQLITE_READONLY, "writable"),
            (SQLITE_FULL, "free some of it"),
            (SQLITE_CANTOPEN, "cannot be opened"),
        ];
        for (code, words) in advice {
            let told = OpenError::of(Path::new("/data/stead.db"), of_sqlite(code)).to_string();
            assert!(told.contains("/data/stead.db") && told.contains(words), "{code}: {told}");
        }
    }
}

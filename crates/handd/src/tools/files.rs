//! Opening files without being held up by what is not one.

use std::{
    fs::File,
    io::{self, ErrorKind, Read, Write},
    path::Path,
};

use rustix::fs::OFlags;

use super::Failed;
use crate::reach;

/// The largest text that is read or edited whole.
pub(super) const WHOLE: u64 = 256 << 10;

/// A file as a tool speaks of it.
#[derive(Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) tool: &'static str,
    /// As the model wrote it.
    pub(super) shown: &'a str,
    pub(super) path: &'a Path,
}

impl Named<'_> {
    /// Opens a regular file for reading; its size is as of now. FIFOs and devices are refused, not waited for.
    pub(super) fn open(&self) -> Result<(File, u64), Failed> {
        self.regular(OFlags::RDONLY)
    }

    /// Replaces a regular file's content, and makes the file if there is none. Mode, owner and links stay.
    pub(super) fn overwrite(&self, content: &[u8]) -> Result<(), Failed> {
        // Truncated only once it is known to be a file.
        let (mut file, _size) = self.regular(OFlags::WRONLY | OFlags::CREATE)?;
        file.set_len(0).and_then(|()| file.write_all(content)).map_err(|error| self.failed(&error))
    }

    /// The whole of a text, if it is one and not too large.
    pub(super) fn text(&self) -> Result<String, Failed> {
        let (file, size) = self.open()?;
        if size > WHOLE {
            return Err(self.too_large(size));
        }
        let mut bytes = Vec::new();
        // It may grow meanwhile.
        file.take(WHOLE + 1).read_to_end(&mut bytes).map_err(|error| self.failed(&error))?;
        if bytes.len() as u64 > WHOLE {
            return Err(self.too_large(bytes.len() as u64));
        }
        self.decoded(bytes)
    }

    /// Bytes as text, where they are.
    pub(super) fn decoded(&self, bytes: Vec<u8>) -> Result<String, Failed> {
        if bytes.contains(&0) {
            return Err(self.fault("is a binary file, not text"));
        }
        String::from_utf8(bytes).map_err(|_| self.fault("is a binary file, or not text in UTF-8"))
    }

    pub(super) fn fault(&self, what: &str) -> Failed {
        Failed(format!("{}: {} {what}", self.tool, self.shown))
    }

    pub(super) fn failed(&self, error: &io::Error) -> Failed {
        Failed(format!("{}: {}: {}", self.tool, self.shown, reason(error)))
    }

    fn too_large(&self, size: u64) -> Failed {
        self.fault(&format!("has {size} bytes, which is over the limit of {WHOLE}"))
    }

    fn regular(&self, flags: OFlags) -> Result<(File, u64), Failed> {
        let file = reach::open(self.path, flags).map_err(|error| self.failed(&error))?;
        let metadata = file.metadata().map_err(|error| self.failed(&error))?;
        if metadata.is_dir() {
            return Err(self.fault("is a directory"));
        }
        if !metadata.is_file() {
            return Err(self.fault("is not a regular file"));
        }
        Ok((file, metadata.len()))
    }
}

/// The commonest reasons in plain words, without the number that the standard library adds.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "no such file or directory".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::IsADirectory => "is a directory".to_owned(),
        ErrorKind::NotADirectory => "a part of the path is not a directory".to_owned(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "the disk is full".to_owned(),
        ErrorKind::ReadOnlyFilesystem => "this place is read-only".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn named(path: &Path) -> Named<'_> {
        Named { tool: "tool", shown: "shown", path }
    }

    #[test]
    fn what_is_not_a_file_is_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        assert_eq!(named(&fifo).open().unwrap_err(), Failed("tool: shown is not a regular file".into()));
        assert!(named(&fifo).overwrite(b"x").is_err());
        assert_eq!(
            named(Path::new("/dev/zero")).text().unwrap_err(),
            Failed("tool: shown is not a regular file".into())
        );
        assert_eq!(named(directory.path()).text().unwrap_err(), Failed("tool: shown is a directory".into()));
        let missing = directory.path().join("missing");
        assert_eq!(named(&missing).text().unwrap_err(), Failed("tool: shown: no such file or directory".into()));
    }

    #[test]
    fn overwriting_keeps_the_mode() {
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("script");
        fs::write(&path, "a longer text").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o751)).unwrap();
        named(&path).overwrite(b"short").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "short");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o751);
    }

    #[test]
    fn bytes_that_are_no_text_are_said_to_be_binary() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        for bytes in [b"a\0b".as_slice(), b"\xff\xfe\xfd".as_slice()] {
            fs::write(&path, bytes).unwrap();
            assert!(named(&path).text().unwrap_err().0.contains("is a binary file"));
        }
        fs::write(&path, vec![b'x'; WHOLE as usize + 1]).unwrap();
        assert!(named(&path).text().unwrap_err().0.contains("over the limit of 262144"));
    }
}

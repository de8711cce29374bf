//! The spool's files: one is written, a few before it are kept.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Of one file. The line that would pass it begins the next.
    pub(crate) bytes: u64,
    /// With the one that is written. The oldest goes first.
    pub(crate) files: usize,
}

pub(super) struct Files {
    directory: PathBuf,
    bounds: Bounds,
    number: u64,
    file: File,
    length: u64,
    /// The file ends in a part of a line that was never acknowledged.
    is_torn: bool,
}

impl Files {
    /// Goes on with the newest file.
    pub(super) fn open(directory: &Path, bounds: Bounds) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let number = numbers(directory)?.into_iter().max().unwrap_or(1);
        let mut file = open(directory, number)?;
        sync_directory(directory)?;
        let length = file.seek(SeekFrom::End(0))?;
        let is_torn = length > 0 && last_byte(&mut file)? != b'\n';
        Ok(Self { directory: directory.to_owned(), bounds, number, file, length, is_torn })
    }

    /// Adds whole lines, or nothing that counts.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.length > 0 && self.length.saturating_add(lines.len() as u64) > self.bounds.bytes {
            self.rotate()?;
        }
        let written = self.end_torn_line().and_then(|()| self.file.write_all(lines));
        if let Err(error) = written {
            // A part of it may be there. Without it the lines before and after stay whole.
            self.is_torn = self.file.set_len(self.length).is_err();
            return Err(error);
        }
        self.length += lines.len() as u64;
        Ok(())
    }

    /// What was appended survives a crash of the machine from now on.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data().inspect_err(|_| {
            // The kernel may have dropped what it could not write, and would not say so again: this file is done with.
            if let Err(error) = self.rotate() {
                tracing::error!(%error, "no new audit file can be begun");
            }
        })
    }

    fn end_torn_line(&mut self) -> io::Result<()> {
        if self.is_torn {
            self.file.write_all(b"\n")?;
            self.length = self.file.seek(SeekFrom::End(0))?;
            self.is_torn = false;
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        // The next begins where the last one is safe.
        let _ = self.file.sync_data();
        let number = self.number + 1;
        let file = open(&self.directory, number)?;
        // Before it is written to: what is in a file that no directory has is lost.
        sync_directory(&self.directory)?;
        self.file = file;
        (self.number, self.length, self.is_torn) = (number, 0, false);
        let mut old = numbers(&self.directory)?;
        old.sort_unstable_by(|left, right| right.cmp(left));
        for number in old.into_iter().skip(self.bounds.files.max(1)) {
            fs::remove_file(path(&self.directory, number))?;
        }
        Ok(())
    }
}

fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("audit-{number:08}.jsonl"))
}

/// The file that is written, or was last.
pub(crate) fn newest(directory: &Path) -> Option<PathBuf> {
    numbers(directory).ok()?.into_iter().max().map(|number| path(directory, number))
}

fn numbers(directory: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("audit-")?.strip_suffix(".jsonl")?.parse().ok());
        numbers.extend::<Option<u64>>(number);
    }
    Ok(numbers)
}

fn open(directory: &Path, number: u64) -> io::Result<File> {
    File::options().create(true).append(true).read(true).mode(0o600).open(path(directory, number))
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn last_byte(file: &mut File) -> io::Result<u8> {
    file.seek(SeekFrom::End(-1))?;
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    let [byte] = byte;
    Ok(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { bytes: 20, files: 3 };

    fn read(directory: &Path) -> Vec<String> {
        let mut numbers = numbers(directory).unwrap();
        numbers.sort_unstable();
        numbers.into_iter().map(|number| fs::read_to_string(path(directory, number)).unwrap()).collect()
    }

    #[test]
    fn a_full_file_is_followed_by_another_and_the_oldest_go() {
        let directory = tempfile::tempdir().unwrap();
        let mut files = Files::open(directory.path(), BOUNDS).unwrap();
        for n in 0..9 {
            files.append(format!("line {n:04}\n").as_bytes()).unwrap();
            files.sync().unwrap();
        }
        let kept = ["line 0004\nline 0005\n", "line 0006\nline 0007\n", "line 0008\n"];
        assert_eq!(read(directory.path()), kept);
        let newest = newest(directory.path()).unwrap();
        assert_eq!(fs::read_to_string(newest).unwrap(), "line 0008\n");
    }

    #[test]
    fn a_new_process_goes_on_in_the_same_file() {
        let directory = tempfile::tempdir().unwrap();
        Files::open(directory.path(), BOUNDS).unwrap().append(b"one\n").unwrap();
        Files::open(directory.path(), BOUNDS).unwrap().append(b"two\n").unwrap();
        assert_eq!(read(directory.path()), ["one\ntwo\n"]);
    }

    #[test]
    fn a_line_that_a_crash_cut_spoils_no_other() {
        let directory = tempfile::tempdir().unwrap();
        Files::open(directory.path(), BOUNDS).unwrap().append(b"one\ncut").unwrap();
        Files::open(directory.path(), BOUNDS).unwrap().append(b"two\n").unwrap();
        assert_eq!(read(directory.path()), ["one\ncut\ntwo\n"]);
    }

    #[test]
    fn a_full_disk_fails_the_append_and_leaves_whole_lines() {
        let directory = tempfile::tempdir().unwrap();
        let mut files = Files::open(directory.path(), BOUNDS).unwrap();
        files.append(b"one\n").unwrap();
        let whole = std::mem::replace(&mut files.file, File::options().append(true).open("/dev/full").unwrap());
        assert!(files.append(b"two\n").is_err());
        files.file = whole;
        files.append(b"three\n").unwrap();
        let text = read(directory.path()).concat();
        assert!(text == "one\nthree\n" || text == "one\n\nthree\n", "{text:?}");
    }
}

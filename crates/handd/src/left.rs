//! The file of the host's that takes what a sandbox has written when nobody needs it any more. Nobody is there to be sent
//! that.

use std::{
    fs::File,
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    os::unix::net::UnixStream,
};

use hand_protocol::{LEFT_FD, left_end};
use rustix::fs::{FileType, fstat};

use crate::{layer::Layer, serve::descriptors};

/// To be written only.
pub(crate) struct Left(File);

impl Left {
    /// Takes over what the launcher has opened, if it has. To be called before anything is opened.
    pub(crate) fn take() -> Option<Self> {
        let taken = descriptors::take(LEFT_FD).ok()?;
        let found = fstat(&taken).ok()?;
        (FileType::from_raw_mode(found.st_mode) == FileType::RegularFile).then(|| Self(taken.into()))
    }

    #[cfg(test)]
    pub(crate) fn of(file: File) -> Self {
        Self(file)
    }

    /// Writes the archive of a layer, and returns its length. Ends when something comes on the line, which does not block.
    pub(crate) fn fill(&self, layer: &Layer, disk: u64, line: &UnixStream) -> io::Result<u64> {
        self.clear()?;
        layer.save(disk, Until { line, file: &self.0 })?;
        (&self.0).stream_position()
    }

    /// What makes the archive count as whole.
    pub(crate) fn end(&self, length: u64) -> io::Result<()> {
        (&self.0).write_all(&left_end(length))
    }

    pub(crate) fn clear(&self) -> io::Result<()> {
        self.0.set_len(0)?;
        (&self.0).seek(SeekFrom::Start(0)).map(|_| ())
    }
}

/// Whether something has come on a line that does not block, if only its end.
pub(crate) fn is_cut(mut line: &UnixStream) -> bool {
    !matches!(line.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

pub(crate) fn needed() -> io::Error {
    io::Error::other("there is work for it")
}

/// The file, until somebody comes.
struct Until<'a> {
    /// Ends when somebody does.
    line: &'a UnixStream,
    file: &'a File,
}

impl Write for Until<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if is_cut(self.line) { Err(needed()) } else { self.file.write(bytes) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! A layer as a tarball that any machine can read.
//!
//! What an upper holds was made in a sandbox: it is walked by descriptors, through no link.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{FileType, Mode, OFlags, Stat, fgetxattr, flistxattr, fstat, openat, readlinkat},
    io::Errno,
};
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};
use tokio_util::sync::CancellationToken;

use crate::{
    Digest,
    unpack::{OPAQUE, PREFIX, shown},
    walk::{self, LIST, MAX_DEPTH},
};

/// Fast: layers travel between machines, and are not kept like this.
const LEVEL: i32 = 1;

/// What a header takes of a name.
const SHORT: usize = 100;

/// What the kernel lets a file have.
const MAX_ATTRIBUTES: usize = 64 << 10;

const READ: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    pub bytes: u64,
    pub digest: Digest,
    pub entries: u64,
    /// Devices, sockets, FIFOs, and attributes that cannot be said.
    pub skipped: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum PackError {
    #[error("the layer cannot be packed: {0}")]
    Io(#[from] io::Error),
    #[error("the layer cannot be packed: its `{path}` {reason}")]
    Path { path: String, reason: &'static str },
    #[error("nobody waits for it any more")]
    Cancelled,
}

pub(super) fn pack(upper: &OwnedFd, to: impl Write, cancelled: &CancellationToken) -> Result<Packed, PackError> {
    let counted = Counted { to, bytes: 0, hash: Sha256::new() };
    let archive = tar::Builder::new(zstd::stream::write::Encoder::new(counted, LEVEL)?);
    let mut packer = Packer { archive, cancelled, names: HashMap::new(), entries: 0, skipped: 0 };
    packer.directory(upper, &mut Vec::new(), 0)?;
    let Packer { archive, entries, skipped, .. } = packer;
    let mut counted = archive.into_inner()?.finish()?;
    counted.flush()?;
    Ok(Packed { bytes: counted.bytes, digest: Digest::finish(counted.hash), entries, skipped })
}

struct Packer<'a, W: Write> {
    archive: tar::Builder<W>,
    cancelled: &'a CancellationToken,
    /// The first name of each file that has several.
    names: HashMap<u64, Vec<u8>>,
    entries: u64,
    skipped: u64,
}

/// What an overlay says of a file by attributes, and what others do.
#[derive(Default)]
struct Attributes {
    opaque: bool,
    whiteout: bool,
    kept: Vec<(String, Vec<u8>)>,
}

impl<W: Write> Packer<'_, W> {
    fn directory(&mut self, directory: &OwnedFd, path: &mut Vec<u8>, depth: usize) -> Result<(), PackError> {
        if depth > MAX_DEPTH {
            return Err(refused(path, "is too deep"));
        }
        let stat = fstat(directory).map_err(io::Error::from)?;
        let attributes = self.attributes(directory, path)?;
        self.extend(&attributes)?;
        let name = if path.is_empty() { b"./".to_vec() } else { [path.as_slice(), b"/"].concat() };
        self.append(EntryType::Directory, &stat, &name, b"", 0, io::empty())?;
        if attributes.opaque {
            self.mark(path, OPAQUE)?;
        }
        for name in walk::names(directory)? {
            if self.cancelled.is_cancelled() {
                return Err(PackError::Cancelled);
            }
            let (name, length) = (name.to_bytes(), path.len());
            if name.starts_with(PREFIX) {
                return Err(refused(name, "has a name that means something else in a tarball"));
            }
            let stat = walk::stat(directory, name).map_err(io::Error::from)?;
            if is_whiteout(&stat) {
                self.mark(path, &[PREFIX, name].concat())?;
                continue;
            }
            if length > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            self.file(directory, name, &stat, path, depth)?;
            path.truncate(length);
        }
        Ok(())
    }

    fn file(
        &mut self,
        parent: &OwnedFd,
        name: &[u8],
        stat: &Stat,
        path: &mut Vec<u8>,
        depth: usize,
    ) -> Result<(), PackError> {
        match walk::kind(stat) {
            FileType::Directory => {
                let directory = openat(parent, name, LIST, Mode::empty()).map_err(io::Error::from)?;
                self.directory(&directory, path, depth + 1)
            }
            FileType::Symlink => {
                let target = readlinkat(parent, name, Vec::<u8>::new()).map_err(io::Error::from)?;
                self.append(EntryType::Symlink, stat, path, target.to_bytes(), 0, io::empty())
            }
            FileType::RegularFile => {
                if let Some(first) = self.names.get(&stat.st_ino).cloned() {
                    return self.append(EntryType::Link, stat, path, &first, 0, io::empty());
                }
                let file = File::from(openat(parent, name, READ, Mode::empty()).map_err(io::Error::from)?);
                let attributes = self.attributes(&file, path)?;
                if attributes.whiteout && stat.st_size == 0 {
                    let parent = path.len().saturating_sub(name.len() + 1);
                    return self.mark(path.get(..parent).unwrap_or_default(), &[PREFIX, name].concat());
                }
                self.extend(&attributes)?;
                let size = stat.st_size.unsigned_abs();
                self.append(EntryType::Regular, stat, path, b"", size, Whole { inner: file, left: size })?;
                if stat.st_nlink > 1 {
                    self.names.insert(stat.st_ino, path.clone());
                }
                Ok(())
            }
            _ => {
                self.skipped += 1;
                Ok(())
            }
        }
    }

    /// An empty file, whose name hides something in this directory.
    fn mark(&mut self, directory: &[u8], name: &[u8]) -> Result<(), PackError> {
        let path = if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() };
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(0);
        self.write(header, &path, b"", io::empty())
    }

    fn append(
        &mut self,
        kind: EntryType,
        stat: &Stat,
        path: &[u8],
        target: &[u8],
        size: u64,
        content: impl Read,
    ) -> Result<(), PackError> {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(stat.st_mode & 0o7777);
        header.set_uid(stat.st_uid.into());
        header.set_gid(stat.st_gid.into());
        header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or_default());
        header.set_size(size);
        self.write(header, path, target, content)
    }

    fn write(&mut self, mut header: Header, path: &[u8], target: &[u8], content: impl Read) -> Result<(), PackError> {
        for (kind, name) in [(EntryType::GNULongName, path), (EntryType::GNULongLink, target)] {
            if name.len() > SHORT {
                self.long_name(kind, name)?;
            }
        }
        let old = header.as_old_mut();
        copy(&mut old.name, path);
        copy(&mut old.linkname, target);
        header.set_cksum();
        self.archive.append(&header, content)?;
        self.entries += 1;
        Ok(())
    }

    /// Says the next entry's name or target, which its own header has no room for.
    fn long_name(&mut self, kind: EntryType, name: &[u8]) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(name.len() as u64 + 1);
        copy(&mut header.as_old_mut().name, b"././@LongLink");
        header.set_cksum();
        self.archive.append(&header, name.chain(&b"\0"[..]))
    }

    fn extend(&mut self, attributes: &Attributes) -> io::Result<()> {
        let kept = attributes.kept.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        self.archive.append_pax_extensions(kept)
    }

    fn attributes(&mut self, file: impl AsFd, path: &[u8]) -> Result<Attributes, PackError> {
        let file = file.as_fd();
        let mut list = vec![0; MAX_ATTRIBUTES];
        let length = match flistxattr(file, &mut list[..]) {
            Err(Errno::OPNOTSUPP) => 0,
            length => length.map_err(io::Error::from)?,
        };
        let mut attributes = Attributes::default();
        for name in list.get(..length).unwrap_or_default().split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            let mut value = vec![0; MAX_ATTRIBUTES];
            let length = fgetxattr(file, name, &mut value[..]).map_err(io::Error::from)?;
            value.truncate(length);
            match name.strip_prefix(b"user.overlay.").or_else(|| name.strip_prefix(b"trusted.overlay.")) {
                // `x` says that there may be whiteouts that are attributes, which is seen anyway.
                Some(b"opaque") => attributes.opaque |= value == b"y",
                Some(b"whiteout") => attributes.whiteout = true,
                Some(b"redirect" | b"metacopy") => {
                    return Err(refused(path, "was moved by its overlay in a way that is only known there"));
                }
                // Its own notes, of no meaning elsewhere.
                Some(_) => {}
                // Every machine's policy labels for itself.
                None if name == b"security.selinux" => {}
                None => match str::from_utf8(name) {
                    // Readers of tarballs take a line end for the end of the value.
                    Ok(text) if text.starts_with("user.") && !value.contains(&b'\n') && !text.contains(['=', '\n']) => {
                        attributes.kept.push((format!("SCHILY.xattr.{text}"), value));
                    }
                    _ => self.skipped += 1,
                },
            }
        }
        attributes.kept.sort();
        Ok(attributes)
    }
}

/// The device 0/0, which is none.
fn is_whiteout(stat: &Stat) -> bool {
    walk::kind(stat) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// What fits. The rest is in an entry of its own.
fn copy(field: &mut [u8; SHORT], bytes: &[u8]) {
    for (to, from) in field.iter_mut().zip(bytes) {
        *to = *from;
    }
}

fn refused(path: &[u8], reason: &'static str) -> PackError {
    PackError::Path { path: shown(path), reason }
}

/// As many bytes as the header has announced, whatever happens to the file meanwhile.
struct Whole<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.inner.read(buffer.get_mut(..most).unwrap_or_default())?;
        if read == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read as u64;
        Ok(read)
    }
}

struct Counted<W> {
    to: W,
    bytes: u64,
    hash: Sha256,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.to.write(buffer)?;
        self.hash.update(buffer.get(..written).unwrap_or_default());
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

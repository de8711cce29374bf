//! Writes the archive of a layer.
//!
//! By then no process of the sandbox is left that could change it, and no call runs. The daemon has no right to pass
//! over modes: to what only its owner may not read, and that is the daemon, it gives itself that for as long as it
//! takes.

use std::{
    collections::HashMap,
    ffi::{CStr, CString},
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsRawFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, Timespec, chmod, fstat, openat, readlinkat, statat},
    process::geteuid,
};
use tar::{Builder, EntryType, Header};
use zstd::stream::write::Encoder;

use super::{
    DEEPEST, Layer,
    attributes::{self, Attributes},
    extents::{self, Contents},
    longest, records,
};

/// A sandbox that is put away should take little time as well as little room.
const LEVEL: i32 = 1;

/// In the place of a name in headers: the names are in records.
const IN_RECORDS: &str = "-";

/// Writes the archive of a layer on a disk of this size. What is no file is left out: sockets and pipes, which nobody
/// holds any more.
pub(super) fn save(layer: &Layer, disk: u64, to: impl Write) -> io::Result<()> {
    let mut archive = Encoder::new(to, LEVEL)?;
    archive.include_checksum(true)?;
    let mut saver = Saver {
        archive: Builder::new(Bounded { to: archive, left: longest(disk) }),
        attributes: attributes::Reader::new(),
        linked: HashMap::new(),
        path: Vec::new(),
    };
    for (name, top) in layer.parts() {
        saver.part(name, top)?;
    }
    saver.archive.into_inner()?.to.finish()?.flush()
}

struct Saver<W: Write> {
    archive: Builder<W>,
    attributes: attributes::Reader,
    /// Files with more than one name: the one that each was saved under.
    linked: HashMap<u64, Vec<u8>>,
    /// Of the entry that is being saved.
    path: Vec<u8>,
}

/// A directory whose entries are being saved.
struct Level {
    directory: OwnedFd,
    /// Still to be saved.
    names: Vec<CString>,
    /// Bytes of its path.
    path: usize,
    _lent: Option<Lent>,
}

/// The owner's rights to what is being read. Its mode is put back when this is dropped.
struct Lent {
    held: OwnedFd,
    mode: Mode,
}

impl<W: Write> Saver<W> {
    fn part(&mut self, name: &str, top: &OwnedFd) -> io::Result<()> {
        let stat = fstat(top)?;
        let lent = if is_closed(&stat) { Some(Lent::take(top.try_clone()?, &stat)?) } else { None };
        self.path = name.into();
        let attributes = self.attributes.read(top)?;
        self.put(EntryType::Directory, &stat, self.records(&stat, &attributes), 0, io::empty())?;
        let mut way = vec![Level { names: names(top)?, directory: top.try_clone()?, path: name.len(), _lent: lent }];
        while let Some(level) = way.last_mut() {
            let Some(name) = level.names.pop() else {
                way.pop();
                continue;
            };
            self.path.truncate(level.path);
            self.path.push(b'/');
            self.path.extend_from_slice(name.to_bytes());
            let below = self.entry(&level.directory, &name);
            if let Some(below) = below.map_err(|error| named(&self.path, &error))? {
                if way.len() >= DEEPEST {
                    return Err(io::Error::other(format!("there are directories more than {DEEPEST} deep")));
                }
                way.push(below);
            }
        }
        Ok(())
    }

    /// Saves one entry. A directory is returned, to be gone into.
    fn entry(&mut self, parent: &OwnedFd, name: &CStr) -> io::Result<Option<Level>> {
        let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let (directory, lent) = open(parent, name, &stat, OFlags::DIRECTORY)?;
                let attributes = self.attributes.read(&directory)?;
                self.put(EntryType::Directory, &stat, self.records(&stat, &attributes), 0, io::empty())?;
                let names = names(&directory)?;
                return Ok(Some(Level { directory, names, path: self.path.len(), _lent: lent }));
            }
            FileType::RegularFile | FileType::Symlink if self.is_link(&stat)? => {}
            FileType::RegularFile => self.file(parent, name, &stat)?,
            FileType::Symlink => {
                let mut records = self.records(&stat, &Attributes::new());
                records::push(&mut records, records::LINK, readlinkat(parent, name, Vec::new())?.to_bytes());
                self.put(EntryType::Symlink, &stat, records, 0, io::empty())?;
            }
            // A whiteout: for the overlay, that there is nothing of this name.
            FileType::CharacterDevice if stat.st_rdev == 0 => {
                self.put(EntryType::Char, &stat, self.records(&stat, &Attributes::new()), 0, io::empty())?;
            }
            _ => {}
        }
        Ok(None)
    }

    /// Whether this is another name of what has been saved already. If so, it is saved as that.
    fn is_link(&mut self, stat: &Stat) -> io::Result<bool> {
        if stat.st_nlink < 2 {
            return Ok(false);
        }
        let Some(first) = self.linked.get(&stat.st_ino) else {
            self.linked.insert(stat.st_ino, self.path.clone());
            return Ok(false);
        };
        let mut records = self.records(stat, &Attributes::new());
        records::push(&mut records, records::LINK, first);
        self.put(EntryType::Link, stat, records, 0, io::empty())?;
        Ok(true)
    }

    fn file(&mut self, parent: &OwnedFd, name: &CStr, stat: &Stat) -> io::Result<()> {
        let (file, lent) = open(parent, name, stat, OFlags::empty())?;
        let attributes = self.attributes.read(&file)?;
        drop(lent);
        let file = File::from(file);
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let extents = extents::of(&file, size)?;
        let stored = extents.iter().map(|(_, length)| length).sum();
        let mut records = self.records(stat, &attributes);
        if !extents::is_whole(&extents, size) {
            let (map, count) = extents::map(&extents, size);
            records::push(&mut records, records::SPARSE_SIZE, size.to_string().as_bytes());
            // Before the map: GNU tar makes room for so many.
            records::push(&mut records, records::SPARSE_COUNT, count.to_string().as_bytes());
            records::push(&mut records, records::SPARSE_MAP, map.as_bytes());
        }
        self.put(EntryType::Regular, stat, records, stored, Contents::new(&file, &extents))
    }

    /// What a header has no room for.
    fn records(&self, stat: &Stat, attributes: &Attributes) -> Vec<u8> {
        let mut records = Vec::with_capacity(self.path.len() + 64);
        records::push(&mut records, records::PATH, &self.path);
        let time = Timespec { tv_sec: stat.st_mtime, tv_nsec: i64::try_from(stat.st_mtime_nsec).unwrap_or(0) };
        records::push(&mut records, records::TIME, records::written(time).as_bytes());
        for (name, value) in attributes {
            records::push(&mut records, &attributes::key(name), value);
        }
        records
    }

    fn put(&mut self, kind: EntryType, stat: &Stat, records: Vec<u8>, size: u64, data: impl Read) -> io::Result<()> {
        let mut before = header(EntryType::XHeader, records.len() as u64)?;
        before.set_mode(0o644);
        before.set_cksum();
        self.archive.append(&before, records.as_slice())?;

        let mut header = header(kind, size)?;
        header.set_mode(stat.st_mode & 0o7777);
        header.set_uid(stat.st_uid.into());
        header.set_gid(stat.st_gid.into());
        header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
        header.set_cksum();
        self.archive.append(&header, data)
    }
}

fn header(kind: EntryType, size: u64) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(IN_RECORDS)?;
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_device_major(0)?;
    header.set_device_minor(0)?;
    Ok(header)
}

fn named(path: &[u8], error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", String::from_utf8_lossy(path)))
}

/// In an order that does not depend on the file system's, the last one first.
fn names(directory: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    names.sort_unstable_by(|one, other| other.cmp(one));
    Ok(names)
}

/// Opens what was found to be a file, or a directory.
fn open(parent: &OwnedFd, name: &CStr, stat: &Stat, flags: OFlags) -> io::Result<(OwnedFd, Option<Lent>)> {
    let own = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let lent = if is_closed(stat) {
        Some(Lent::take(openat(parent, name, OFlags::PATH | own, Mode::empty())?, stat)?)
    } else {
        None
    };
    // Never held up, should it be something else by now.
    let plain = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    Ok((openat(parent, name, plain | own | flags, Mode::empty())?, lent))
}

/// Whether its owner may not read it, and that is this process.
fn is_closed(stat: &Stat) -> bool {
    let needed = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Mode::RUSR | Mode::XUSR,
        _ => Mode::RUSR,
    };
    stat.st_uid == geteuid().as_raw() && !Mode::from_raw_mode(stat.st_mode).contains(needed)
}

impl Lent {
    fn take(held: OwnedFd, stat: &Stat) -> io::Result<Self> {
        let mode = Mode::from_raw_mode(stat.st_mode);
        chmod(through(&held), mode | Mode::RWXU)?;
        Ok(Self { held, mode })
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let _ = chmod(through(&self.held), self.mode);
    }
}

/// A path to what is held, for calls that take no such descriptor.
fn through(held: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", held.as_raw_fd())
}

/// Lets no more through than an archive may have.
struct Bounded<W> {
    to: W,
    left: u64,
}

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        let left = self.left.checked_sub(written as u64);
        self.left = left.ok_or_else(|| io::Error::other("its names are too long to be kept"))?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

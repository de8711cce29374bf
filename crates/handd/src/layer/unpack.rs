//! Fills the directories of a layer from an archive.
//!
//! Whoever has made the archive is not trusted: a name is one step below a directory that is held, what is there
//! already stays as it is, and nothing is made but what a layer can have.

use std::{
    ffi::{CStr, CString},
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::FileExt,
    },
};

use rustix::{
    fs::{
        AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, chownat, fchmod, fchown,
        ftruncate, futimens, linkat, makedev, mkdirat, mknodat, openat, symlinkat, unlinkat, utimensat,
    },
    io::Errno,
};
use tar::{Archive, EntryType, Header};
use zstd::stream::read::Decoder;

use super::{
    DEEPEST, Layer, ROOT, USR,
    attributes::{self, Attributes},
    extents, longest, records,
};

/// Bytes that must be kept to undo the compression, as a power of two. No archive of ours needs as many.
const WINDOW: u32 = 23;

/// Headers of an archive. An entry has two, and a disk has half a million files at most.
const HEADERS: usize = 2_000_000;

/// Bytes of one entry's records.
const LONGEST_RECORDS: u64 = 32 << 20;

const PIECE: usize = 128 << 10;

/// Users and groups that can own something inside.
const OWNERS: u64 = 65_536;

/// Nobody becomes another user by executing a file.
const OF_FILES: Mode = Mode::RWXU.union(Mode::RWXG).union(Mode::RWXO).union(Mode::SVTX);
const OF_DIRECTORIES: Mode = OF_FILES.union(Mode::SGID);

/// A directory on the way.
const STEP: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A file that was not there.
const NEW: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// In the spare directory.
const WHITEOUT: &CStr = c"whiteout";

/// Fills an empty layer, on a disk of this size. `spare` is a directory on the same disk, empty before and afterwards.
pub(crate) fn unpack(layer: &Layer, disk: u64, spare: &OwnedFd, from: impl Read) -> io::Result<()> {
    let mut decoder = Decoder::new(from)?;
    decoder.window_log_max(WINDOW)?;
    let mut archive = Archive::new(Bounded { from: decoder, left: longest(disk) });
    let mut unpacker = Unpacker {
        layer,
        part: ROOT,
        way: Vec::new(),
        spare,
        has_whiteout: false,
        is_begun: false,
        piece: vec![0; PIECE],
    };
    let mut before = None;
    for (count, entry) in archive.entries()?.raw(true).enumerate() {
        let mut entry = entry?;
        if count >= HEADERS {
            return Err(malformed("it has too many entries"));
        }
        if entry.header().entry_type() == EntryType::XHeader {
            let mut text = Vec::new();
            entry.by_ref().take(LONGEST_RECORDS + 1).read_to_end(&mut text)?;
            if before.replace(text).is_some() || entry.size() > LONGEST_RECORDS {
                return Err(malformed("it has records that belong to no entry"));
            }
            continue;
        }
        let text = before.take().unwrap_or_default();
        let told = Told::of(entry.header().clone(), entry.size(), &text)?;
        unpacker.entry(&told, &mut entry).map_err(|error| told.named(&error))?;
    }
    unpacker.finish()?;
    // Nothing but filling, and then the compression's own sum, which tells whether all of it is as it was.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map(|_| ())
}

fn malformed(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// What an archive says of an entry.
struct Told {
    kind: EntryType,
    path: Vec<u8>,
    link: Option<Vec<u8>>,
    /// Owner and group, if somebody inside can be that.
    owner: Option<(Uid, Gid)>,
    mode: Mode,
    time: Timespec,
    attributes: Attributes,
    /// Bytes of the file.
    size: u64,
    /// Those of them that the archive has.
    extents: extents::Extents,
    is_whiteout: bool,
}

impl Told {
    fn of(header: Header, stored: u64, text: &[u8]) -> io::Result<Self> {
        let records = records::parse(text).ok_or_else(|| malformed("its records are not readable"))?;
        let value = |key: &[u8]| records.iter().find(|(found, _)| *found == key).map(|(_, value)| *value);
        if value(records::SIZE).is_some() {
            return Err(malformed("it says twice how long an entry is"));
        }
        let number = |key| std::str::from_utf8(value(key)?).ok()?.parse::<u64>().ok();
        let (size, extents) = match value(records::SPARSE_MAP) {
            None if stored > 0 => (stored, vec![(0, stored)]),
            None => (0, Vec::new()),
            Some(map) => {
                let size = number(records::SPARSE_SIZE);
                let extents = size.zip(std::str::from_utf8(map).ok()).and_then(|(size, map)| {
                    let extents = extents::parse(map, size, stored)?;
                    Some((size, extents))
                });
                extents.ok_or_else(|| malformed("it has a sparse file that does not fit together"))?
            }
        };
        let time = match value(records::TIME) {
            Some(time) => records::time(time).ok_or_else(|| malformed("a time in it is none"))?,
            None => Timespec { tv_sec: i64::try_from(header.mtime()?).unwrap_or(i64::MAX), tv_nsec: 0 },
        };
        let attributes = records.iter().filter_map(|(key, value)| Some((attributes::name(key)?, value.to_vec())));
        Ok(Self {
            kind: header.entry_type(),
            path: value(records::PATH).map_or_else(|| header.path_bytes().into_owned(), <[u8]>::to_vec),
            link: value(records::LINK).map(<[u8]>::to_vec).or_else(|| Some(header.link_name_bytes()?.into_owned())),
            owner: owner(header.uid()?, header.gid()?),
            mode: Mode::from_raw_mode(header.mode()? & 0o7777),
            time,
            attributes: attributes.filter(|(name, value)| attributes::is_kept(name, value)).collect(),
            size,
            extents,
            is_whiteout: header.device_major().is_ok_and(|number| number == Some(0))
                && header.device_minor().is_ok_and(|number| number == Some(0)),
        })
    }

    fn times(&self) -> Timestamps {
        times(self.time)
    }

    fn named(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{}: {error}", String::from_utf8_lossy(&self.path)))
    }

    fn link(&self) -> io::Result<&[u8]> {
        self.link.as_deref().ok_or_else(|| malformed("it has a link to nothing"))
    }
}

/// None for the sandbox's root, who owns what is made, and for whoever is nobody inside.
fn owner(user: u64, group: u64) -> Option<(Uid, Gid)> {
    let known = |id: u64| u32::try_from(id).ok().filter(|_| id < OWNERS);
    let (user, group) = (known(user)?, known(group)?);
    ((user, group) != (0, 0)).then(|| (Uid::from_raw(user), Gid::from_raw(group)))
}

fn times(modified: Timespec) -> Timestamps {
    Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }, last_modification: modified }
}

/// Splits a path of the archive into its part and the names below that. None if it could lead anywhere else.
fn split(path: &[u8]) -> Option<(&'static str, Vec<CString>)> {
    let mut names = path.strip_suffix(b"/").unwrap_or(path).split(|byte| *byte == b'/');
    let part = match names.next()? {
        b"root" => ROOT,
        b"usr" => USR,
        _ => return None,
    };
    let plain = |name: &[u8]| if matches!(name, b"" | b"." | b"..") { None } else { CString::new(name).ok() };
    let names = names.map(plain).collect::<Option<Vec<_>>>()?;
    (names.len() <= DEEPEST).then_some((part, names))
}

/// A directory on the way to where entries are made.
struct Level {
    /// Empty at the top.
    name: CString,
    directory: OwnedFd,
    /// Its mode, and when it was changed. Both are set once nothing more is made in it.
    end: Option<(Mode, Timespec)>,
}

struct Unpacker<'a> {
    layer: &'a Layer,
    /// Where the way begins.
    part: &'static str,
    /// From the top of the part. Most entries are in the directory of the one before.
    way: Vec<Level>,
    spare: &'a OwnedFd,
    /// Whether the spare directory holds one. All others are further names of it, as an overlay makes them.
    has_whiteout: bool,
    /// Whether there was anything of the root, as in every archive of ours.
    is_begun: bool,
    piece: Vec<u8>,
}

impl Unpacker<'_> {
    fn entry(&mut self, told: &Told, data: &mut impl Read) -> io::Result<()> {
        let (part, names) = split(&told.path).ok_or_else(|| malformed("it leads out of a layer"))?;
        let Some((name, parents)) = names.split_last() else {
            if told.kind != EntryType::Directory {
                return Err(malformed("the top of a layer is a directory"));
            }
            self.is_begun |= part == ROOT;
            return self.arrive(part, &names, told);
        };
        match told.kind {
            EntryType::Directory => {
                mkdirat(self.go(part, parents)?, name, Mode::RWXU)?;
                self.arrive(part, &names, told)
            }
            EntryType::Regular => {
                let file = openat(self.go(part, parents)?, name, NEW, Mode::RUSR | Mode::WUSR)?;
                self.fill(File::from(file), told, data)
            }
            EntryType::Symlink => {
                let at = self.go(part, parents)?;
                symlinkat(told.link()?, at, name)?;
                if let Some((user, group)) = told.owner {
                    known(chownat(at, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW))?;
                }
                Ok(utimensat(at, name, &told.times(), AtFlags::SYMLINK_NOFOLLOW)?)
            }
            EntryType::Link => self.link(part, &names, told.link()?),
            EntryType::Char if told.is_whiteout => self.hide(part, parents, name),
            _ => Err(malformed("no layer has what it is")),
        }
    }

    /// Goes to a directory, by way of what of the present way leads there.
    fn go(&mut self, part: &'static str, names: &[CString]) -> io::Result<&OwnedFd> {
        if self.part != part || self.way.is_empty() {
            self.leave(0)?;
            let (_, top) = self
                .layer
                .parts()
                .find(|(name, _)| *name == part)
                .ok_or_else(|| malformed("this was put away over another kind of system"))?;
            self.part = part;
            self.way.push(Level { name: CString::default(), directory: top.try_clone()?, end: None });
        }
        let common = self.way.iter().skip(1).zip(names).take_while(|(level, name)| level.name == **name).count();
        self.leave(common + 1)?;
        for name in names.get(common..).unwrap_or_default() {
            let directory = openat(self.here()?, name, STEP, Mode::empty())?;
            self.way.push(Level { name: name.clone(), directory, end: None });
        }
        self.here()
    }

    fn here(&self) -> io::Result<&OwnedFd> {
        self.way.last().map(|level| &level.directory).ok_or_else(|| malformed("it has no top"))
    }

    /// Goes back until the way is no longer than this.
    fn leave(&mut self, length: usize) -> io::Result<()> {
        while self.way.len() > length {
            if let Some(Level { directory, end: Some((mode, time)), .. }) = self.way.pop() {
                fchmod(&directory, mode)?;
                futimens(&directory, &times(time))?;
            }
        }
        Ok(())
    }

    /// Goes into a directory that is as it is told of from now on.
    fn arrive(&mut self, part: &'static str, names: &[CString], told: &Told) -> io::Result<()> {
        dress(self.go(part, names)?, told)?;
        if let Some(level) = self.way.last_mut() {
            level.end = Some((told.mode.intersection(OF_DIRECTORIES), told.time));
        }
        Ok(())
    }

    fn fill(&mut self, file: File, told: &Told, data: &mut impl Read) -> io::Result<()> {
        let mut end = 0;
        for &(start, length) in &told.extents {
            let mut data = data.by_ref().take(length);
            let mut at = start;
            loop {
                match data.read(&mut self.piece)? {
                    0 => break,
                    read => {
                        file.write_all_at(self.piece.get(..read).unwrap_or_default(), at)?;
                        at += read as u64;
                    }
                }
            }
            end = start + length;
            if at != end {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        if end < told.size {
            ftruncate(&file, told.size)?;
        }
        dress(&file, told)?;
        fchmod(&file, told.mode.intersection(OF_FILES))?;
        Ok(futimens(&file, &told.times())?)
    }

    /// Another name of what was made before.
    fn link(&mut self, part: &'static str, names: &[CString], first: &[u8]) -> io::Result<()> {
        let (from, first) = split(first).ok_or_else(|| malformed("it leads out of a layer"))?;
        let (Some((name, parents)), Some((first, way))) = (names.split_last(), first.split_last()) else {
            return Err(malformed("the top of a layer is a directory"));
        };
        if from != part {
            return Err(malformed("it leads to another layer"));
        }
        let mut found = match self.way.first() {
            Some(top) if self.part == part => top.directory.try_clone()?,
            _ => return Err(malformed("nothing was made before it")),
        };
        for step in way {
            found = openat(&found, step, STEP, Mode::empty())?;
        }
        Ok(linkat(found, first, self.go(part, parents)?, name, AtFlags::empty())?)
    }

    /// Hides what lies below.
    fn hide(&mut self, part: &'static str, parents: &[CString], name: &CStr) -> io::Result<()> {
        if !self.has_whiteout {
            whiteout(self.spare, WHITEOUT)?;
            self.has_whiteout = true;
        }
        let spare = self.spare;
        let at = self.go(part, parents)?;
        match linkat(spare, WHITEOUT, at, name, AtFlags::empty()) {
            Err(Errno::MLINK | Errno::PERM) => whiteout(at, name),
            linked => Ok(linked?),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.leave(0)?;
        if self.has_whiteout {
            unlinkat(self.spare, WHITEOUT, AtFlags::empty())?;
            self.has_whiteout = false;
        }
        if self.is_begun { Ok(()) } else { Err(malformed("there is nothing in it")) }
    }
}

/// The one device that anybody may make, for it is none.
fn whiteout(at: &OwnedFd, name: &CStr) -> io::Result<()> {
    Ok(mknodat(at, name, FileType::CharacterDevice, Mode::empty(), makedev(0, 0))?)
}

/// Gives a file or directory its owner and its attributes.
fn dress(made: impl AsFd, told: &Told) -> io::Result<()> {
    if let Some((user, group)) = told.owner {
        known(fchown(&made, Some(user), Some(group)))?;
    }
    attributes::write(&made, &told.attributes)
}

/// A sandbox may have fewer users than the one that was put away. What is owned by none of them stays its root's.
fn known(given: rustix::io::Result<()>) -> io::Result<()> {
    match given {
        Err(Errno::INVAL) => Ok(()),
        given => Ok(given?),
    }
}

/// Refuses what is longer than any archive of ours.
struct Bounded<R> {
    from: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| malformed("it is too long"))?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_below_a_part_or_nowhere() {
        let names = |path: &[u8]| {
            let (part, names) = split(path)?;
            Some((part, names.iter().map(|name| name.to_str().unwrap().to_owned()).collect::<Vec<_>>()))
        };
        assert_eq!(names(b"root"), Some((ROOT, vec![])));
        assert_eq!(names(b"usr/"), Some((USR, vec![])));
        assert_eq!(names(b"root/a\nb/c "), Some((ROOT, vec!["a\nb".into(), "c ".into()])));
        let up = ["..", "root/..", "root/a/../b"];
        for wrong in ["", "/", "/root/a", "etc/a", "root//a", "root/./a", "./root/a", "root/\0"].into_iter().chain(up) {
            assert!(split(wrong.as_bytes()).is_none(), "{wrong}");
        }
        let deep = |levels: usize| format!("root{}", "/a".repeat(levels));
        assert!(split(deep(DEEPEST).as_bytes()).is_some() && split(deep(DEEPEST + 1).as_bytes()).is_none());
    }

    #[test]
    fn only_users_of_a_sandbox_own_something() {
        assert_eq!(owner(0, 0), None);
        assert_eq!(owner(1_000, 0), Some((Uid::from_raw(1_000), Gid::ROOT)));
        assert_eq!(owner(65_536, 0), None);
        assert_eq!(owner(0, u64::MAX), None);
    }

    #[test]
    fn what_is_longer_than_any_archive_is_an_error_and_no_end() {
        let read = |left| Bounded { from: io::repeat(0).take(10), left }.read_to_end(&mut Vec::new());
        assert_eq!(read(10).unwrap(), 10);
        assert!(read(9).is_err());
    }
}

//! What an entry says of its file besides the bytes.

use std::{
    io::{self, Read},
    iter,
    os::fd::AsFd,
};

use rustix::{
    fs::{
        AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chownat, fchmod, fchown, fsetxattr, futimens,
        utimensat,
    },
    io::Errno,
};

use super::{Error, Rules, Skipped};

const SET_ID: u32 = 0o6000;

/// The end of the year 9999. What file systems cannot hold they cut down themselves.
const LATEST: i64 = 253_402_300_799;

pub(super) struct Attributes {
    pub(super) mode: u32,
    pub(super) time: Timespec,
    /// None if it is not to be changed.
    owner: Option<(Uid, Gid)>,
    extended: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Attributes {
    pub(super) fn read<R: Read>(
        entry: &mut tar::Entry<'_, R>,
        rules: &Rules,
        skipped: &mut Skipped,
    ) -> Result<Self, Error> {
        let header = entry.header();
        let mut mode = header.mode().map_err(Error::Archive)? & 0o7777;
        if mode & SET_ID != 0 && !rules.special_bits {
            mode &= !SET_ID;
            skipped.special_bits += 1;
        }
        let owner = match rules.owners {
            true => Some((Uid::from_raw(owner(header.uid())?), Gid::from_raw(owner(header.gid())?))),
            false => None,
        };
        let seconds = header.mtime().ok().and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or_default();
        let mut attributes = Self { mode, time: moment(seconds, 0), owner, extended: Vec::new() };
        if let Some(extensions) = entry.pax_extensions().map_err(Error::reading)? {
            for extension in extensions {
                match extension {
                    Ok(extension) => attributes.extend(extension.key_bytes(), extension.value_bytes(), skipped)?,
                    // The library splits at line ends, which the value of an attribute may hold.
                    Err(_) => skipped.attributes += 1,
                }
            }
        }
        Ok(attributes)
    }

    fn extend(&mut self, key: &[u8], value: &[u8], skipped: &mut Skipped) -> Result<(), Error> {
        if key == b"mtime" {
            self.time = time(value).unwrap_or(self.time);
        } else if key.starts_with(b"GNU.sparse.") {
            // The library would take the map of the file for its content.
            return Err(Error::malformed("it holds a sparse file of the PAX form, which is not supported"));
        } else if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            if name.starts_with(b"user.") && !name.starts_with(b"user.overlay.") {
                self.extended.push((name.to_vec(), value.to_vec()));
            } else {
                skipped.attributes += 1;
            }
        } else if key.starts_with(b"LIBARCHIVE.xattr.") {
            skipped.attributes += 1;
        }
        Ok(())
    }

    /// Of a file that was just made.
    pub(super) fn give_to_file(&self, file: impl AsFd, skipped: &mut Skipped) -> io::Result<()> {
        let file = file.as_fd();
        // In this order: a new owner takes set-id bits away, and a mode may forbid to write attributes.
        self.give_to_directory(file, skipped)?;
        fchmod(file, Mode::from_raw_mode(self.mode))?;
        Ok(futimens(file, &self.times())?)
    }

    /// All but mode and time, which would be lost while the directory is filled.
    pub(super) fn give_to_directory(&self, directory: impl AsFd, skipped: &mut Skipped) -> io::Result<()> {
        let directory = directory.as_fd();
        if let Some((user, group)) = self.owner {
            fchown(directory, Some(user), Some(group))?;
        }
        for (name, value) in &self.extended {
            match fsetxattr(directory, name, value, XattrFlags::empty()) {
                Ok(()) => {}
                // Not every file system has them, or has room for as many.
                Err(Errno::OPNOTSUPP | Errno::NOSPC | Errno::TOOBIG | Errno::RANGE | Errno::INVAL) => {
                    skipped.attributes += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    pub(super) fn give_to_link(&self, parent: impl AsFd, name: &[u8]) -> io::Result<()> {
        let parent = parent.as_fd();
        if let Some((user, group)) = self.owner {
            chownat(parent, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(utimensat(parent, name, &self.times(), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn times(&self) -> Timestamps {
        Timestamps { last_access: self.time, last_modification: self.time }
    }
}

fn owner(number: io::Result<u64>) -> Result<u32, Error> {
    let number = number.map_err(Error::Archive)?;
    // The last one means "as it is" to the system.
    let known = u32::try_from(number).ok().filter(|number| *number != u32::MAX);
    known.ok_or_else(|| Error::malformed("the number of an owner is out of range"))
}

/// Seconds with a fraction, in decimal.
fn time(text: &[u8]) -> Option<Timespec> {
    let (seconds, fraction) = {
        let text = str::from_utf8(text).ok()?;
        text.split_once('.').unwrap_or((text, ""))
    };
    let digits: String = fraction.chars().chain(iter::repeat('0')).take(9).collect();
    let nanoseconds: u32 = digits.parse().ok()?;
    Some(moment(seconds.parse().ok()?, i64::from(nanoseconds)))
}

fn moment(seconds: i64, nanoseconds: i64) -> Timespec {
    Timespec { tv_sec: seconds.clamp(0, LATEST), tv_nsec: nanoseconds }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_to_the_nanosecond_and_never_to_nonsense() {
        let read = |text: &[u8]| time(text).map(|time| (time.tv_sec, time.tv_nsec));
        assert_eq!(read(b"1700000000.25"), Some((1_700_000_000, 250_000_000)));
        assert_eq!(read(b"1700000000.1234567899"), Some((1_700_000_000, 123_456_789)));
        assert_eq!(read(b"17"), Some((17, 0)));
        assert_eq!(read(b"-5"), Some((0, 0)));
        assert_eq!(read(b"99999999999999"), Some((LATEST, 0)));
        for text in [b"".as_slice(), b"now", b"1.-2", b"\xff"] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}

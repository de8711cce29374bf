//! Opening files by paths that others choose. The daemon is a process inside too: what `/proc` shows it of itself, its
//! descriptors above all, is nobody else's, and any link may lead there.

use std::{
    ffi::OsString,
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, Dir, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, Stat, fstatfs, openat2, statat},
    io::Errno,
};

use crate::walk::{self, Way};

/// Never held up by what is not a file: for a regular one neither means anything.
const PLAIN: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// Opens what an agent names, wherever it is, but below `/proc`. Links are followed, save the kernel's own.
pub(crate) fn open(path: &Path, flags: OFlags) -> io::Result<File> {
    let mode = if flags.contains(OFlags::CREATE) { Mode::from_raw_mode(0o666) } else { Mode::empty() };
    let opened = match openat2(CWD, path, flags | PLAIN, mode, ResolveFlags::NO_MAGICLINKS) {
        Err(Errno::NOSYS) => walk::open(CWD, path, flags | PLAIN, mode, Way::Anywhere),
        opened => opened,
    };
    match opened {
        Ok(file) => outside_proc(file).map(File::from),
        // A link of the kernel's, or too many of others.
        Err(Errno::LOOP) => Err(refused()),
        Err(errno) => Err(errno.into()),
    }
}

/// Opens a directory to be listed, likewise.
pub(crate) fn directory(path: &Path) -> io::Result<OwnedFd> {
    open(path, OFlags::RDONLY | OFlags::DIRECTORY).map(OwnedFd::from)
}

fn outside_proc(file: OwnedFd) -> io::Result<OwnedFd> {
    if fstatfs(&file)?.f_type == PROC_SUPER_MAGIC { Err(refused()) } else { Ok(file) }
}

fn refused() -> io::Error {
    io::Error::other("leads into /proc, which only commands can read")
}

/// What is in a directory, in no order: names, and what each is. Of a symbolic link that is the link itself.
pub(crate) fn names(directory: impl AsFd) -> io::Result<impl Iterator<Item = (OsString, Stat)>> {
    let entries = Dir::read_from(&directory)?;
    let names = entries.flatten().map(|entry| entry.file_name().to_owned());
    let names = names.filter(|name| !matches!(name.to_bytes(), b"." | b".."));
    Ok(names.filter_map(move |name| {
        let stat = statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some((OsString::from_vec(name.into_bytes()), stat))
    }))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn a_link_is_followed_but_not_into_proc() {
        let tree = tempfile::tempdir().unwrap();
        let at = |name: &str| tree.path().join(name);
        fs::write(at("file"), "text").unwrap();
        symlink("file", at("link")).unwrap();
        symlink("/proc/self/maps", at("maps")).unwrap();
        symlink("/proc/self/fd/0", at("input")).unwrap();
        assert!(open(&at("link"), OFlags::RDONLY).is_ok());
        for name in ["maps", "input"] {
            let error = open(&at(name), OFlags::RDONLY).unwrap_err();
            assert!(error.to_string().contains("/proc"), "{name}: {error}");
        }
        assert!(directory(Path::new("/proc/self/fd")).is_err());
        assert!(directory(tree.path()).is_ok());
    }

    #[test]
    fn names_are_told_with_what_they_are() {
        let tree = tempfile::tempdir().unwrap();
        fs::create_dir(tree.path().join("directory")).unwrap();
        symlink("directory", tree.path().join("link")).unwrap();
        let mut names: Vec<_> = names(directory(tree.path()).unwrap())
            .unwrap()
            .map(|(name, stat)| (name, rustix::fs::FileType::from_raw_mode(stat.st_mode)))
            .collect();
        names.sort_by(|(one, _), (other, _)| one.cmp(other));
        let expected = [("directory", rustix::fs::FileType::Directory), ("link", rustix::fs::FileType::Symlink)];
        assert_eq!(names, expected.map(|(name, kind)| (OsString::from(name), kind)));
    }
}

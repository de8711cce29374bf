//! `openat2` for kernels that have none, as guest kernels do not: step by step from an open directory, and a link is read,
//! never followed by the kernel.

use std::{
    ffi::{OsStr, OsString},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Component, Path},
};

use rustix::{
    fs::{CWD, Mode, OFlags, PROC_SUPER_MAGIC, fstatfs, openat, readlinkat},
    io::Errno,
};

/// As many as the kernel follows.
const LINKS: u32 = 40;

/// A directory on the way.
const STEP: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What may be met on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Links lead anywhere, but those below `/proc`.
    Anywhere,
    /// No link, and nothing that is not below the start.
    Beneath,
}

pub(crate) fn open(from: impl AsFd, path: &Path, flags: OFlags, mode: Mode, way: Way) -> Result<OwnedFd, Errno> {
    let flags = if names_a_directory(path) { flags | OFlags::DIRECTORY } else { flags };
    let mut at = openat(from, ".", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut left = Vec::new();
    let mut links = 0;
    at = push(&mut left, path, at, way)?;
    while let Some(name) = left.pop() {
        // A directory is stepped into before it is opened: gVisor follows a link to one whatever it is told, save there.
        let last = left.is_empty() && !flags.contains(OFlags::DIRECTORY);
        let opened = if last {
            openat(&at, &name, flags | OFlags::NOFOLLOW, mode)
        } else {
            openat(&at, &name, STEP, Mode::empty())
        };
        match opened {
            Ok(found) if last => return Ok(found),
            Ok(found) => at = found,
            Err(errno @ (Errno::LOOP | Errno::NOTDIR)) => {
                links += 1;
                let target = link(&at, &name).ok_or(errno)?;
                if way == Way::Beneath || links > LINKS || fstatfs(&at)?.f_type == PROC_SUPER_MAGIC {
                    return Err(Errno::LOOP);
                }
                at = push(&mut left, Path::new(&target), at, way)?;
            }
            Err(errno) => return Err(errno),
        }
    }
    // The path was that of a directory.
    openat(&at, ".", flags, mode)
}

/// Into a directory that is not there by a link.
pub(crate) fn step(from: impl AsFd, path: &Path) -> Result<OwnedFd, Errno> {
    openat(from, path, STEP, Mode::empty())
}

/// Whether only a directory can be meant, which the steps of a path do not tell.
fn names_a_directory(path: &Path) -> bool {
    let path = path.as_os_str().as_bytes();
    path.ends_with(b"/") || path.ends_with(b"/.")
}

/// Puts a path's steps on top of those that are left, the next one last. Returns where they begin.
fn push(left: &mut Vec<OsString>, path: &Path, at: OwnedFd, way: Way) -> Result<OwnedFd, Errno> {
    let mut begin = at;
    let mut steps = Vec::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(name) => steps.push(name.to_owned()),
            Component::ParentDir if way == Way::Anywhere => steps.push("..".into()),
            Component::RootDir if way == Way::Anywhere => begin = openat(CWD, "/", STEP, Mode::empty())?,
            _ => return Err(Errno::XDEV),
        }
    }
    left.extend(steps.into_iter().rev());
    Ok(begin)
}

/// Where a link leads. None of anything else.
fn link(at: &OwnedFd, name: &OsStr) -> Option<OsString> {
    Some(OsString::from_vec(readlinkat(at, name, Vec::new()).ok()?.into_bytes()))
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        io::Read,
        os::unix::fs::symlink,
    };

    use super::*;

    fn tree() -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        fs::create_dir_all(tree.path().join("in/deep")).unwrap();
        fs::write(tree.path().join("out"), "out").unwrap();
        fs::write(tree.path().join("in/deep/file"), "file").unwrap();
        symlink("deep/../deep", tree.path().join("in/link")).unwrap();
        symlink("../out", tree.path().join("in/up")).unwrap();
        symlink("round", tree.path().join("in/round")).unwrap();
        symlink("/proc/self/fd", tree.path().join("in/descriptors")).unwrap();
        tree
    }

    fn read(tree: &Path, path: &str, way: Way) -> Result<String, Errno> {
        let from = File::open(tree.join("in")).unwrap();
        let found = open(from, Path::new(path), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty(), way)?;
        let mut text = String::new();
        File::from(found).read_to_string(&mut text).unwrap();
        Ok(text)
    }

    #[test]
    fn links_are_followed_where_they_may_be() {
        let tree = tree();
        for (path, text) in [("deep/file", "file"), ("link/file", "file"), ("up", "out"), ("../in/./deep/file", "file")]
        {
            assert_eq!(read(tree.path(), path, Way::Anywhere).as_deref(), Ok(text), "{path}");
        }
        let absolute = tree.path().join("in/link/file");
        assert_eq!(read(tree.path(), absolute.to_str().unwrap(), Way::Anywhere).as_deref(), Ok("file"));
        assert_eq!(read(tree.path(), "round", Way::Anywhere), Err(Errno::LOOP));
        assert_eq!(read(tree.path(), "descriptors/0", Way::Anywhere), Err(Errno::LOOP));
        assert_eq!(read(tree.path(), "none", Way::Anywhere), Err(Errno::NOENT));
        assert_eq!(read(tree.path(), "deep/file/more", Way::Anywhere), Err(Errno::NOTDIR));
    }

    #[test]
    fn nothing_leads_out_from_beneath() {
        let tree = tree();
        assert_eq!(read(tree.path(), "deep/file", Way::Beneath).as_deref(), Ok("file"));
        for path in ["link/file", "up", "../out", "/etc/hostname", "round", "deep/file/", "deep/file/."] {
            assert!(read(tree.path(), path, Way::Beneath).is_err(), "{path}");
        }
    }

    #[test]
    fn a_directory_is_opened_and_no_link_to_one() {
        let tree = tree();
        let from = File::open(tree.path().join("in")).unwrap();
        let directory = |path: &str| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            open(&from, Path::new(path), flags, Mode::empty(), Way::Beneath).map(drop)
        };
        assert_eq!((directory("deep"), directory("deep/"), directory(".")), (Ok(()), Ok(()), Ok(())));
        assert_eq!((directory("link"), directory("deep/file")), (Err(Errno::LOOP), Err(Errno::NOTDIR)));
    }

    #[test]
    fn a_file_is_made_at_the_end_of_the_way() {
        let tree = tree();
        let from = File::open(tree.path().join("in")).unwrap();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
        open(from, Path::new("link/new"), flags, Mode::from_raw_mode(0o666), Way::Anywhere).unwrap();
        assert!(tree.path().join("in/deep/new").is_file());
    }
}

//! What the agent has left for its user. It is being written by others while it is read here.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, ErrorKind},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::FileExt,
    },
    path::Path,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use hand_protocol::{Entry, MAX_CHUNK};
use rustix::{
    fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat, openat, openat2},
    io::Errno,
};

use crate::{
    reach,
    walk::{self, Way},
};

/// Files listed at most.
const ENTRIES: usize = 1_000;
const DEPTH: usize = 32;
/// Names looked at, whatever they are, before a listing gives up.
const LOOKED_AT: usize = 50_000;

/// The regular files below a directory, by path, and whether there may be more. No link is followed, wherever it stands.
pub(super) fn list(root: &Path) -> (Vec<Entry>, bool) {
    let Ok(root) = directory(CWD, root, ResolveFlags::NO_SYMLINKS) else { return (Vec::new(), false) };
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let mut entries = Vec::new();
    let mut truncated = false;
    let mut looked_at = 0;
    // Breadth first: where not all can be listed, the deepest are the ones left out.
    let mut directories = VecDeque::from([(".".to_owned(), String::new(), 1)]);
    while let Some((place, prefix, depth)) = directories.pop_front() {
        // Opened anew from the root: it may be something else by now than when it was seen.
        let Ok(names) = directory(&root, Path::new(&place), inside).and_then(reach::names) else { continue };
        for (name, stat) in names {
            looked_at += 1;
            if looked_at > LOOKED_AT || entries.len() > ENTRIES {
                return finish(entries, true);
            }
            // Not in UTF-8: it could not be asked for by name.
            let Ok(name) = name.into_string() else { continue };
            let path = format!("{prefix}{name}");
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => {
                    let size = u64::try_from(stat.st_size).unwrap_or(0);
                    entries.push(Entry { path, size, modified: modified(&stat) });
                }
                FileType::Directory if depth < DEPTH => {
                    let prefix = format!("{path}/");
                    directories.push_back((path, prefix, depth + 1));
                }
                FileType::Directory => truncated = true,
                _ => {}
            }
        }
    }
    finish(entries, truncated)
}

fn directory(from: impl AsFd, path: &Path, how: ResolveFlags) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(from, path, flags, how)
}

fn open(from: impl AsFd, path: &Path, flags: OFlags, how: ResolveFlags) -> io::Result<OwnedFd> {
    match openat2(&from, path, flags, Mode::empty(), how) {
        Err(Errno::NOSYS) if how.contains(ResolveFlags::BENEATH) => {
            Ok(walk::open(from, path, flags, Mode::empty(), Way::Beneath)?)
        }
        // The root itself: whatever links lead to it, none of the tree's own is among them.
        Err(Errno::NOSYS) => Ok(openat(walk::step(from, path)?, ".", flags, Mode::empty())?),
        opened => Ok(opened?),
    }
}

fn finish(mut entries: Vec<Entry>, truncated: bool) -> (Vec<Entry>, bool) {
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    let truncated = truncated || entries.len() > ENTRIES;
    entries.truncate(ENTRIES);
    (entries, truncated)
}

fn modified(stat: &Stat) -> u64 {
    let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
    let nanoseconds = stat.st_mtime_nsec;
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

/// Bytes of one file in base64, and whether the file ends with them. No symbolic link is followed, and no path leads
/// out.
pub(super) fn fetch(root: &Path, path: &str, offset: u64, length: u64) -> io::Result<(String, bool)> {
    let root = directory(CWD, root, ResolveFlags::NO_SYMLINKS)?;
    // Non-blocking, so that a FIFO with no writer is opened, seen for what it is, and refused.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let file = File::from(open(root, Path::new(path), flags, inside)?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = vec![0; usize::try_from(length.min(MAX_CHUNK)).map_err(io::Error::other)?];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset.saturating_add(filled as u64)) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    let eof = offset.saturating_add(filled as u64) >= file.metadata()?.len();
    Ok((BASE64_STANDARD.encode(bytes), eof))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn tree() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("out/deep/er")).unwrap();
        fs::write(directory.path().join("secret"), "secret").unwrap();
        fs::write(directory.path().join("out/b.txt"), "0123456789").unwrap();
        fs::write(directory.path().join("out/deep/er/a.txt"), "").unwrap();
        symlink("../secret", directory.path().join("out/link")).unwrap();
        symlink("..", directory.path().join("out/up")).unwrap();
        directory
    }

    #[test]
    fn regular_files_are_listed_by_path_and_links_are_not() {
        let tree = tree();
        let (entries, truncated) = list(&tree.path().join("out"));
        let seen: Vec<_> = entries.iter().map(|entry| (entry.path.as_str(), entry.size)).collect();
        assert_eq!(seen, [("b.txt", 10), ("deep/er/a.txt", 0)]);
        assert!(!truncated && entries.iter().all(|entry| entry.modified > 0));
    }

    #[test]
    fn a_link_in_the_place_of_the_directory_leads_nowhere() {
        let tree = tree();
        symlink("out", tree.path().join("replaced")).unwrap();
        assert_eq!(list(&tree.path().join("replaced")), (Vec::new(), false));
        assert!(fetch(&tree.path().join("replaced"), "b.txt", 0, 4).is_err());
    }

    #[test]
    fn a_directory_that_is_not_there_is_empty() {
        assert_eq!(list(Path::new("/nowhere/at/all")), (Vec::new(), false));
    }

    #[test]
    fn more_than_is_listed_is_said() {
        let tree = tempfile::tempdir().unwrap();
        for number in 0..ENTRIES + 2 {
            fs::write(tree.path().join(format!("{number}")), "").unwrap();
        }
        let (entries, truncated) = list(tree.path());
        assert_eq!((entries.len(), truncated), (ENTRIES, true));
    }

    #[test]
    fn a_file_is_fetched_in_pieces() {
        let root = tree();
        let root = root.path().join("out");
        assert_eq!(fetch(&root, "b.txt", 0, 4).unwrap(), (BASE64_STANDARD.encode("0123"), false));
        assert_eq!(fetch(&root, "b.txt", 4, 100).unwrap(), (BASE64_STANDARD.encode("456789"), true));
        assert_eq!(fetch(&root, "b.txt", u64::MAX - 1, 4).unwrap_or_default().0, "");
        assert_eq!(fetch(&root, "deep/er/a.txt", 0, 4).unwrap(), (String::new(), true));
    }

    #[test]
    fn no_link_and_no_path_leads_out() {
        let root = tree();
        let root = root.path().join("out");
        for path in ["link", "up/secret", "../secret", "/etc/hostname", "deep", "", "none"] {
            assert!(fetch(&root, path, 0, 4).is_err(), "{path}");
        }
    }
}

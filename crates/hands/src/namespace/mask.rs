//! Hides what only the host's root may read of its `/usr`, where root inside is taken for the one who owns it.
//!
//! A package manager replaces files, and links them first to have them back: it must own them. So in a sandbox that
//! installs, what the host's root owns there is shown as owned by root inside, who writes to a layer of its own. The
//! modes that keep something from all others would not keep it from him.

use std::{
    fs::{self, DirEntry, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    io::Errno,
};

/// Makes the mask of a tree in a directory of its own below `hand`: a layer that has a whiteout wherever not everybody
/// may read. Takes a second or two, for it looks at everything.
pub(super) fn make(of: &Path, hand: &Path) -> io::Result<PathBuf> {
    let mask = hand.join("mask");
    directory(&mask)?;
    let mut left = vec![PathBuf::new()];
    while let Some(below) = left.pop() {
        let entries = match fs::read_dir(of.join(&below)) {
            // It has gone meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let path = below.join(entry.file_name());
            match look(&entry)? {
                Seen::Directory => left.push(path),
                Seen::Closed => hide(&mask, &path)?,
                Seen::Other => {}
            }
        }
    }
    Ok(mask)
}

enum Seen {
    /// One that everybody may list.
    Directory,
    Closed,
    /// Open to all, or a link, or gone.
    Other,
}

fn look(entry: &DirEntry) -> io::Result<Seen> {
    // Of the entry itself, whatever it links to.
    let metadata = match entry.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Seen::Other),
        metadata => metadata?,
    };
    let is_open = |bits: u32| metadata.mode() & bits == bits;
    Ok(match metadata.is_dir() {
        _ if metadata.is_symlink() => Seen::Other,
        true if is_open(0o005) => Seen::Directory,
        false if is_open(0o004) => Seen::Other,
        _ => Seen::Closed,
    })
}

fn hide(mask: &Path, path: &Path) -> io::Result<()> {
    let mut at = mask.to_owned();
    for part in path.parent().into_iter().flat_map(Path::components) {
        at.push(part);
        directory(&at)?;
    }
    match mknodat(CWD, mask.join(path), FileType::CharacterDevice, Mode::empty(), 0) {
        Err(Errno::EXIST) => Ok(()),
        made => Ok(made?),
    }
}

/// Open to all, whatever this server's umask is.
fn directory(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o755))),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt, symlink};

    use super::*;

    #[test]
    fn whatever_is_not_for_everybody_is_hidden_and_nothing_else() {
        let host = tempfile::tempdir().unwrap();
        let usr = host.path().join("usr");
        for (directory, mode) in [("share/open/deep", 0o755), ("share/closed/deep", 0o755), ("lib/listed", 0o755)] {
            fs::create_dir_all(usr.join(directory)).unwrap();
            fs::set_permissions(usr.join(directory), Permissions::from_mode(mode)).unwrap();
        }
        for (file, mode) in [("share/open/deep/file", 0o644), ("lib/secret", 0o640), ("lib/listed/key", 0o600)] {
            fs::write(usr.join(file), "text").unwrap();
            fs::set_permissions(usr.join(file), Permissions::from_mode(mode)).unwrap();
        }
        symlink("secret", usr.join("lib/link")).unwrap();
        for (directory, mode) in [("share/closed", 0o750), ("share", 0o755), ("share/open", 0o755), ("lib", 0o755)] {
            fs::set_permissions(usr.join(directory), Permissions::from_mode(mode)).unwrap();
        }
        let hand = tempfile::tempdir().unwrap();
        let mask = match make(&usr, hand.path()) {
            // An old kernel, where root alone may make a whiteout, and only root needs one.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return,
            mask => mask.unwrap(),
        };
        let is_hidden =
            |path: &str| fs::symlink_metadata(mask.join(path)).is_ok_and(|found| found.file_type().is_char_device());
        for hidden in ["share/closed", "lib/secret", "lib/listed/key"] {
            assert!(is_hidden(hidden), "{hidden}");
        }
        for seen in ["share/open", "lib/link", "share/open/deep/file"] {
            assert!(!mask.join(seen).exists() && !is_hidden(seen), "{seen}");
        }
        assert_eq!(fs::metadata(mask.join("lib/listed")).unwrap().mode() & 0o777, 0o755);
    }
}

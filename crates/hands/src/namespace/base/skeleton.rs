//! The directories of `/usr`, empty, to lie over the host's own.
//!
//! The host's belong to a root that no one inside is. An overlay takes a directory's owner from its uppermost layer: with
//! these on top, root inside may add, replace and remove programs in them, while the host's files stay as they are, and
//! those that only the host's root may read stay unread.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// How deep below `/usr`, and how much deeper below `/usr/local`, where package managers of languages install.
const DEPTH: usize = 2;
const LOCAL_DEPTH: usize = 6;

/// Directories in all.
const MOST: usize = 10_000;

pub(super) fn make(from: &Path, to: &Path) -> io::Result<()> {
    let mut found = Vec::new();
    let local = from.join("local");
    walk(&local, LOCAL_DEPTH, &mut found);
    walk(from, DEPTH, &mut found);
    for path in found {
        if let Ok(name) = path.strip_prefix(from) {
            fs::create_dir_all(to.join(name))?;
        }
    }
    Ok(())
}

fn walk(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let open =
        fs::symlink_metadata(directory).is_ok_and(|metadata| metadata.is_dir() && metadata.mode() & 0o005 == 0o005);
    if !open || found.len() >= MOST {
        return;
    }
    found.push(directory.to_owned());
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    if depth > 0 {
        entries.for_each(|entry| walk(&entry.path(), depth - 1, found));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::Permissions,
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::*;

    #[test]
    fn directories_are_mirrored_to_their_depth_and_files_links_and_closed_ones_are_not() {
        let host = tempfile::tempdir().unwrap();
        let from = host.path().join("usr");
        for name in ["bin", "share/doc/deep", "local/lib/node/a/b", "closed"] {
            fs::create_dir_all(from.join(name)).unwrap();
        }
        fs::set_permissions(from.join("closed"), Permissions::from_mode(0o700)).unwrap();
        symlink("bin", from.join("sbin")).unwrap();
        fs::write(from.join("bin/program"), "").unwrap();
        let to = host.path().join("to");
        make(&from, &to).unwrap();
        for there in ["bin", "share/doc", "local/lib/node/a/b"] {
            assert!(to.join(there).is_dir(), "{there}");
        }
        for missing in ["share/doc/deep", "closed", "sbin", "bin/program"] {
            assert!(!to.join(missing).exists(), "{missing}");
        }
    }
}

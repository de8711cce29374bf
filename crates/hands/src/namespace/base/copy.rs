//! Copies that take only what everybody on the host may read.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::{MetadataExt, symlink},
    path::Path,
};

/// Nothing is taken from below these, by whatever link.
const PRIVATE: [&str; 2] = ["/root", "/home"];

/// Bytes. There is nothing larger among what is asked for; a link could lead to it.
const LARGEST: u64 = 16 << 20;

/// Copies a file, a link or a whole directory, as far as everybody may read it. What is not there is left out. `whole` is
/// the directory being copied: links that stay in it, or lead into `/usr`, remain links; others become what they lead to.
pub(super) fn copy(from: &Path, to: &Path, whole: &Path) -> io::Result<()> {
    let Ok(metadata) = fs::symlink_metadata(from) else { return Ok(()) };
    if metadata.is_symlink() {
        link(from, to, whole)
    } else if metadata.is_dir() && is_open(&metadata, 0o005) {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()), whole)?;
        }
        Ok(())
    } else {
        file(from, to, &metadata)
    }
}

fn link(from: &Path, to: &Path, whole: &Path) -> io::Result<()> {
    // A link that leads nowhere is of no use inside either.
    let Ok(real) = fs::canonicalize(from) else { return Ok(()) };
    if real.starts_with("/usr") || real.starts_with(whole) {
        return symlink(fs::read_link(from)?, to);
    }
    if PRIVATE.iter().any(|private| real.starts_with(private)) {
        return Ok(());
    }
    file(&real, to, &fs::metadata(&real)?)
}

fn file(from: &Path, to: &Path, metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() && is_open(metadata, 0o004) && metadata.len() <= LARGEST {
        fs::copy(from, to)?;
    }
    Ok(())
}

fn is_open(metadata: &Metadata, bits: u32) -> bool {
    metadata.mode() & bits == bits
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn only_what_everybody_may_read_is_taken() {
        let host = tempfile::tempdir().unwrap();
        let from = host.path().join("from");
        let to = host.path().join("to");
        fs::create_dir_all(from.join("deep")).unwrap();
        fs::create_dir(from.join("closed")).unwrap();
        for (name, mode) in [("open", 0o644), ("secret", 0o640), ("deep/open", 0o644), ("closed/open", 0o644)] {
            fs::write(from.join(name), name).unwrap();
            fs::set_permissions(from.join(name), Permissions::from_mode(mode)).unwrap();
        }
        for (name, mode) in [("", 0o755), ("deep", 0o755), ("closed", 0o700)] {
            fs::set_permissions(from.join(name), Permissions::from_mode(mode)).unwrap();
        }
        copy(&from, &to, &from).unwrap();
        assert_eq!(fs::read_to_string(to.join("deep/open")).unwrap(), "deep/open");
        assert!(to.join("open").exists());
        assert!(!to.join("secret").exists());
        assert!(!to.join("closed").exists());
    }

    #[test]
    fn a_link_out_becomes_what_it_leads_to() {
        let host = tempfile::tempdir().unwrap();
        let from = host.path().join("from");
        let to = host.path().join("to");
        fs::create_dir(&from).unwrap();
        fs::set_permissions(&from, Permissions::from_mode(0o755)).unwrap();
        let outside = host.path().join("outside");
        fs::write(&outside, "certificate").unwrap();
        fs::set_permissions(&outside, Permissions::from_mode(0o644)).unwrap();
        fs::write(from.join("file"), "").unwrap();
        fs::set_permissions(from.join("file"), Permissions::from_mode(0o644)).unwrap();
        symlink(&outside, from.join("out")).unwrap();
        symlink("file", from.join("within")).unwrap();
        symlink("/usr/bin", from.join("programs")).unwrap();
        symlink("nowhere", from.join("broken")).unwrap();
        copy(&from, &to, &from.canonicalize().unwrap()).unwrap();
        assert_eq!(fs::read_to_string(to.join("out")).unwrap(), "certificate");
        assert!(!to.join("out").is_symlink());
        assert_eq!(fs::read_link(to.join("within")).unwrap(), Path::new("file"));
        assert_eq!(fs::read_link(to.join("programs")).unwrap(), Path::new("/usr/bin"));
        assert!(!to.join("broken").is_symlink());
    }
}

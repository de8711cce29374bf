//! What a sandbox has written that is no part of an installation.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
};

use hand_protocol::{HOSTNAME, HOSTS, RESOLVER};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, statat};

use super::{remove, walk};

/// Each sandbox has its own of these, or the next one is better without.
const GONE: [(&str, &str); 10] = [
    ("root", "dev"),
    ("root", "mnt"),
    ("root", "proc"),
    ("root", "run"),
    ("root", "sys"),
    ("root", "tmp"),
    ("root", "workspace"),
    ("root/root", ".cache"),
    ("root/root", ".npm"),
    ("root/var", "tmp"),
];

/// What package managers have fetched. That the directories are there is expected of a system.
const EMPTIED: [&str; 2] = ["root/var/cache/apt", "root/var/lib/apt/lists"];

/// Every sandbox has these as they are here, unless it has changed them.
const OURS: [(&str, &str); 3] = [("hostname", HOSTNAME), ("hosts", HOSTS), ("resolv.conf", RESOLVER)];

/// Takes it away from what is below `top`.
pub(super) fn clear(top: &OwnedFd) -> io::Result<()> {
    for (parent, name) in GONE {
        if let Some(parent) = walk::descend(top, parent)? {
            remove::entry(&parent, name.as_bytes())?;
        }
    }
    for path in EMPTIED {
        if let Some(directory) = walk::descend(top, path)? {
            remove::contents(directory)?;
        }
    }
    let Some(settings) = walk::descend(top, "root/etc")? else { return Ok(()) };
    for (name, text) in OURS {
        if says(&settings, name, text)? {
            remove::entry(&settings, name.as_bytes())?;
        }
    }
    Ok(())
}

/// Whether there is a file of this name with just this text.
fn says(directory: &OwnedFd, name: &str, text: &str) -> io::Result<bool> {
    let is_file = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::RegularFile);
    if !is_file {
        return Ok(false);
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    // One that may not be read is not as we make it.
    let Ok(file) = openat(directory, name, flags, Mode::empty()) else { return Ok(false) };
    let mut found = Vec::new();
    File::from(file).take(text.len() as u64 + 1).read_to_end(&mut found)?;
    Ok(found == text.as_bytes())
}

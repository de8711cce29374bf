//! The host's two directories that show inside: the base and the session's input files, as mounts not yet in any tree.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
    path::Path,
};

use hand_protocol::Launch;
use rustix::{
    fs::CWD,
    mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree},
};

use super::failure::{At, Failure};

pub(super) const BASE: &str = "base layer";
pub(super) const UPLOADS: &str = "uploads";

/// The first kernel whose overlay takes an id-mapped mount as a lower layer.
const OVERLAY_OVER_ID_MAPPED: (u32, u32) = (5, 19);

pub(super) struct Layers {
    base: OwnedFd,
    uploads: OwnedFd,
}

impl Layers {
    /// Takes hold of both by their path, read-only. With a user namespace the base is id-mapped to it, so that what root
    /// owns outside belongs to root inside, who may then change all of it in the layer above.
    pub(super) fn detach(launch: &Launch, users: Option<BorrowedFd<'_>>) -> Result<Self, Failure> {
        let base = detach(&launch.base).at(BASE)?;
        if let Some(users) = users.filter(|_| release() >= OVERLAY_OVER_ID_MAPPED) {
            // Not every file system can. Then the base's files belong to nobody inside, and stay as they are.
            let _ = set_attributes(&base, libc::MOUNT_ATTR_IDMAP, Some(users));
        }
        let uploads = detach(&launch.directory.join("uploads")).at(UPLOADS)?;
        Ok(Self { base, uploads })
    }

    pub(super) fn attach_base(&self, at: &str) -> Result<(), Failure> {
        attach(&self.base, at).at(BASE)
    }

    pub(super) fn attach_uploads(&self, at: &str) -> Result<(), Failure> {
        attach(&self.uploads, at).at(UPLOADS)
    }
}

fn detach(path: &Path) -> io::Result<OwnedFd> {
    let mount = open_tree(CWD, path, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
    // Set on the mount, and never to be taken off by anybody without a capability in this namespace: nobody will have one.
    let flags = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    set_attributes(&mount, flags, None)?;
    Ok(mount)
}

fn attach(mount: &OwnedFd, at: &str) -> io::Result<()> {
    Ok(move_mount(mount, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

#[allow(unsafe_code, reason = "rustix has no mount_setattr")]
fn set_attributes(mount: &OwnedFd, flags: u64, users: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let users = users.map_or(0, |users| u64::from(users.as_raw_fd().unsigned_abs()));
    let attributes = libc::mount_attr { attr_set: flags, attr_clr: 0, propagation: 0, userns_fd: users };
    // SAFETY: the path is an empty C string, and the kernel reads the struct, of the size given, during the call only.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The kernel's version; (0, 0) if it cannot be read, which is older than anything asked for.
fn release() -> (u32, u32) {
    let name = rustix::system::uname();
    version(&name.release().to_string_lossy())
}

fn version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor),
        _ => (0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_compared_by_its_first_two_numbers() {
        assert_eq!(version("6.18.44-fc-v669"), (6, 18));
        assert_eq!(version("5.4-rc1"), (5, 4));
        assert_eq!(version("strange"), (0, 0));
        assert!(version("5.9.1") < OVERLAY_OVER_ID_MAPPED);
        assert!(version("10.0") >= OVERLAY_OVER_ID_MAPPED);
    }
}

//! A disk so small that it can be filled.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::geteuid;

use crate::place::{Place, skipped};

/// Below a place's data directory until dropped, which has to be before the place is.
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// `None` where it cannot be made, which is told.
    pub(crate) fn under(place: &Place) -> Option<Self> {
        if !geteuid().is_root() {
            skipped("only root can make a disk");
            return None;
        }
        let data = place.data();
        std::fs::create_dir(&data).unwrap();
        if let Err(error) = mount("tmpfs", data.as_path(), "tmpfs", MountFlags::empty(), Some(c"size=8m,mode=700")) {
            skipped(&format!("no disk can be made here: {error}"));
            return None;
        }
        let disk = Self(data);
        // What sandboxes share is larger than this disk, and not what the test is about.
        let base = place.path().join("base");
        std::fs::create_dir(&base).unwrap();
        symlink(base, disk.0.join("base")).unwrap();
        Some(disk)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = unmount(self.0.as_path(), UnmountFlags::DETACH);
    }
}

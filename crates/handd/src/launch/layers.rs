//! The host's directories that show inside, as mounts not yet in any tree: the base, the layers over it, the session's
//! input files; and the one that takes what is written, where that is to be kept.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use hand_protocol::{Launch, guest::Guest};
use rustix::{
    fs::CWD,
    mount::{MoveMountFlags, OpenTreeFlags, UnmountFlags, move_mount, open_tree, unmount},
};

use super::{
    failure::{At, Failure},
    root,
};

pub(super) const BASE: &str = "base layer";
const LAYERS: &str = "layers";
const KEEP: &str = "the directory that keeps what is written";
const HOST: &str = "the host's /usr";
pub(super) const UPLOADS: &str = "uploads";
pub(super) const GUEST: &str = "guest";

/// The first kernel whose overlay takes an id-mapped mount as a lower layer.
const OVERLAY_OVER_ID_MAPPED: (u32, u32) = (5, 19);

/// The kernel takes an overlay's options in one page, in which these fit many times over.
const MOST: usize = 32;

pub(super) struct Layers {
    base: OwnedFd,
    /// The highest first.
    over: Vec<OwnedFd>,
    keep: Option<OwnedFd>,
    /// The mask over the host's `/usr`, and that itself.
    host: Option<(OwnedFd, OwnedFd)>,
    uploads: OwnedFd,
    guest: Option<Programs>,
}

/// What a guest is made of: its own program, what that loads, by its file's name, and the daemon.
struct Programs {
    kernel: OwnedFd,
    libraries: Vec<(OsString, OwnedFd)>,
    daemon: OwnedFd,
}

impl Layers {
    /// Takes hold of all by their paths. With a user namespace the base and what lies over it are id-mapped to it, so
    /// that what root owns outside belongs to root inside, who may then change all of it in the layer above.
    pub(super) fn detach(launch: &Launch, users: Option<BorrowedFd<'_>>) -> Result<Self, Failure> {
        let base = system(&launch.base, users).at(BASE)?;
        let count = launch.layers.len();
        if count > MOST {
            return Err(Failure::new(
                LAYERS,
                format!("there are {count}, and no more than {MOST} can lie over a base"),
            ));
        }
        let layer = |path: &Path| system(path, users).map_err(|error| Failure::new(LAYERS, named(path, &error)));
        let over = launch.layers.iter().map(|path| layer(path)).collect::<Result<Vec<_>, _>>()?;
        let kept = |path: &Path| writable(path).map_err(|error| Failure::new(KEEP, named(path, &error)));
        let keep = launch.keep.as_deref().map(kept).transpose()?;
        let host = match &launch.mask {
            Some(mask) => Some((system(mask, users).at(HOST)?, system(Path::new(root::USR), users).at(HOST)?)),
            None => None,
        };
        let uploads = detach(&launch.directory.join("uploads")).at(UPLOADS)?;
        let guest = launch.guest.as_ref().map(Programs::detach).transpose().at(GUEST)?;
        Ok(Self { base, over, keep, host, uploads, guest })
    }

    pub(super) fn attach_base(&self, at: &str) -> Result<(), Failure> {
        attach(&self.base, at).at(BASE)
    }

    /// Puts what lies over the base into directories made for it in the working directory. Returns their names, the
    /// highest first.
    pub(super) fn attach_over(&self) -> Result<Vec<String>, Failure> {
        let mut names = Vec::new();
        for (number, layer) in self.over.iter().enumerate() {
            let name = format!("layer{number}");
            fs::create_dir(&name).and_then(|()| attach(layer, &name)).at(LAYERS)?;
            names.push(name);
        }
        Ok(names)
    }

    /// Puts what takes all that is written in a directory made for it, if it is to be kept. Returns whether it is.
    pub(super) fn attach_keep(&self, at: &str) -> Result<bool, Failure> {
        let Some(keep) = &self.keep else { return Ok(false) };
        fs::create_dir(at).and_then(|()| attach(keep, at)).at(KEEP)?;
        Ok(true)
    }

    /// What lies below the base's own `/usr`, the highest first: the host's, and a mask over it if there is one, in
    /// directories made for them in the working directory.
    pub(super) fn attach_host(&self) -> Result<&'static str, Failure> {
        let Some((mask, usr)) = &self.host else { return Ok(root::USR) };
        for (mount, at) in [(mask, "mask"), (usr, "host")] {
            fs::create_dir(at).and_then(|()| attach(mount, at)).at(HOST)?;
        }
        Ok("mask:host")
    }

    /// Takes what [`Self::attach_host`] has put there away again: an overlay has its own hold of it by then. Under a guest
    /// kernel the working directory stays within reach of who breaks out of that, and `/usr` without its mask must not.
    pub(super) fn remove_host(&self) -> Result<(), Failure> {
        if self.host.is_some() {
            unmount("host", UnmountFlags::DETACH).at(HOST)?;
            unmount("mask", UnmountFlags::DETACH).at(HOST)?;
        }
        Ok(())
    }

    pub(super) fn attach_uploads(&self, at: &str) -> Result<(), Failure> {
        attach(&self.uploads, at).at(UPLOADS)
    }

    /// The guest's program and the daemon's in their files, and what the former loads in this directory.
    pub(super) fn attach_guest(&self, kernel: &str, daemon: &str, directory: &str) -> Result<(), Failure> {
        let Some(guest) = &self.guest else { return Ok(()) };
        guest.attach(kernel, daemon, Path::new(directory)).at(GUEST)
    }
}

impl Programs {
    fn detach(guest: &Guest) -> io::Result<Self> {
        let library = |path: &PathBuf| Ok((path.file_name().unwrap_or_default().to_owned(), detach(path)?));
        Ok(Self {
            kernel: detach(&guest.kernel)?,
            libraries: guest.libraries.iter().map(library).collect::<io::Result<_>>()?,
            daemon: detach(&guest.daemon)?,
        })
    }

    fn attach(&self, kernel: &str, daemon: &str, directory: &Path) -> io::Result<()> {
        attach(&self.kernel, kernel)?;
        attach(&self.daemon, daemon)?;
        for (name, library) in &self.libraries {
            let here = directory.join(name);
            File::create(&here)?;
            attach(library, here)?;
        }
        Ok(())
    }
}

/// A part of the system that is seen inside.
fn system(path: &Path, users: Option<BorrowedFd<'_>>) -> io::Result<OwnedFd> {
    let mount = detach(path)?;
    if let Some(users) = users.filter(|_| release() >= OVERLAY_OVER_ID_MAPPED) {
        // Not every file system can. Then its files belong to nobody inside, and stay as they are.
        let _ = set_attributes(&mount, libc::MOUNT_ATTR_IDMAP, Some(users));
    }
    Ok(mount)
}

/// Of a file or a directory alone, to be looked at and not written to.
pub(super) fn detach(path: &Path) -> io::Result<OwnedFd> {
    let mount = writable(path)?;
    set_attributes(&mount, libc::MOUNT_ATTR_RDONLY, None)?;
    Ok(mount)
}

/// Not id-mapped: its owners outside are the sandbox's users.
fn writable(path: &Path) -> io::Result<OwnedFd> {
    let mount = open_tree(CWD, path, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
    // Set on the mount, and never to be taken off by anybody without a capability in this namespace: nobody will have one.
    set_attributes(&mount, libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV, None)?;
    Ok(mount)
}

fn named(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

pub(super) fn attach(mount: &OwnedFd, at: impl AsRef<Path>) -> io::Result<()> {
    Ok(move_mount(mount, "", CWD, at.as_ref(), MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
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

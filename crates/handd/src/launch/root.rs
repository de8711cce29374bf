//! The root file system inside: a read-only system under a private writable layer.
//!
//! Everything is put together on a tmpfs of bounded size, over a directory that any host has, in the sandbox's own copy of
//! the mounts. Paths are relative to it, for no host path should show inside, and an overlay's options know no escapes.

use std::{
    ffi::CString,
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use hand_protocol::{Launch, OUTPUTS, OVERFLOW, UPLOADS, WORKSPACE};
use rustix::{
    mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, mount_remount, unmount},
    process::{chdir, pivot_root},
};

use super::{
    devices,
    failure::{At, Failure},
    layers::Layers,
};

pub(super) const ROOT: &str = "root file system";
pub(super) const USR: &str = "/usr";
pub(super) const PROC: &str = "/proc";
const WRITABLE: &str = "writable layer";

/// Any of these will do to build on: the host's own stays as it is.
const STAGES: [&str; 3] = ["/tmp", "/mnt", "/run"];

/// An inode costs kernel memory that the size of a tmpfs does not bound.
const INODES: u64 = 500_000;

/// What is there to be written in, whoever owns the layers below.
const DIRECTORIES: [(&str, u32); 22] = [
    ("/dev", 0o755),
    ("/etc", 0o755),
    ("/home", 0o755),
    ("/mnt", 0o755),
    ("/mnt/session", 0o755),
    (OUTPUTS, 0o755),
    (OVERFLOW, 0o755),
    (UPLOADS, 0o755),
    ("/opt", 0o755),
    ("/proc", 0o555),
    ("/root", 0o700),
    ("/run", 0o755),
    ("/run/lock", 0o1777),
    ("/srv", 0o755),
    ("/sys", 0o555),
    ("/tmp", 0o1777),
    ("/usr", 0o755),
    ("/var", 0o755),
    ("/var/cache", 0o755),
    ("/var/log", 0o755),
    ("/var/tmp", 0o1777),
    (WORKSPACE, 0o755),
];

/// Builds the root and moves into it. Nothing of the host's tree can be reached afterwards.
pub(super) fn enter(launch: &Launch, layers: &Layers) -> Result<(), Failure> {
    // What is mounted here must not appear on the host, nor what the host mounts later appear here.
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).at("mount namespace")?;
    stage(launch.disk).at(WRITABLE)?;
    layers.attach_base("base")?;
    overlay("root", "base", "upper", "work").at(ROOT)?;
    // The base's own `usr` holds directories only: over the host's, they are root's inside, so that programs can be added.
    overlay("root/usr", "base/usr:/usr", "usr-upper", "usr-work").at(USR)?;

    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "root/proc", "proc", flags, c"").at(PROC)?;
    devices::make("root/dev", "shm", launch.identity.count).at("/dev")?;
    layers.attach_uploads(&format!("root{UPLOADS}"))?;
    settle().at("/proc/sys")?;

    chdir("root").at(ROOT)?;
    // The old root then lies on top of the new one at the same place, and taking it off needs no directory for it.
    pivot_root(".", ".").at(ROOT)?;
    unmount(".", UnmountFlags::DETACH).at(ROOT)?;
    chdir("/").at(ROOT)
}

fn stage(disk: u64) -> io::Result<()> {
    let place = STAGES
        .into_iter()
        .find(|place| Path::new(place).is_dir())
        .ok_or_else(|| io::Error::other(format!("the host has none of {STAGES:?} to build on")))?;
    let options = options(format!("size={disk},nr_inodes={INODES},mode=0755"))?;
    mount("tmpfs", place, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str())?;
    chdir(place)?;
    for name in ["base", "root", "shm", "upper", "work", "usr-upper", "usr-work"] {
        fs::create_dir(name)?;
    }
    fs::set_permissions("shm", Permissions::from_mode(0o1777))?;
    for (path, mode) in DIRECTORIES {
        let path = format!("upper{path}");
        fs::create_dir(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
    }
    Ok(())
}

fn overlay(at: &str, lower: &str, upper: &str, work: &str) -> io::Result<()> {
    // In a user namespace the overlay may keep its marks only in `user.` attributes.
    let options = options(format!("lowerdir={lower},upperdir={upper},workdir={work},userxattr"))?;
    Ok(mount("overlay", at, "overlay", MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str())?)
}

/// What the kernel keeps for whole namespaces, where no other limit counts it. Watches of files are counted for whoever made
/// the user namespace too. Shared memory goes with the last process that has it.
const SETTINGS: [(&str, &str); 7] = [
    ("user/max_inotify_instances", "32"),
    ("user/max_inotify_watches", "16384"),
    ("kernel/shm_rmid_forced", "1"),
    ("kernel/shmall", "4096"),
    ("kernel/msgmni", "16"),
    ("kernel/msgmnb", "65536"),
    ("kernel/sem", "250 8000 100 32"),
];

/// Kernel settings of the new namespaces, after which they are read-only.
fn settle() -> io::Result<()> {
    // A second bar: even past the system call filter nobody gets a user namespace, and with it capabilities, inside.
    fs::write("root/proc/sys/user/max_user_namespaces", "0")?;
    for (name, most) in SETTINGS {
        // Newer than some kernels, and not in all of them.
        let _ = fs::write(format!("root/proc/sys/{name}"), most);
    }
    // Servers on any port, since nobody inside can have the capability for the low ones. Newer than some kernels.
    let _ = fs::write("root/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    mount_bind("root/proc/sys", "root/proc/sys")?;
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    Ok(mount_remount("root/proc/sys", flags, "")?)
}

fn options(text: String) -> io::Result<CString> {
    Ok(CString::new(text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_comes_after_the_one_it_is_in() {
        for (place, (path, _)) in DIRECTORIES.iter().enumerate() {
            let (parent, name) = path.rsplit_once('/').unwrap();
            assert!(!name.is_empty());
            assert!(parent.is_empty() || DIRECTORIES[..place].iter().any(|(earlier, _)| *earlier == parent), "{path}");
        }
    }
}

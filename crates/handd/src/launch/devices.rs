//! `/dev`: the few devices that any program may expect, and nothing that leads to hardware.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::symlink,
    path::Path,
};

use rustix::mount::{MountFlags, mount, mount_bind};

const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
];

/// The group that owns terminals, by convention.
const TTY: u32 = 5;

/// Fills `at`. `shared` becomes `/dev/shm`: a directory of the writable layer, so that its size counts there.
pub(super) fn make(at: &str, shared: &str, groups: u32) -> io::Result<()> {
    mount("tmpfs", at, "tmpfs", MountFlags::NOSUID, c"size=64k,nr_inodes=64,mode=0755")?;
    show_all(at)?;
    for (target, name) in LINKS {
        symlink(target, format!("{at}/{name}"))?;
    }

    let memory = format!("{at}/shm");
    fs::create_dir(&memory)?;
    mount_bind(shared, memory)?;

    let terminals = format!("{at}/pts");
    fs::create_dir(&terminals)?;
    let options = if groups > TTY {
        c"newinstance,ptmxmode=0666,mode=0620,gid=5,max=64"
    } else {
        c"newinstance,ptmxmode=0666,mode=0620,max=64"
    };
    // Pseudo-terminals are a convenience: a kernel or a container that forbids them costs the sandbox only them.
    let _ = mount("devpts", terminals, "devpts", MountFlags::NOSUID | MountFlags::NOEXEC, options);
    Ok(())
}

/// All that any program may expect.
pub(super) fn show_all(at: &str) -> io::Result<()> {
    DEVICES.iter().try_for_each(|name| show(at, name))?;
    // A machine without a console may have none.
    if Path::new("/dev/tty").exists() { show(at, "tty") } else { Ok(()) }
}

/// A device node cannot be made in a user namespace, but the host's can be shown.
pub(super) fn show(at: &str, name: &str) -> io::Result<()> {
    let here = format!("{at}/{name}");
    File::create(&here)?;
    Ok(mount_bind(format!("/dev/{name}"), here)?)
}

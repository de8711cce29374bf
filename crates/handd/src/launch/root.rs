//! The root file system inside: a read-only system under a private writable layer.
//!
//! Everything is put together on a tmpfs of bounded size, over a directory that any host has, in the sandbox's own copy of
//! the mounts. Paths are relative to it, for no host path should show inside, and an overlay's options know no escapes.
//! What is written stays there too, unless it is to be kept: then a directory of the host's disk takes it.

use std::{
    ffi::CString,
    fs::{self, File, Permissions},
    io::{self, Write},
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::Path,
};

use hand_protocol::{HOSTNAME, HOSTS, Launch, OUTPUTS, OVERFLOW, RESOLVER, UPLOADS, WORKSPACE};
use rustix::{
    fs::{
        AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, chmodat, fstat, mkdirat, openat, openat2, statvfs, unlinkat,
    },
    io::Errno,
    mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, mount_remount, unmount},
    process::{chdir, pivot_root},
};

use super::{
    devices,
    failure::{At, Failure},
    layers::Layers,
    restore,
};
use crate::{
    layer::Layer,
    shell::{BASH, SH},
};

pub(super) const ROOT: &str = "root file system";
pub(super) const USR: &str = "/usr";
pub(super) const PROC: &str = "/proc";
const WRITABLE: &str = "writable layer";
const IMAGE: &str = "image";
pub(super) const KEPT_ROOT: &str = "root file system that is kept";

/// Any of these will do to build on: the host's own stays as it is.
pub(super) const STAGES: [&str; 3] = ["/tmp", "/mnt", "/run"];

/// An inode costs kernel memory that the size of a tmpfs does not bound. So many there are at most.
const INODES: u64 = 500_000;
/// And so many bytes of disk for each: a file with anything in it takes twice as many.
const BYTES_PER_INODE: u64 = 2_048;
/// What is there from the start must fit on any disk.
const FEWEST_INODES: u64 = 4_096;

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

/// Those of them that something is mounted on, or below.
const MOUNTED_ON: [&str; 6] = ["/dev", "/mnt", "/mnt/session", UPLOADS, "/proc", USR];

/// Written over what an image has, which may be links to places that it has only when it is started by its own system.
const SETTINGS_OF_IMAGES: [(&str, &str); 3] =
    [("/etc/hostname", HOSTNAME), ("/etc/hosts", HOSTS), ("/etc/resolv.conf", RESOLVER)];

/// The directories that take what is written, each with the one that its overlay works in.
struct Uppers {
    root: (&'static str, &'static str),
    usr: (&'static str, &'static str),
}

/// In memory, and gone with the sandbox.
const PASSING: Uppers = Uppers { root: ("upper", "work"), usr: ("usr-upper", "usr-work") };
/// In the directory of the host's that is to become a layer, where all of them are.
const KEPT: Uppers = Uppers { root: ("keep/root", "keep/root-work"), usr: ("keep/usr", "keep/usr-work") };

/// Builds the root and moves into it. Nothing of the host's tree can be reached afterwards. Returns the private layer, unless
/// what is written is kept elsewhere.
pub(super) fn enter(launch: &Launch, layers: &Layers, checkpoint: Option<File>) -> Result<Option<Layer>, Failure> {
    let layer = compose(launch, layers, checkpoint)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "root/proc", "proc", flags, c"").at(PROC)?;
    devices::make("root/dev", "shm", launch.identity.count).at("/dev")?;
    layers.attach_uploads(&format!("root{UPLOADS}"))?;
    settle("root/proc").at("/proc/sys")?;
    chdir("root").at(ROOT)?;
    turn()?;
    Ok(layer)
}

/// Puts the layers together below the working directory, which is the stage by then.
pub(super) fn compose(launch: &Launch, layers: &Layers, checkpoint: Option<File>) -> Result<Option<Layer>, Failure> {
    // What is mounted here must not appear on the host, nor what the host mounts later appear here.
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).at("mount namespace")?;
    let inodes = stage(launch.limits.disk).at(WRITABLE)?;
    layers.attach_base("base")?;
    let over = layers.attach_over()?;
    let (uppers, step) = if layers.attach_keep("keep")? { (KEPT, KEPT_ROOT) } else { (PASSING, ROOT) };
    let layer = if launch.keep.is_some() { None } else { Some(private(&uppers, launch.is_whole).at(WRITABLE)?) };
    match (&layer, checkpoint) {
        (Some(layer), Some(checkpoint)) => restore::fill(layer, launch.limits.disk, &checkpoint)?,
        (None, Some(_)) => return Err(Failure::new(restore::STEP, "what is to become a layer begins with nothing")),
        (_, None) => {}
    }
    open(uppers.root.0).and_then(|upper| furnish(&upper, launch.is_whole)).at(WRITABLE)?;
    overlay("root", &stack(&over, "root", "base"), uppers.root).at(step)?;
    if launch.is_whole {
        has_shell().at(IMAGE)?;
        close_reserve(inodes).at(WRITABLE)?;
        return Ok(layer);
    }
    // The base's own `usr` holds directories only: over the host's, they are root's inside, so that programs can be added.
    let host = layers.attach_host()?;
    overlay("root/usr", &stack(&over, "usr", &format!("base/usr:{host}")), uppers.usr).at(USR)?;
    layers.remove_host()?;
    close_reserve(inodes).at(WRITABLE)?;
    Ok(layer)
}

/// Makes the working directory the root, and the only one.
pub(super) fn turn() -> Result<(), Failure> {
    // The old root then lies on top of the new one at the same place, and taking it off needs no directory for it.
    pivot_root(".", ".").at(ROOT)?;
    unmount(".", UnmountFlags::DETACH).at(ROOT)?;
    chdir("/").at(ROOT)
}

/// Inodes besides those that a sandbox may have, until it is put together.
const RESERVE: u64 = 256;

/// Returns how many inodes what runs in the sandbox may have.
fn stage(disk: u64) -> io::Result<u64> {
    let place = STAGES
        .into_iter()
        .find(|place| Path::new(place).is_dir())
        .ok_or_else(|| io::Error::other(format!("the host has none of {STAGES:?} to build on")))?;
    let inodes = (disk / BYTES_PER_INODE).clamp(FEWEST_INODES, INODES);
    // A sandbox that had used them all up comes back with them, and needs a few more to be put together.
    let options = options(format!("size={disk},nr_inodes={},mode=0755", inodes + RESERVE))?;
    mount("tmpfs", place, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str())?;
    chdir(place)?;
    for name in ["base", "root", "shm", "upper", "work", "usr-upper", "usr-work"] {
        fs::create_dir(name)?;
    }
    fs::set_permissions("shm", Permissions::from_mode(0o1777))?;
    Ok(inodes)
}

/// Leaves what runs in the sandbox what it may have, or what is taken already.
fn close_reserve(inodes: u64) -> io::Result<()> {
    let found = statvfs(".")?;
    let taken = found.f_files.saturating_sub(found.f_ffree);
    let options = options(format!("nr_inodes={}", inodes.max(taken)))?;
    Ok(mount_remount(".", MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str())?)
}

fn private(uppers: &Uppers, is_whole: bool) -> io::Result<Layer> {
    let usr = if is_whole { None } else { Some(open(uppers.usr.0)?) };
    Ok(Layer { root: open(uppers.root.0)?, usr })
}

/// A directory of the stage.
pub(super) fn open(path: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(CWD, path, flags, Mode::empty())?)
}

/// Puts into an upper what is there from the start. What a checkpoint has brought stays, whatever it is, but where something
/// is going to be mounted.
fn furnish(upper: &OwnedFd, is_whole: bool) -> io::Result<()> {
    for (path, mode) in DIRECTORIES {
        let Some((parent, name)) = place(upper, path)? else { continue };
        if MOUNTED_ON.contains(&path) {
            clear(&parent, name)?;
        }
        match mkdirat(&parent, name, Mode::RWXU) {
            Ok(()) => chmodat(&parent, name, Mode::from_raw_mode(mode), AtFlags::empty())?,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    for (path, text) in SETTINGS_OF_IMAGES.iter().filter(|_| is_whole) {
        let Some((parent, name)) = place(upper, path)? else { continue };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&parent, name, flags, Mode::from_raw_mode(0o644)) {
            Ok(file) => File::from(file).write_all(text.as_bytes())?,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// The directory that a path of the sandbox is in, and the path's last part. None if there is something else in its place.
fn place<'a>(upper: &OwnedFd, path: &'a str) -> io::Result<Option<(OwnedFd, &'a str)>> {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    Ok(descend(upper, parent)?.map(|parent| (parent, name)))
}

/// The directory at the end of this path below another one. None if there is none, or something else on the way.
pub(super) fn descend(top: &OwnedFd, path: &str) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at = top.try_clone()?;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        at = match openat(&at, name, flags, Mode::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            opened => opened?,
        };
    }
    Ok(Some(at))
}

/// Takes away what has this name, unless it is a directory.
fn clear(parent: &OwnedFd, name: &str) -> io::Result<()> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// The lower directories of an overlay: what the layers have of this part, then the base's.
fn stack(layers: &[String], part: &str, base: &str) -> String {
    let parts = layers.iter().map(|layer| format!("{layer}/{part}"));
    let there = parts.filter(|path| fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()));
    there.chain([base.to_owned()]).collect::<Vec<_>>().join(":")
}

/// Links in an image mean its own root, which is not entered yet.
fn has_shell() -> io::Result<()> {
    let root = File::open("root")?;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let is_program = |path: &str| {
        let found = openat2(&root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS);
        found.and_then(fstat).is_ok_and(|found| {
            FileType::from_raw_mode(found.st_mode) == FileType::RegularFile && found.st_mode & 0o111 != 0
        })
    };
    if [BASH, SH].into_iter().any(is_program) {
        return Ok(());
    }
    Err(io::Error::other(format!("it has neither {BASH} nor {SH}: a sandbox needs one of them to run commands with")))
}

fn overlay(at: &str, lower: &str, (upper, work): (&str, &str)) -> io::Result<()> {
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

/// Kernel settings of the new namespaces.
pub(super) fn set(proc: &str) -> io::Result<()> {
    // A second bar: even past the system call filter nobody gets a user namespace, and with it capabilities, inside.
    fs::write(format!("{proc}/sys/user/max_user_namespaces"), "0")?;
    for (name, most) in SETTINGS {
        // Newer than some kernels, and not in all of them.
        let _ = fs::write(format!("{proc}/sys/{name}"), most);
    }
    // Servers on any port, since nobody inside can have the capability for the low ones. Newer than some kernels.
    let _ = fs::write(format!("{proc}/sys/net/ipv4/ip_unprivileged_port_start"), "0");
    Ok(())
}

/// The same, after which they are read-only.
fn settle(proc: &str) -> io::Result<()> {
    set(proc)?;
    let settings = format!("{proc}/sys");
    mount_bind(&settings, &settings)?;
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    Ok(mount_remount(&settings, flags, "")?)
}

fn options(text: String) -> io::Result<CString> {
    Ok(CString::new(text)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_layer_is_passed_over_where_it_has_no_such_part() {
        let tree = tempfile::tempdir().unwrap();
        let at = |name: &str| tree.path().join(name);
        for part in ["one/root", "one/usr", "two/root", "three"] {
            fs::create_dir_all(at(part)).unwrap();
        }
        symlink("/usr", at("three/usr")).unwrap();
        let layers = ["one", "two", "three"].map(|name| at(name).to_string_lossy().into_owned());
        let [one, two, _] = &layers;
        assert_eq!(stack(&layers, "root", "base"), format!("{one}/root:{two}/root:base"));
        assert_eq!(stack(&layers, "usr", "base/usr:/usr"), format!("{one}/usr:base/usr:/usr"));
    }

    #[test]
    fn a_directory_comes_after_the_one_it_is_in() {
        for (place, (path, _)) in DIRECTORIES.iter().enumerate() {
            let (parent, name) = path.rsplit_once('/').unwrap();
            assert!(!name.is_empty());
            assert!(parent.is_empty() || DIRECTORIES[..place].iter().any(|(earlier, _)| *earlier == parent), "{path}");
        }
    }
}

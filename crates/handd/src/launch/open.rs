//! The second process where nothing holds the sandbox: on its way to being a daemon that is an ordinary process of this
//! machine.
//!
//! It sees all that its user sees, and may change what he may. Only the places that models are told of are its own, and
//! for them alone there is a mount namespace: a root that has what the machine's has, and those besides.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    os::{fd::OwnedFd, unix::fs::symlink},
    path::{Path, PathBuf},
};

use hand_protocol::{Launch, OWN, UPLOADS};
use rustix::{
    fs::{CWD, Mode},
    mount::{MountFlags, MountPropagationFlags, OpenTreeFlags, mount, mount_change, mount_remount, open_tree},
    process::{chdir, getegid, geteuid, getpid, set_child_subreaper, setsid, umask},
    thread::UnshareFlags,
};

use super::{
    confine,
    descriptors::Files,
    failure::{At, Failure},
    identity::{IDS, NAMESPACES, USER_NAMESPACE, unshare},
    inside::{self, DAEMON},
    layers, root,
};

const VIEW: &str = "view of this machine's files";

/// Put together anew, for in them are the sandbox's own places. The one that is in the other comes last.
const SHARED_OUT: [&str; 2] = ["/", "/mnt"];

/// Becomes the daemon. Returns only if that failed.
pub(super) fn run(launch: &Launch, files: Files) -> Failure {
    match prepare(launch, files) {
        Ok(()) => Failure::new(DAEMON, format!("it could not be executed: {}", inside::execute(launch, &[]))),
        Err(failure) => failure,
    }
}

fn prepare(launch: &Launch, files: Files) -> Result<(), Failure> {
    setsid().at(DAEMON)?;
    umask(Mode::from_raw_mode(0o022));
    enter()?;
    show(launch).at(VIEW)?;
    root::turn()?;
    // Nothing that is made here would be there for anybody else, or for long.
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    mount_remount("/", flags, "").at(VIEW)?;
    files.place(None, &[]).at("descriptors")?;
    confine::open_files(&launch.limits).at("limits")?;
    // There is no pid namespace: so those who lose their parents are found, and end with the daemon.
    set_child_subreaper(Some(getpid())).at(DAEMON)
}

/// A mount namespace, with a user namespace only where it takes one. There everybody is who he was.
fn enter() -> Result<(), Failure> {
    if unshare(UnshareFlags::NEWNS).is_ok() {
        return Ok(());
    }
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    unshare(UnshareFlags::NEWUSER).at(USER_NAMESPACE)?;
    fs::write("/proc/self/setgroups", "deny").at(IDS)?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1\n")).at(IDS)?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1\n")).at(IDS)?;
    unshare(UnshareFlags::NEWNS).at(NAMESPACES)
}

/// What is in one directory of this machine, to be shown at the same path.
enum Entry {
    /// With all that is mounted below it.
    Mount {
        path: PathBuf,
        is_directory: bool,
        mount: OwnedFd,
    },
    Link {
        path: PathBuf,
        target: PathBuf,
    },
}

/// Puts the root together in the working directory.
fn show(launch: &Launch) -> io::Result<()> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let mut entries = Vec::new();
    for directory in SHARED_OUT {
        entries.extend(look(Path::new(directory))?);
    }
    let own = OWN.iter().map(|(from, at)| Ok((*at, whole(&launch.directory.join(from))?)));
    let own = own.collect::<io::Result<Vec<_>>>()?;
    let uploads = layers::detach(&launch.directory.join("uploads"))?;

    let stage = root::STAGES.into_iter().find(|stage| Path::new(stage).is_dir());
    let stage = stage.ok_or_else(|| io::Error::other(format!("there is none of {:?} to build on", root::STAGES)))?;
    mount("tmpfs", stage, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, c"size=1m,mode=0755")?;
    chdir(stage)?;
    for directory in SHARED_OUT {
        fs::create_dir_all(below(Path::new(directory)))?;
    }
    for entry in &entries {
        entry.put()?;
    }
    for (at, mount) in &own {
        let here = below(Path::new(at));
        fs::create_dir(here)?;
        layers::attach(mount, here)?;
    }
    layers::attach(&uploads, below(Path::new(UPLOADS)))
}

/// All that is there, but for what is put together and what is the sandbox's own.
fn look(directory: &Path) -> io::Result<Vec<Entry>> {
    let entries = match fs::read_dir(directory) {
        // What this user cannot see is not shown to him either.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let is_own = OWN.iter().map(|(_, at)| *at).chain(SHARED_OUT).any(|own| path == Path::new(own));
        if is_own {
            continue;
        }
        found.push(if kind.is_symlink() {
            Entry::Link { target: fs::read_link(&path)?, path }
        } else {
            Entry::Mount { mount: whole(&path)?, is_directory: kind.is_dir(), path }
        });
    }
    Ok(found)
}

fn whole(path: &Path) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    Ok(open_tree(CWD, path, flags)?)
}

impl Entry {
    fn put(&self) -> io::Result<()> {
        match self {
            Self::Link { path, target } => symlink(target, below(path)),
            Self::Mount { path, is_directory, mount } => {
                let here = below(path);
                if *is_directory {
                    fs::create_dir(here)?
                } else {
                    drop(File::create(here)?)
                }
                layers::attach(mount, here)
            }
        }
    }
}

/// A path of the new root, before it is the root.
fn below(path: &Path) -> &Path {
    match path.strip_prefix("/") {
        Ok(rest) if !rest.as_os_str().is_empty() => rest,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sandboxs_own_places_lie_in_what_is_put_together() {
        for (_, at) in OWN {
            let parent = Path::new(at).parent().unwrap();
            assert!(SHARED_OUT.iter().any(|directory| parent == Path::new(directory)), "{at}");
        }
        assert_eq!(below(Path::new("/")), Path::new("."));
        assert_eq!(below(Path::new(UPLOADS)), Path::new("mnt/session/uploads"));
    }
}

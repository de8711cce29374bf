//! The second process where a guest, a kernel or a container runtime, is to run the sandbox: on its way to being the porter.
//!
//! The sandbox's root is put together as any, and then around it another one, with what the guest needs and nothing else
//! of the host. Who breaks out of the guest finds himself there, in namespaces of a user who is nobody.

use std::{
    ffi::CStr,
    fs::{self, File},
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{fs::symlink, process::CommandExt},
    },
    process::Command,
};

use hand_protocol::{
    Launch, Socket,
    guest::{BUNDLE, DAEMON, Guest, KERNEL, Kind, LIBRARIES, Porter, STATE, UPLOADS},
};
use rustix::{
    fs::{Mode, mkdirat},
    io::{Errno, FdFlags, fcntl_setfd},
    mount::{MountFlags, mount},
    process::{setsid, umask},
};

use super::{
    confine,
    descriptors::Files,
    devices,
    failure::{At, Failure},
    layers::{self, Layers},
    network, root,
};

const PORTER: &str = "porter";

/// What a kernel's program opens. A container runtime shows inside what there is.
const DEVICES: [&str; 3] = ["null", "zero", "urandom"];

/// Where container runtimes look for control groups, and do not start without any. Of these they see nothing but the name.
const GROUPS_AT: &str = "sys/fs/cgroup";
pub(super) const GROUPS: &str = "control groups (version 2)";

/// Found on many systems, and expected to be empty.
const IN_TMP: &str = ".X11-unix";

/// Becomes the porter. Returns only if that failed.
pub(super) fn run(
    launch: &Launch,
    guest: &Guest,
    files: Files,
    layers: &Layers,
    checkpoint: Option<File>,
    verdict: &OwnedFd,
) -> Failure {
    let prepared = prepare(launch, guest, files, layers, checkpoint);
    match prepared.and_then(|sockets| told(launch, guest, &sockets, verdict).at(PORTER)) {
        Ok(told) => {
            let error = Command::new("/proc/self/exe").arg0("handd").args(["porter", &told]).env_clear().exec();
            Failure::new(PORTER, format!("it could not be executed: {error}"))
        }
        Err(failure) => failure,
    }
}

fn prepare(
    launch: &Launch,
    guest: &Guest,
    files: Files,
    layers: &Layers,
    checkpoint: Option<File>,
) -> Result<Vec<(Socket, OwnedFd)>, Failure> {
    setsid().at(PORTER)?;
    umask(Mode::from_raw_mode(0o022));
    let layer = root::compose(launch, layers, checkpoint)?;
    if guest.kind == Kind::Kernel {
        fill_tmp().at(layers::GUEST)?;
    }
    surround(guest, layers)?;
    network::loopback_up().at("loopback interface")?;
    let sockets = if launch.network { network::open_gate().at("the way to the gateway")? } else { Vec::new() };
    match guest.kind {
        // Servers on any port. Newer than some kernels.
        Kind::Kernel => drop(fs::write("proc/sys/net/ipv4/ip_unprivileged_port_start", "0")),
        Kind::Runtime => root::set("proc").at("/proc/sys")?,
    }
    root::turn()?;
    files.place(layer.as_ref(), &sockets).at("descriptors")?;
    confine::core().at("limits")?;
    Ok(sockets)
}

/// gVisor lays memory of its own over a `/tmp` that is empty, which no limit on the disk would count. Where a checkpoint has
/// brought a link in the place of `/tmp`, it is not followed.
fn fill_tmp() -> io::Result<()> {
    let Some(tmp) = root::descend(&root::open("root")?, "/tmp")? else { return Ok(()) };
    match mkdirat(tmp, IN_TMP, Mode::RWXU) {
        Err(Errno::EXIST) => Ok(()),
        made => Ok(made?),
    }
}

/// For what is kept of the one container, and said.
const STATE_ROOM: &CStr = c"size=8m,mode=0700";

/// The root around the root, in the working directory.
fn surround(guest: &Guest, layers: &Layers) -> Result<(), Failure> {
    let bundle = below(BUNDLE);
    for directory in ["proc", "dev", "tmp", below(LIBRARIES), below(STATE), bundle, below(UPLOADS)] {
        fs::create_dir(directory).at(layers::GUEST)?;
    }
    for file in [below(KERNEL), below(DAEMON)] {
        File::create(file).at(layers::GUEST)?;
    }
    fs::write(format!("{bundle}/config.json"), &guest.configuration).at(layers::GUEST)?;
    layers.attach_guest(below(KERNEL), below(DAEMON), below(LIBRARIES))?;
    layers.attach_uploads(below(UPLOADS))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "proc", "proc", flags, c"").at(root::PROC)?;
    // Apart from what the sandbox may fill: where nothing can be written, nothing starts again.
    mount("none", below(STATE), "tmpfs", flags, STATE_ROOM).at(layers::GUEST)?;
    match guest.kind {
        Kind::Kernel => DEVICES.iter().try_for_each(|name| devices::show("dev", name)).at("/dev"),
        Kind::Runtime => {
            devices::show_all("dev").at("/dev")?;
            // Every directory that loaders look into by themselves leads to the one.
            symlink("lib", "lib64").and_then(|()| symlink(".", "usr")).at(layers::GUEST)?;
            fs::create_dir_all(GROUPS_AT).at(layers::GUEST)?;
            mount("cgroup2", GROUPS_AT, "cgroup2", flags | MountFlags::RDONLY, c"").at(GROUPS)
        }
    }
}

/// A path of the new root, before it is the root.
fn below(path: &str) -> &str {
    path.trim_start_matches('/')
}

fn told(launch: &Launch, guest: &Guest, sockets: &[(Socket, OwnedFd)], verdict: &OwnedFd) -> io::Result<String> {
    fcntl_setfd(verdict, FdFlags::empty())?;
    let sockets = sockets.iter().map(|(kind, _)| *kind).collect();
    let hand_protocol::Limits { memory, disk, .. } = launch.limits;
    let arguments = guest.arguments.clone();
    let porter = Porter { kind: guest.kind, arguments, memory, disk, sockets, verdict: verdict.as_raw_fd() };
    Ok(serde_json::to_string(&porter)?)
}

//! The second process: pid 1 of the sandbox, on its way to being the daemon.

use std::{
    fs::File,
    io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    process::Command,
};

use hand_protocol::{Launch, Serve, Socket};
use rustix::{
    fs::Mode,
    process::{setsid, umask},
    system::sethostname,
};

use super::{
    confine,
    descriptors::Files,
    failure::{At, Failure},
    filter,
    layers::Layers,
    network, root,
};

pub(super) const DAEMON: &str = "daemon";

/// All that the daemon's environment holds. Nothing of the server's may be in it.
const ENVIRONMENT: [(&str, &str); 3] =
    [("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("HOME", "/root"), ("LANG", "C.UTF-8")];

/// Becomes the daemon. Returns only if that failed.
pub(super) fn run(launch: &Launch, files: Files, layers: Layers, checkpoint: Option<File>) -> Failure {
    match prepare(launch, files, &layers, checkpoint) {
        Ok(sockets) => Failure::new(DAEMON, format!("it could not be executed: {}", execute(launch, &sockets))),
        Err(failure) => failure,
    }
}

/// Returns the sockets that lead out, which are in their places by then.
fn prepare(
    launch: &Launch,
    files: Files,
    layers: &Layers,
    checkpoint: Option<File>,
) -> Result<Vec<(Socket, OwnedFd)>, Failure> {
    // No signal meant for the server's terminal reaches the sandbox.
    setsid().at(DAEMON)?;
    umask(Mode::from_raw_mode(0o022));
    let layer = root::enter(launch, layers, checkpoint)?;
    sethostname(b"sandbox").at("host name")?;
    network::loopback_up().at("loopback interface")?;
    let sockets = if launch.network { network::open_gate().at("the way to the gateway")? } else { Vec::new() };
    files.place(layer.as_ref(), &sockets).at("descriptors")?;
    confine::limits(&launch.limits).at("limits")?;
    confine::drop_privileges(launch.keep.is_some()).at("privileges")?;
    filter::install()?;
    Ok(sockets)
}

pub(super) fn execute(launch: &Launch, sockets: &[(Socket, OwnedFd)]) -> io::Error {
    let serve = Serve {
        incarnation: launch.incarnation.clone(),
        orphan_seconds: launch.orphan_seconds,
        limits: launch.limits,
        sockets: sockets.iter().map(|(kind, _)| *kind).collect(),
    };
    let serve = match serde_json::to_string(&serve) {
        Ok(serve) => serve,
        Err(error) => return error.into(),
    };
    // The magic link leads to this program's file although no path inside does. Its file being unreadable to us, the new
    // process cannot be traced, nor its memory, root or descriptors reached through `/proc`, by anything inside.
    Command::new("/proc/self/exe")
        .arg0("handd")
        .args(["serve", &serve])
        .env_clear()
        .envs(ENVIRONMENT)
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .exec()
}

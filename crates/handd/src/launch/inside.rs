//! The second process: pid 1 of the sandbox, on its way to being the daemon.

use std::{io, os::unix::process::CommandExt, process::Command};

use hand_protocol::Launch;
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

const DAEMON: &str = "daemon";

/// All that the daemon's environment holds. Nothing of the server's may be in it.
const ENVIRONMENT: [(&str, &str); 3] =
    [("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("HOME", "/root"), ("LANG", "C.UTF-8")];

/// Becomes the daemon. Returns only if that failed.
pub(super) fn run(launch: &Launch, files: Files, layers: Layers) -> Failure {
    match prepare(launch, files, &layers) {
        Ok(()) => Failure::new(DAEMON, format!("it could not be executed: {}", execute(launch))),
        Err(failure) => failure,
    }
}

fn prepare(launch: &Launch, files: Files, layers: &Layers) -> Result<(), Failure> {
    // No signal meant for the server's terminal reaches the sandbox.
    setsid().at(DAEMON)?;
    umask(Mode::from_raw_mode(0o022));
    root::enter(launch, layers)?;
    sethostname(b"sandbox").at("host name")?;
    network::loopback_up().at("loopback interface")?;
    files.place().at("descriptors")?;
    confine::limits(launch.processes).at("limits")?;
    confine::drop_privileges().at("privileges")?;
    filter::install()
}

fn execute(launch: &Launch) -> io::Error {
    // The magic link leads to this program's file although no path inside does. Its file being unreadable to us, the new
    // process cannot be traced, nor its memory, root or descriptors reached through `/proc`, by anything inside.
    Command::new("/proc/self/exe")
        .arg0("handd")
        .args(["serve", &launch.orphan_seconds.to_string(), &launch.incarnation])
        .env_clear()
        .envs(ENVIRONMENT)
        .current_dir("/")
        .exec()
}

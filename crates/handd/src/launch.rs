//! Makes the sandbox, and turns into the daemon inside it.
//!
//! The host starts this program with [`Launch`] on standard input, reads [`Launched`] from standard output, and has its
//! log as standard error. Two processes do the work. The first is still the host's: it makes what only the host may make
//! (socket, journal, user namespace, layers), enters the new namespaces, forks and waits. The second is pid 1 of the new
//! pid namespace, in a session of its own: it builds the root, gives up every right it has, and executes `handd serve`.
//! The first then answers and exits, so that nothing ties the daemon to the server that wanted it.
//!
//! One thread throughout: namespaces and forks need that.

mod advice;
mod confine;
mod descriptors;
mod devices;
mod failure;
mod filter;
mod guest;
mod identity;
mod inside;
mod layers;
mod network;
mod open;
mod restore;
mod root;

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::fd::{AsFd, OwnedFd},
    process::exit,
};

use hand_protocol::{Launch, Launched};
use rustix::{
    pipe::{PipeFlags, pipe_with},
    process::{self, DumpableBehavior, Pid, WaitOptions},
};

use self::{
    descriptors::Files,
    failure::{At, Failure},
    layers::Layers,
};

/// How much rather the kernel should end this than anything else when the machine is out of memory. Inherited by all that
/// runs inside, which may raise its own score and so be ended before the daemon, but never lower it.
const OOM_SCORE: &str = "300";

const PROCESS: &str = "process";

pub(crate) fn main() -> ! {
    let launched = start().unwrap_or_else(Launched::from);
    // Nobody to tell is nobody to tell it to either.
    let _ = serde_json::to_writer(io::stdout(), &launched);
    let _ = io::stdout().flush();
    exit(i32::from(!matches!(launched, Launched::Ready { .. })))
}

/// The first process.
fn start() -> Result<Launched, Failure> {
    descriptors::reset().at(PROCESS)?;
    // This program's file is unreadable, so that pid 1 is opaque from its first instruction. For now the entries below
    // `/proc` of this process and its children must be ours to write.
    process::set_dumpable_behavior(DumpableBehavior::Dumpable).at(PROCESS)?;
    let launch: Launch = serde_json::from_reader(io::stdin().lock())
        .map_err(|error| Failure::new("configuration", format!("not what the host sends: {error}")))?;

    let files = Files::open(&launch.directory)?;
    if launch.is_open {
        return second(|_| open::run(&launch, files));
    }
    let checkpoint = launch.restore.as_deref().map(restore::open).transpose()?;
    // Best effort: with neither control groups nor this, a machine that runs out of memory chooses for itself.
    let _ = fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    for group in &launch.cgroups {
        fs::write(group, "0").at("control group")?;
    }

    let privileged = process::geteuid().is_root();
    let users = identity::namespace(launch.identity, privileged)?;
    // Root must take hold of the layers before it gives up being root; anybody else may not before being root inside.
    let early = if privileged { Some(Layers::detach(&launch, Some(users.as_fd()))?) } else { None };
    identity::enter(users.as_fd())?;
    let layers = match early {
        Some(layers) => layers,
        None => Layers::detach(&launch, None)?,
    };
    identity::become_root(privileged)?;
    drop(users);

    second(|tell| match &launch.guest {
        Some(guest) => guest::run(&launch, guest, files, &layers, checkpoint, tell),
        None => inside::run(&launch, files, layers, checkpoint),
    })
}

/// Forks the second process, which is to become the daemon, and waits until it has. `become_it` is given what its failures
/// are told on.
fn second(become_it: impl FnOnce(&OwnedFd) -> Failure) -> Result<Launched, Failure> {
    let (verdict, tell) = pipe_with(PipeFlags::CLOEXEC).at(PROCESS)?;
    match descriptors::fork().at(PROCESS)? {
        None => {
            drop(verdict);
            let failure = become_it(&tell);
            let _ = serde_json::to_writer(File::from(tell), &Launched::from(failure));
            exit(1)
        }
        Some(pid) => {
            drop(tell);
            await_daemon(pid, verdict)
        }
    }
}

/// The filter on system calls, for this process and all that come of it, where nobody else has installed it.
pub(crate) fn filter_calls() -> Result<(), String> {
    filter::install().map_err(Failure::into_reason)
}

/// The pipe closes by itself when the daemon's program is executed. Anything said before is a failure.
fn await_daemon(pid: Pid, verdict: OwnedFd) -> Result<Launched, Failure> {
    let mut said = Vec::new();
    File::from(verdict).read_to_end(&mut said).at(PROCESS)?;
    if !said.is_empty() {
        return serde_json::from_slice(&said).map_err(|error| Failure::new(PROCESS, error.to_string()));
    }
    match process::waitpid(Some(pid), WaitOptions::NOHANG).at(PROCESS)? {
        None => Ok(Launched::Ready { pid: pid.as_raw_pid() }),
        Some((_, status)) => Err(Failure::new("daemon", format!("it ended at once ({status:?}); its log may say why"))),
    }
}

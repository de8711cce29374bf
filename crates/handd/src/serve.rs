//! `handd serve`: the first process of a sandbox.
//!
//! It answers on the socket that the launcher has left it, reaps what ends, and ends itself, with everything in the
//! sandbox, when it is told to or when nobody has been connected for too long.

mod adopters;
mod connection;
pub(crate) mod descriptors;
mod entrance;
mod journal;
mod ledger;
mod left;
mod outputs;
mod pool;
mod porter;
pub(crate) mod sockets;
mod written;

use std::{fs::File, io, os::unix::net::UnixListener, process::ExitCode, sync::Arc, thread, time::Duration};

use hand_protocol::{Execute, JOURNAL_FD, Serve};
use rustix::{
    fs::Mode,
    process::{DumpableBehavior, set_dumpable_behavior, umask},
};

pub(crate) use self::entrance::Entrance;
use self::{entrance::Door, written::Written};
use crate::{
    cancel::Cancel, children::Children, complain, layer::Layer, left::Left, limits::Limits, places::Places, processes,
    shell, sync, tools,
};

/// Threads that accept and serve connections. Made at the start, so that a new brain gets in even when the sandbox has
/// used up its processes.
const CONNECTIONS: usize = 8;
/// Threads that run calls and live for ever, for the same reason. More come and go as calls need them.
const WORKERS: usize = 4;

/// What every connection works with.
struct Service {
    incarnation: String,
    places: Places,
    ledger: ledger::Ledger,
    pool: Arc<pool::Pool>,
    shell: shell::Handle,
    limits: Limits,
    adopters: adopters::Adopters,
    sockets: sockets::Sockets,
    /// What is written, if it can be had from here.
    written: Option<Written>,
    /// Bytes that may be written.
    disk: u64,
    /// Bytes that processes may hold.
    memory: u64,
}

pub(crate) fn main(arguments: impl Iterator<Item = String>, entrance: Entrance) -> ExitCode {
    last(start(arguments, entrance))
}

/// As [`main`], where there was no launcher to leave anything.
pub(crate) fn in_house(told: Serve, listener: UnixListener, journal: File) -> ExitCode {
    last(confine().and_then(|()| open(told, Door::House(listener), journal, None)))
}

/// Stays until nobody needs the sandbox any more.
fn last(started: io::Result<(Arc<Service>, Duration)>) -> ExitCode {
    match started {
        Ok((service, patience)) => loop {
            service.adopters.wait_until_orphaned(patience);
            left::leave(&service);
        },
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn start(mut arguments: impl Iterator<Item = String>, entrance: Entrance) -> io::Result<(Arc<Service>, Duration)> {
    let told = serde_json::from_str(&arguments.next().unwrap_or_default()).map_err(io::Error::other)?;
    // Before anything is opened. On a guest kernel there is none to have.
    let kept = if entrance == Entrance::Listener { (Layer::take(), Left::take()) } else { (None, None) };
    confine()?;
    let door = Door::take(entrance)?;
    let written = match (&door, kept) {
        (Door::Porter(porter), _) => Some(Written::Outside(Arc::clone(porter))),
        (_, (Some(layer), left)) => Some(Written::Here { layer, left }),
        (_, (None, _)) => None,
    };
    open(told, door, File::from(descriptors::take(JOURNAL_FD)?), written)
}

/// No process in the sandbox may look into this one, nor reach the descriptors it holds.
fn confine() -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    umask(Mode::from_raw_mode(0o022));
    Ok(())
}

fn open(told: Serve, door: Door, journal: File, written: Option<Written>) -> io::Result<(Arc<Service>, Duration)> {
    let Serve { incarnation, orphan_seconds, limits, sockets } = told;
    let door = Arc::new(door);
    let (journal, past) = journal::Journal::open(journal)?;
    let sockets = sockets::Sockets::take(&sockets)?;

    let children = Arc::new(Children::new());
    if processes::has_orphans() {
        let children = Arc::clone(&children);
        sync::spawn("reaper", move || children.reap())?;
    }
    let places = Places::of_the_sandbox();
    let service = Arc::new(Service {
        incarnation,
        ledger: ledger::Ledger::new(journal, past),
        pool: pool::Pool::start(WORKERS)?,
        shell: shell::start(&places, children)?,
        limits: Limits::new(limits),
        adopters: adopters::Adopters::new(),
        sockets,
        written,
        disk: limits.disk,
        memory: limits.memory,
        places,
    });
    for _ in 0..CONNECTIONS {
        let (door, service) = (Arc::clone(&door), Arc::clone(&service));
        sync::spawn("connection", move || accept(&door, &service))?;
    }
    Ok((service, Duration::from_secs(orphan_seconds)))
}

fn accept(door: &Door, service: &Arc<Service>) {
    loop {
        match door.next() {
            Ok(Some(stream)) => {
                if let Door::Porter(porter) = door
                    && porter.was_short_of_memory()
                {
                    service.ledger.tell_of_memory(service.memory);
                }
                connection::serve(stream, service);
            }
            // Nobody can come any more.
            Ok(None) => service.end(),
            // Out of descriptors or memory: it may pass.
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

impl Service {
    /// Runs a call that the ledger has just begun, on some worker, and records its end.
    fn dispatch(self: &Arc<Self>, execute: Execute, cancel: Arc<Cancel>) {
        let service = Arc::clone(self);
        self.pool.submit(Box::new(move || {
            let bench = tools::Bench { places: &service.places, shell: &service.shell, limits: &service.limits };
            let outcome = tools::run(bench, &execute, cancel);
            service.ledger.finish(&execute.call, outcome);
        }));
    }

    /// Ends everything in the sandbox, and this process with it.
    fn end(&self) -> ! {
        processes::end_all(None);
        std::process::exit(0)
    }
}

//! `handd serve`: the first process of a sandbox.
//!
//! It answers on the socket that the launcher has left it, reaps what ends, and ends itself, with everything in the
//! sandbox, when it is told to or when nobody has been connected for too long.

mod adopters;
mod connection;
mod descriptors;
mod journal;
mod ledger;
mod outputs;
mod pool;

use std::{fs::File, io, os::unix::net::UnixListener, process::ExitCode, sync::Arc, thread, time::Duration};

use hand_protocol::{Execute, JOURNAL_FD, LISTENER_FD};
use rustix::{
    fs::Mode,
    process::{DumpableBehavior, set_dumpable_behavior, umask},
};

use crate::{cancel::Cancel, children::Children, complain, places::Places, processes, shell, sync, tools};

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
    adopters: adopters::Adopters,
}

pub(crate) fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    match start(arguments) {
        Ok((service, patience)) => {
            service.adopters.wait_until_orphaned(patience);
            service.end()
        }
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn start(mut arguments: impl Iterator<Item = String>) -> io::Result<(Arc<Service>, Duration)> {
    let patience = arguments.next().and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    let (Some(patience), Some(incarnation)) = (patience, arguments.next()) else {
        return Err(io::Error::other("usage: handd serve ORPHAN_SECONDS INCARNATION"));
    };
    // No process in the sandbox may look into this one, nor reach the descriptors it holds.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    umask(Mode::from_raw_mode(0o022));
    let listener = UnixListener::from(descriptors::take(LISTENER_FD)?);
    listener.set_nonblocking(false)?;
    let (journal, past) = journal::Journal::open(File::from(descriptors::take(JOURNAL_FD)?))?;

    let children = Arc::new(Children::new());
    if processes::is_init() {
        let children = Arc::clone(&children);
        sync::spawn("reaper", move || children.reap())?;
    }
    let places = Places::of_the_sandbox();
    let service = Arc::new(Service {
        incarnation,
        ledger: ledger::Ledger::new(journal, past),
        pool: pool::Pool::start(WORKERS)?,
        shell: shell::start(&places, children)?,
        adopters: adopters::Adopters::new(),
        places,
    });
    let listener = Arc::new(listener);
    for _ in 0..CONNECTIONS {
        let (listener, service) = (Arc::clone(&listener), Arc::clone(&service));
        sync::spawn("connection", move || accept(&listener, &service))?;
    }
    Ok((service, patience))
}

fn accept(listener: &UnixListener, service: &Arc<Service>) {
    loop {
        match listener.accept() {
            Ok((stream, _)) => connection::serve(stream, service),
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
            let bench = tools::Bench { places: &service.places, shell: &service.shell };
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

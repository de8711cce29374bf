//! `handd porter`: the host's side of a sandbox whose processes a guest runs, a kernel or a container runtime.
//!
//! It is the first process of the sandbox's namespaces, so that everything ends with it. It starts the guest, and over the
//! same files once more should that die: of memory, or because a process inside has ended the daemon, which a guest kernel
//! lets happen. What runs on a guest kernel cannot accept connections on a socket of the host's, nor hand out sockets of
//! the host's: the porter accepts, answers what is asked of the host, and passes all other connections in. Of what comes
//! from inside it reads the wishes of the daemon, two bytes each, and the files that it archives for it.

pub(crate) mod errands;
mod guard;
mod kernel;
mod visitors;

use std::{
    fs::File,
    io::{self, Write},
    os::unix::net::{UnixListener, UnixStream},
    process::ExitCode,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use hand_protocol::{JOURNAL_FD, LISTENER_FD, Launched, guest::Porter};

use self::errands::{DONE, Files};
use crate::{
    clock, complain,
    layer::Layer,
    left::Left,
    processes,
    serve::{descriptors, sockets::Sockets},
    sync::lock,
};

/// A kernel that dies sooner than this has not been of use.
const USEFUL: Duration = Duration::from_secs(5);

/// How often in a row that may happen.
const USELESS: u32 = 3;

/// The way in to the daemon, while there is one.
#[derive(Default)]
pub(crate) struct Passage {
    way: Mutex<Way>,
    changed: Condvar,
}

#[derive(Default)]
struct Way {
    inside: Option<UnixStream>,
    /// The highest that anybody has greeted with who was passed in, by whatever kernel ran then.
    epoch: u64,
}

pub(crate) fn main(mut arguments: impl Iterator<Item = String>) -> ExitCode {
    let told = arguments.next().unwrap_or_default();
    let told: Porter = match serde_json::from_str(&told) {
        Ok(told) => told,
        Err(error) => {
            complain(&format!("porter: not what the launcher says: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let status = match work(&told) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("porter: {error}"));
            ExitCode::FAILURE
        }
    };
    processes::end_all(None);
    status
}

fn work(told: &Porter) -> io::Result<()> {
    // Before anything is opened.
    let files = Arc::new(Files { layer: Layer::take(), left: Left::take(), disk: told.disk });
    let verdict = descriptors::take(told.verdict)?;
    let mut entrance = descriptors::take(LISTENER_FD)?;
    let journal = descriptors::take(JOURNAL_FD)?;
    let sockets = Sockets::take(&told.sockets)?;
    // Its number is the daemon's, and where the guest passes descriptors by number, must be free for that.
    let listener = UnixListener::from(entrance.try_clone()?);
    let passage = Arc::new(Passage::default());

    let mut kernel = match kernel::start(told, 0, &journal, &mut entrance) {
        Ok((kernel, inside)) => {
            errands::run(inside.try_clone()?, Arc::clone(&files))?;
            passage.lead(inside);
            kernel
        }
        Err(error) => {
            let launched = Launched::Failed { step: "guest".into(), reason: error.to_string() };
            let _ = serde_json::to_writer(File::from(verdict), &launched);
            return Err(error);
        }
    };
    drop(verdict);
    let watched = guard::Watched::default();
    guard::watch(watched.clone(), told.memory, journal.try_clone()?)?;
    visitors::receive(listener, sockets, Arc::clone(&passage))?;

    let mut useless = 0;
    for round in 1.. {
        let began = clock::now();
        watched.set(Some(kernel.pid()));
        let end = kernel.wait(&watched)?;
        if end.is_deliberate() {
            break;
        }
        passage.close();
        useless = if clock::now().saturating_duration_since(began) < USEFUL { useless + 1 } else { 0 };
        if useless >= USELESS {
            return Err(io::Error::other("the guest does not stay"));
        }
        complain("porter: the guest has ended, and is started again");
        let (next, inside) = kernel::start(told, round, &journal, &mut entrance)?;
        kernel = next;
        errands::run(inside.try_clone()?, Arc::clone(&files))?;
        if watched.was_short() {
            // A byte alone. Before any connection, so that whoever comes to ask can be told.
            let _ = (&inside).write_all(&[DONE]);
        }
        passage.lead(inside);
    }
    Ok(())
}

impl Passage {
    fn lead(&self, inside: UnixStream) {
        lock(&self.way).inside = Some(inside);
        self.changed.notify_all();
    }

    fn close(&self) {
        lock(&self.way).inside = None;
    }
}

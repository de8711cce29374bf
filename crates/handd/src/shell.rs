//! The one persistent shell of a session.
//!
//! A keeper thread owns it, made when the daemon starts: nothing a command does to the process table can keep a call
//! from being timed out or cancelled. Calls reach the keeper in the order of their arrival.

mod ansi;
mod capture;
mod end;
mod keeper;
mod poll;
mod session;
#[cfg(test)]
mod tests;

use std::{
    io,
    os::fd::OwnedFd,
    sync::{Arc, mpsc},
    time::Duration,
};

use hand_protocol::Outcome;
use rustix::event::{EventfdFlags, eventfd};

use crate::{cancel::Cancel, children::Children, limits::Allowance, places::Places, sync};

/// What runs commands. Where there is no bash, as in small images, what every system has must do.
pub(crate) const BASH: &str = "/bin/bash";
pub(crate) const SH: &str = "/bin/sh";

/// What the keeper is asked to do.
#[derive(Debug)]
pub(crate) enum Order {
    Run { command: String, timeout: Duration },
    Restart,
}

struct Job {
    order: Order,
    /// The call's id, which names the file of a too long output.
    call: String,
    cancel: Arc<Cancel>,
    allowance: Allowance,
    reply: mpsc::Sender<Outcome>,
}

pub(crate) struct Handle {
    jobs: mpsc::Sender<Job>,
    bell: Arc<OwnedFd>,
}

/// Starts the keeper. The shell itself is started by the first command.
pub(crate) fn start(places: &Places, children: Arc<Children>) -> io::Result<Handle> {
    let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let (jobs, inbox) = mpsc::channel();
    let keeper = keeper::Keeper::new(places.clone(), children, inbox, Arc::clone(&bell))?;
    sync::spawn("shell", move || keeper.run())?;
    Ok(Handle { jobs, bell })
}

impl Handle {
    /// Has an order carried out, and waits for its end.
    pub(crate) fn run(&self, order: Order, call: &str, cancel: Arc<Cancel>, allowance: Allowance) -> Outcome {
        let (reply, answer) = mpsc::channel();
        let sent = self.jobs.send(Job { order, call: call.to_owned(), cancel, allowance, reply });
        self.ring();
        match sent.ok().and_then(|()| answer.recv().ok()) {
            Some(outcome) => outcome,
            None => Outcome::error("bash: the shell's keeper has ended"),
        }
    }

    /// Wakes the keeper: a job has come, or a call has been cancelled.
    pub(crate) fn ring(&self) {
        // Fails only when the counter is full, and then the keeper is being woken already.
        let _ = rustix::io::write(&*self.bell, &1_u64.to_ne_bytes());
    }
}

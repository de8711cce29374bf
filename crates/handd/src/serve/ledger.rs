//! Which calls there are, and how far each has come.
//!
//! **Invariant:** a call id is run at most once, over every incarnation of the daemon. A request of a lower epoch than
//! one already seen changes nothing: the check and the change are one step under one lock, so that whoever has been
//! told "never received" by a higher epoch can rely on it.

mod rest;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Condvar, Mutex},
};

use hand_protocol::{Found, MAX_FRAME, Outcome};

pub(super) use self::rest::Rest;
use self::rest::Resting;
use super::journal::{self, Journal, Past, Span};
use crate::{cancel::Cancel, sync::lock};

/// Calls that run at the same time, waiting ones included.
const RUNNING: usize = 64;
/// Outcomes kept in memory, each of at most so many bytes of journal. All others are read back when asked for.
const RECENT: usize = 16;
const RECENT_LENGTH: u64 = 256 << 10;

/// Told of a call's end.
pub(super) type Listener = Box<dyn FnOnce(Arc<Outcome>) + Send>;

#[derive(Debug, PartialEq)]
pub(super) enum Denied {
    /// The highest epoch seen.
    Fenced(u64),
    Refused(String),
}

/// What became of a wish to run a call.
pub(super) enum Begun {
    /// It is new, and recorded as started. Whoever has this must run it, and tell [`Ledger::finish`].
    Run(Arc<Cancel>),
    /// It runs already. The listener will be told.
    Joined,
    Finished(Arc<Outcome>),
}

pub(super) struct Ledger {
    state: Mutex<State>,
    /// Calls may begin again.
    reopened: Condvar,
}

struct State {
    epoch: u64,
    running: usize,
    calls: HashMap<String, Call>,
    journal: Journal,
    recent: VecDeque<(String, Arc<Outcome>)>,
    /// While the sandbox is being put away.
    resting: Option<Resting>,
    /// The limit, in bytes, if want of memory has ended an earlier incarnation.
    short_of: Option<u64>,
}

enum Call {
    Running {
        cancel: Arc<Cancel>,
        listeners: Vec<Listener>,
    },
    Finished(Span),
    /// The journal could not take the outcome, so memory must.
    Kept(Arc<Outcome>),
    Unknown,
}

impl Ledger {
    pub(super) fn new(journal: Journal, past: HashMap<String, Past>) -> Self {
        let calls = past.into_iter().map(|(call, past)| match past {
            Past::Unknown => (call, Call::Unknown),
            Past::Finished(span) => (call, Call::Finished(span)),
        });
        let calls = calls.collect();
        let state =
            State { epoch: 0, running: 0, calls, journal, recent: VecDeque::new(), resting: None, short_of: None };
        Self { state: Mutex::new(state), reopened: Condvar::new() }
    }

    /// Takes note of an epoch, or tells it off.
    pub(super) fn admit(&self, epoch: u64) -> Result<(), Denied> {
        self.enter(epoch).map(drop)
    }

    pub(super) fn begin(&self, epoch: u64, call: &str, listener: Listener) -> Result<Begun, Denied> {
        let mut state = self.enter(epoch)?;
        let span = match state.calls.get_mut(call) {
            None => return state.start(call, listener).map(Begun::Run),
            Some(Call::Running { listeners, .. }) => {
                listeners.push(listener);
                return Ok(Begun::Joined);
            }
            Some(Call::Kept(outcome)) => return Ok(Begun::Finished(Arc::clone(outcome))),
            Some(Call::Unknown) => {
                return Err(Denied::Refused(state.not_known(call)));
            }
            Some(Call::Finished(span)) => *span,
        };
        if let Some(outcome) = state.recall(call) {
            return Ok(Begun::Finished(outcome));
        }
        let file = state.journal.file();
        drop(state);
        journal::recorded(&file, span).map(|outcome| Begun::Finished(Arc::new(outcome))).map_err(unreadable)
    }

    /// Records a call's end, and then tells all who wait for it.
    pub(super) fn finish(&self, call: &str, outcome: Outcome) {
        let line = journal::finished_line(call, &outcome);
        let outcome = Arc::new(outcome);
        let mut listeners = {
            let mut state = lock(&self.state);
            let recorded = line.and_then(|line| state.journal.append(&line));
            let record = match recorded {
                Ok(span) => {
                    state.remember(call, &outcome, span);
                    Call::Finished(span)
                }
                Err(_) => Call::Kept(Arc::clone(&outcome)),
            };
            state.running = state.running.saturating_sub(1);
            match state.calls.insert(call.to_owned(), record) {
                Some(Call::Running { listeners, .. }) => listeners,
                _ => Vec::new(),
            }
        };
        // The last one gets ours: where it is the only one, a large outcome need not be copied.
        let last = listeners.pop();
        for listener in listeners {
            listener(Arc::clone(&outcome));
        }
        if let Some(last) = last {
            last(outcome);
        }
    }

    /// An earlier incarnation was ended because the sandbox's processes held more than this, in bytes.
    pub(super) fn tell_of_memory(&self, limit: u64) {
        lock(&self.state).short_of = Some(limit);
    }

    /// What is known of these calls, in their order.
    pub(super) fn look(&self, epoch: u64, calls: &[String]) -> Result<Vec<Found>, Denied> {
        let state = self.enter(epoch)?;
        let file = state.journal.file();
        let mut weight = 0;
        let mut found = Vec::with_capacity(calls.len());
        for call in calls {
            found.push(match state.calls.get(call) {
                None => Ok(Found::NeverReceived),
                Some(Call::Running { .. }) => Ok(Found::Running),
                Some(Call::Unknown) => Ok(Found::Unknown),
                Some(Call::Kept(outcome)) => Ok(Found::Finished { outcome: Outcome::clone(outcome) }),
                Some(Call::Finished(span)) => {
                    weight += span.length;
                    Err(*span)
                }
            });
        }
        drop(state);
        if weight > MAX_FRAME as u64 {
            return Err(Denied::Refused("these outcomes are over one frame together: ask for fewer calls".to_owned()));
        }
        found
            .into_iter()
            .map(|found| match found {
                Ok(found) => Ok(found),
                Err(span) => {
                    journal::recorded(&file, span).map(|outcome| Found::Finished { outcome }).map_err(unreadable)
                }
            })
            .collect()
    }

    /// Tells a running call to stop. One that does not run needs no telling.
    pub(super) fn cancel(&self, epoch: u64, call: &str) -> Result<(), Denied> {
        let state = self.enter(epoch)?;
        if let Some(Call::Running { cancel, .. }) = state.calls.get(call) {
            cancel.set();
        }
        Ok(())
    }
}

impl State {
    /// Why nobody knows what became of a call.
    fn not_known(&self, call: &str) -> String {
        let why = self.short_of.map(|limit| {
            format!(": the sandbox's memory limit of {} MiB was reached, and all processes were ended", limit >> 20)
        });
        let why = why.unwrap_or_default();
        format!("call {call} was started by an earlier incarnation, and its end is not known{why}")
    }

    fn admit(&mut self, epoch: u64) -> Result<(), Denied> {
        if epoch < self.epoch {
            return Err(Denied::Fenced(self.epoch));
        }
        self.epoch = epoch;
        Ok(())
    }

    fn start(&mut self, call: &str, listener: Listener) -> Result<Arc<Cancel>, Denied> {
        if self.resting.is_some() {
            return Err(rest::away());
        }
        if self.running >= RUNNING {
            return Err(Denied::Refused(format!("{RUNNING} calls are running already")));
        }
        // What cannot be recorded must not happen.
        let recorded = self.journal.started(call);
        recorded.map_err(|error| Denied::Refused(format!("the call cannot be recorded: {error}")))?;
        let cancel = Arc::new(Cancel::default());
        let running = Call::Running { cancel: Arc::clone(&cancel), listeners: vec![listener] };
        self.calls.insert(call.to_owned(), running);
        self.running += 1;
        Ok(cancel)
    }

    fn remember(&mut self, call: &str, outcome: &Arc<Outcome>, span: Span) {
        if span.length <= RECENT_LENGTH {
            self.recent.push_back((call.to_owned(), Arc::clone(outcome)));
            self.recent.drain(..self.recent.len().saturating_sub(RECENT));
        }
    }

    fn recall(&self, call: &str) -> Option<Arc<Outcome>> {
        self.recent.iter().find(|(id, _)| id == call).map(|(_, outcome)| Arc::clone(outcome))
    }
}

fn unreadable(error: std::io::Error) -> Denied {
    Denied::Refused(format!("a recorded outcome cannot be read: {error}"))
}

#[cfg(test)]
mod tests;

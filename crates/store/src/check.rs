//! Whether what a store keeps is in itself true: dense logs that fold to what their headers say.

use std::collections::BTreeSet;
use std::sync::Arc;

use session::{Row, State, Stored, Summary};
use wire::event::Event;
use wire::{EventId, SessionId};

use crate::{Record, Result, Store};

/// What was looked at, and what is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    pub documents: u64,
    pub sessions: u64,
    pub rows: u64,
    pub blobs: u64,
    pub faults: Vec<String>,
}

/// Records read at a time.
const PART: usize = 1_000;

/// Faults told; more would not help anybody.
const TOLD: usize = 100;

/// Reads all of it. `progress` is told of the report so far, now and then.
pub async fn check(store: &dyn Store, progress: impl Fn(&Report)) -> Result<Report> {
    let mut report = Report { faults: store.faults().await?, ..Report::default() };
    let mut log: Option<Log> = None;
    let mut after = None;
    loop {
        let part = store.part(after, PART).await?;
        for record in part.records {
            match record {
                Record::Session { session, head, runnable, summary, .. } => {
                    end(log.take(), &mut report);
                    report.sessions += 1;
                    log = Some(Log::new(session, head, runnable, summary));
                }
                Record::Row { session, row } => {
                    report.rows += 1;
                    match &mut log {
                        Some(log) if log.session == session => log.take(&row),
                        _ => fault(&mut report, format!("row {} of {session} has no session", row.position)),
                    }
                }
                Record::Document(_) => report.documents += 1,
                Record::Blob { .. } => report.blobs += 1,
                Record::Covered { .. } | Record::Answer(_) | Record::Item(_) | Record::Setting { .. } => {}
            }
        }
        progress(&report);
        after = part.next;
        if after.is_none() {
            end(log.take(), &mut report);
            return Ok(report);
        }
    }
}

fn fault(report: &mut Report, fault: String) {
    if report.faults.len() < TOLD {
        report.faults.push(fault);
    }
}

fn end(log: Option<Log>, report: &mut Report) {
    let Some(log) = log else { return };
    let session = log.session;
    log.end().into_iter().for_each(|reason| fault(report, format!("{session}: {reason}")));
}

/// One session's log, while its rows go by.
struct Log {
    session: SessionId,
    head: u64,
    runnable: bool,
    summary: Summary,
    state: Option<State>,
    ids: BTreeSet<EventId>,
    fault: Option<String>,
}

impl Log {
    fn new(session: SessionId, head: u64, runnable: bool, summary: Summary) -> Self {
        Self { session, head, runnable, summary, state: None, ids: BTreeSet::new(), fault: None }
    }

    /// After the first fault the rest of the log means nothing.
    fn take(&mut self, stored: &Stored) {
        if self.fault.is_none() {
            self.fault = self.fold(stored).err();
        }
    }

    fn fold(&mut self, stored: &Stored) -> std::result::Result<(), String> {
        let expected = self.state.as_ref().map_or(1, |state| state.head + 1);
        if stored.position != expected {
            return Err(format!("row {expected} is missing: {} follows", stored.position));
        }
        let waiting = |position| -> Option<Arc<Event>> { self.state.as_ref()?.waiting(position) };
        let row = Row::load(stored, waiting).map_err(|error| error.to_string())?;
        let repeats = matches!(row.entry, session::Entry::Processed { .. });
        if !repeats && !self.ids.insert(row.id) {
            return Err(format!("row {expected} has the id {} of an earlier one", row.id));
        }
        match &mut self.state {
            Some(state) => state.fold(&row),
            None => {
                let state = State::begin(&row).ok_or("the log does not begin with the session's creation")?;
                self.state = Some(state);
            }
        }
        Ok(())
    }

    fn end(self) -> Option<String> {
        if self.fault.is_some() {
            return self.fault;
        }
        let Some(state) = self.state else { return Some("the log has no rows".into()) };
        if state.head != self.head {
            return Some(format!("its header says {} rows, and there are {}", self.head, state.head));
        }
        if state.summary() != self.summary {
            return Some("its summary is not what its log folds to".into());
        }
        (state.is_runnable() != self.runnable).then(|| "its header is wrong about whether there is work".into())
    }
}

//! What must be true, whatever happened.

use std::collections::{BTreeMap, BTreeSet};

use hands::Address;
use parking_lot::Mutex;
use session::{Entry, Note, Row, State};
use store::volatile::Volatile;
use store::{Appended, SessionLog};
use wire::session::Status;
use wire::{Event, EventId, SessionId};

use crate::boxes::Files;

/// Everything that was seen from outside while the run went on.
#[derive(Default)]
pub struct Audit {
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Events that a client was told have entered.
    acknowledged: BTreeMap<SessionId, BTreeSet<EventId>>,
    /// The epochs of brains' appends, by the position behind which they stand.
    epochs: BTreeMap<SessionId, Vec<(u64, u64)>>,
    /// How often each call was started, over all sandboxes of all homes.
    starts: BTreeMap<String, (String, u32)>,
    /// What each incarnation began with, and what calls have left in it since.
    begun: BTreeMap<String, Files>,
    left: BTreeMap<String, Files>,
    rests: usize,
}

/// How often things were done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Calls that were started.
    pub calls: usize,
    /// Events that a client was told have entered.
    pub acknowledged: usize,
    /// Sandboxes that were put away.
    pub rests: usize,
}

impl Audit {
    pub(crate) fn acknowledged(&self, session: SessionId, events: impl IntoIterator<Item = EventId>) {
        self.seen.lock().acknowledged.entry(session).or_default().extend(events);
    }

    pub(crate) fn appended_by_brain(&self, session: SessionId, from: u64, appended: Appended) {
        self.seen.lock().epochs.entry(session).or_default().push((from, appended.epoch));
    }

    pub(crate) fn started(&self, call: &str, tool: &str) {
        self.seen.lock().starts.entry(call.to_owned()).or_insert_with(|| (tool.to_owned(), 0)).1 += 1;
    }

    pub(crate) fn born(&self, incarnation: &str, files: &Files) {
        self.seen.lock().begun.insert(incarnation.to_owned(), files.clone());
    }

    pub(crate) fn left(&self, incarnation: &str, call: &str) {
        self.seen.lock().left.entry(incarnation.to_owned()).or_default().insert(call.to_owned());
    }

    pub(crate) fn rested(&self) {
        self.seen.lock().rests += 1;
    }

    pub(crate) fn totals(&self) -> Totals {
        let seen = self.seen.lock();
        let acknowledged = seen.acknowledged.values().map(BTreeSet::len).sum();
        Totals { calls: seen.starts.len(), acknowledged, rests: seen.rests }
    }

    /// What is wrong; empty if nothing.
    pub(crate) async fn faults(&self, store: &Volatile, sessions: &[SessionId]) -> Vec<String> {
        let mut faults = Vec::new();
        match store::check(store, |_| {}).await {
            Ok(report) => faults.extend(report.faults),
            Err(error) => faults.push(format!("the store cannot be read: {error}")),
        }
        for session in sessions {
            match read(store, *session).await {
                Ok((state, rows)) => faults.extend(
                    of_log(&state, &rows)
                        .into_iter()
                        .chain(self.of_session(*session, &rows))
                        .map(|fault| format!("{session}: {fault}")),
                ),
                Err(fault) => faults.push(format!("{session}: {fault}")),
            }
        }
        let seen = self.seen.lock();
        let twice = seen.starts.iter().filter(|(_, (tool, starts))| *starts > 1 && !tools::is_repeatable(tool));
        faults.extend(twice.map(|(call, (_, starts))| format!("the call {call} was started {starts} times")));
        faults
    }

    fn of_session(&self, session: SessionId, rows: &[Row]) -> Vec<String> {
        let mut faults = Vec::new();
        let seen = self.seen.lock();
        let ids: BTreeSet<EventId> = rows.iter().map(|row| row.id).collect();
        let acknowledged = seen.acknowledged.get(&session).into_iter().flatten();
        faults.extend(
            acknowledged
                .filter(|id| !ids.contains(id))
                .map(|id| format!("the event {id} was acknowledged and is lost")),
        );
        let epochs = seen.epochs.get(&session).map(Vec::as_slice).unwrap_or_default();
        let mut ordered = epochs.to_vec();
        ordered.sort_by_key(|(from, _)| *from);
        let mixed = ordered.windows(2).find(|pair| matches!(pair, [(_, one), (_, other)] if other < one));
        faults.extend(mixed.map(|pair| format!("epochs are mixed: {pair:?}")));
        faults.extend(seen.missing(rows));
        faults
    }
}

impl Seen {
    /// Files that are not in a sandbox which the log has follow another, without a word that anything was lost.
    fn missing(&self, rows: &[Row]) -> Vec<String> {
        let mut faults = Vec::new();
        let mut before: Option<String> = None;
        for row in rows {
            let Entry::Note(note) = &row.entry else { continue };
            match note {
                Note::HandLost { .. } => before = None,
                Note::HandProvisioned { address } => {
                    let Ok(address) = serde_json::from_str::<Address>(address) else { continue };
                    let of = |all: &BTreeMap<String, Files>, one: &str| all.get(one).cloned().unwrap_or_default();
                    let begun = of(&self.begun, &address.incarnation);
                    if let Some(before) = before {
                        let mut files = of(&self.begun, &before);
                        files.extend(of(&self.left, &before));
                        let missing = files.difference(&begun).count();
                        if missing > 0 {
                            faults.push(format!("{missing} files of {before} are not in {}", address.incarnation));
                        }
                    }
                    before = Some(address.incarnation);
                }
                _ => {}
            }
        }
        faults
    }
}

/// The log, and what it folds to.
pub(crate) async fn read(store: &Volatile, session: SessionId) -> Result<(State, Vec<Row>), String> {
    let stored = store.rows(session, 0, usize::MAX).await.map_err(|error| error.to_string())?;
    let mut state: Option<State> = None;
    let mut rows = Vec::with_capacity(stored.len());
    for stored in &stored {
        let waiting = |position| state.as_ref().and_then(|state| state.waiting(position));
        let row = Row::load(stored, waiting).map_err(|error| error.to_string())?;
        match &mut state {
            Some(state) => state.fold(&row),
            None => state = State::begin(&row),
        }
        rows.push(row);
    }
    state.map(|state| (state, rows)).ok_or_else(|| "the log has no beginning".into())
}

/// What must be true of any log that has come to rest.
fn of_log(state: &State, rows: &[Row]) -> Vec<String> {
    let mut faults = Vec::new();
    if !matches!(state.status, Status::Idle | Status::Terminated) {
        faults.push(format!("it does not come to rest: it is {}", state.status.name()));
    }
    let mut results: BTreeMap<EventId, u32> = BTreeMap::new();
    let mut uses = Vec::new();
    let mut open_spans = 0;
    let mut before = "";
    for row in rows {
        let Entry::Event { event, .. } = &row.entry else { continue };
        match &**event {
            Event::AgentToolUse { .. } | Event::AgentCustomToolUse { .. } => uses.push(row.id),
            Event::AgentToolResult { tool_use_id, .. } => *results.entry(*tool_use_id).or_default() += 1,
            Event::UserCustomToolResult { custom_tool_use_id, .. } => {
                *results.entry(*custom_tool_use_id).or_default() += 1;
            }
            Event::SpanModelRequestStart {} => open_spans += 1,
            Event::SpanModelRequestEnd { .. } => open_spans -= 1,
            Event::SessionStatusIdle { .. } if before != "session.usage" => {
                faults.push(format!("row {} is idle without a usage before it", row.position));
            }
            _ => {}
        }
        if !(0..=1).contains(&open_spans) {
            faults.push(format!("{open_spans} spans are open at row {}", row.position));
        }
        before = event.kind();
    }
    let asked: BTreeSet<EventId> = state.threads.values().flat_map(session::Thread::asked).collect();
    for call in uses {
        let answers = results.get(&call).copied().unwrap_or(0);
        if answers != 1 && !asked.contains(&call) {
            faults.push(format!("the call {call} has {answers} results"));
        }
    }
    faults
}

//! What must be true, whatever happened.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use session::{Entry, Row, State};
use store::volatile::Volatile;
use store::{Appended, SessionLog};
use wire::session::Status;
use wire::{Event, EventId, SessionId};

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

    /// How many calls were started, and how many events were acknowledged.
    pub(crate) fn totals(&self) -> (usize, usize) {
        let seen = self.seen.lock();
        (seen.starts.len(), seen.acknowledged.values().map(BTreeSet::len).sum())
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

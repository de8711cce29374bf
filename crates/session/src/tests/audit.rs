//! What holds of every log, whatever happened: read row by row, by someone who knows nothing else.

use std::collections::BTreeMap;

use wire::EventId;
use wire::event::{Event, StopReason};

use super::play::Play;
use crate::{Cost, Entry, Note, Phase, Row, State, Thread};

#[derive(Default)]
pub(super) struct Audit {
    /// Before the next row; none before the first.
    state: Option<State>,
    /// The kind of the event in the row before; empty if there is none in it.
    before: &'static str,
    /// The request that is open.
    span: Option<EventId>,
    /// Whether the turn has a message to answer.
    asked: bool,
    /// How many results each call has.
    results: BTreeMap<EventId, usize>,
    /// The position of the last input that was taken up, interrupts apart.
    taken_up: u64,
    read: usize,
}

impl Audit {
    /// Reads on to the end of the log.
    pub(super) fn reads(&mut self, log: &[Row]) {
        while let Some(row) = log.get(self.read) {
            self.read += 1;
            let Some(mut state) = self.state.take() else {
                self.state = State::begin(row);
                assert!(self.state.is_some(), "the log begins with the creation");
                continue;
            };
            let next = log.get(self.read).map(|row| &row.entry);
            let compacts = matches!(next, Some(Entry::Note(Note::Compacting)));
            self.row(&state, row, compacts);
            let row = Row::load(&row.store(), |of| state.waiting(of)).unwrap();
            state.fold(&row);
            self.state = Some(state);
        }
    }

    /// The log that was read is that of the play.
    pub(super) fn ends(&self, play: &Play) {
        assert_eq!(self.span, play.thread().span(), "the open request is the one that the state knows of");
        assert_eq!(self.state.as_ref(), Some(&play.state), "the log alone makes the state");
    }

    fn row(&mut self, state: &State, row: &Row, compacts: bool) {
        let before = std::mem::take(&mut self.before);
        match &row.entry {
            Entry::Event { event, .. } => {
                self.before = event.kind();
                self.event(state, row, event, before, compacts);
            }
            Entry::Processed { event, .. } if event.kind() == "user.interrupt" => {}
            Entry::Processed { of, event } => {
                assert!(*of > self.taken_up, "inputs are taken up in the order in which they came");
                self.taken_up = *of;
                self.asked |= event.kind() == "user.message";
            }
            Entry::Note(Note::Compacting) => {
                assert_eq!(before, "span.model_request_start", "a span is told to be a compaction's as it begins");
            }
            Entry::Note(Note::Cleared { before }) => cleared(primary(state), *before),
            Entry::Arrival { .. } | Entry::Note(_) => {}
        }
    }

    fn event(&mut self, state: &State, row: &Row, event: &Event, before: &str, compacts: bool) {
        match event {
            Event::ThreadStatusIdle { stop_reason, .. } => {
                let goes_on = matches!(stop_reason, StopReason::RequiresAction { .. } | StopReason::BudgetReached);
                self.asked &= goes_on;
            }
            Event::SessionUsage { budget, .. } => {
                assert_eq!(before, "session.thread_status_idle", "the thread stops before the usage is told");
                assert_eq!(*budget, state.budget.map(Cost::budget), "the budget is told with the usage");
            }
            Event::SessionStatusIdle { stop_reason, .. } => {
                assert_eq!(before, "session.usage", "usage is told right before idle");
                self.idle(state, stop_reason);
            }
            Event::SpanModelRequestStart {} => {
                assert_eq!(self.span, None, "one request at a time");
                assert!(!state.is_over_budget(), "nothing is asked over budget");
                assert!(self.asked || compacts, "no turn begins without a message");
                self.span = Some(row.id);
            }
            Event::SpanModelRequestEnd { model_request_start_id, .. } => {
                assert_eq!(self.span.take(), Some(*model_request_start_id), "a request ends once");
            }
            Event::AgentThreadContextCompacted {} => {
                assert!(matches!(primary(state).phase, Phase::Compacting(_)), "only a summary compacts");
            }
            Event::AgentToolUse { .. } | Event::AgentCustomToolUse { .. } => {
                assert_eq!(self.results.insert(row.id, 0), None, "a call is made once");
            }
            Event::AgentToolResult { tool_use_id: of, .. }
            | Event::UserToolResult { tool_use_id: of, .. }
            | Event::UserCustomToolResult { custom_tool_use_id: of, .. } => {
                assert_eq!(self.results.insert(*of, 1), Some(0), "no call has two results");
            }
            _ => {}
        }
    }

    fn idle(&self, state: &State, stop_reason: &StopReason) {
        if let StopReason::RequiresAction { event_ids } = stop_reason {
            assert!(!event_ids.is_empty(), "a session that waits waits for something");
            assert_eq!(*event_ids, primary(state).asked(), "every call that waits for a client is named");
            return;
        }
        assert!(self.results.values().all(|count| *count == 1), "every call has its result");
        let is_held = *stop_reason == StopReason::BudgetReached;
        assert_eq!(is_held, state.is_at_cap(), "the budget is the reason whenever it is reached");
    }
}

fn cleared(thread: &Thread, before: u64) {
    assert!(thread.results.front().is_some_and(|oldest| *oldest < before), "something is forgotten");
    let mut unseen = thread.results.iter().filter(|position| **position > thread.seen_to);
    assert!(unseen.all(|position| *position >= before), "nothing is forgotten that the model has not seen");
}

fn primary(state: &State) -> &Thread {
    &state.threads[&state.primary]
}

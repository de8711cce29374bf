//! Writing rows: each is stamped, kept, and folded at once, so that the next decision already sees it.

use std::sync::Arc;

use wire::event::{Event, ModelUsage, StopDetails, StopReason};
use wire::{EventId, ThreadId, Timestamp};

use crate::row::{Entry, Hidden, Note, Row};
use crate::state::{Phase, State, Waiting};
use crate::totals::{Cost, Tokens};

/// Where time and ids come from.
pub trait Stamp {
    fn now(&self) -> Timestamp;
    fn event_id(&mut self) -> EventId;
}

pub(crate) struct Writer<'a> {
    pub(crate) state: State,
    rows: Vec<Row>,
    stamp: &'a mut dyn Stamp,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(state: &State, stamp: &'a mut dyn Stamp) -> Self {
        Self { state: state.clone(), rows: Vec::new(), stamp }
    }

    pub(crate) fn rows(self) -> Vec<Row> {
        self.rows
    }

    pub(crate) fn event(&mut self, thread: ThreadId, event: Event) {
        let id = self.stamp.event_id();
        self.hidden_event(thread, id, event, None);
    }

    pub(crate) fn hidden_event(&mut self, thread: ThreadId, id: EventId, event: Event, hidden: Option<Hidden>) {
        self.push(thread, id, Entry::Event { event: Arc::new(event), hidden });
    }

    pub(crate) fn arrival(&mut self, thread: ThreadId, event: Event) {
        let id = self.stamp.event_id();
        self.push(thread, id, Entry::Arrival { event: Arc::new(event) });
    }

    pub(crate) fn processed(&mut self, thread: ThreadId, waiting: Waiting) {
        self.push(thread, waiting.id, Entry::Processed { of: waiting.position, event: waiting.event });
    }

    pub(crate) fn note(&mut self, thread: ThreadId, note: Note) {
        let id = self.stamp.event_id();
        self.push(thread, id, Entry::Note(note));
    }

    /// The session and the thread run.
    pub(crate) fn running(&mut self, thread: ThreadId) {
        let agent_name = self.agent_name(thread);
        self.event(thread, Event::SessionStatusRunning {});
        self.event(thread, Event::ThreadStatusRunning { session_thread_id: thread, agent_name });
    }

    /// The session and the thread will try again.
    pub(crate) fn rescheduled(&mut self, thread: ThreadId) {
        let agent_name = self.agent_name(thread);
        self.event(thread, Event::SessionStatusRescheduled {});
        self.event(thread, Event::ThreadStatusRescheduled { session_thread_id: thread, agent_name });
    }

    /// The thread stops, the usage is told, the session stops: always in this order, always together. Over budget, that
    /// is why the session stops, whatever the thread says; only a call that waits for a client comes before it.
    pub(crate) fn idle(&mut self, thread: ThreadId, stop_reason: StopReason, stop_details: Option<StopDetails>) {
        let agent_name = self.agent_name(thread);
        let stopped = Event::ThreadStatusIdle {
            session_thread_id: thread,
            agent_name,
            stop_reason: stop_reason.clone(),
            stop_details: stop_details.clone(),
        };
        self.event(thread, stopped);
        let usage = self.state.totals.usage(self.state.active_ms(self.stamp.now()));
        self.event(thread, Event::SessionUsage { usage, budget: self.state.budget.map(Cost::budget) });
        let waits = matches!(stop_reason, StopReason::RequiresAction { .. });
        let idle = if self.state.is_over_budget() && !waits {
            Event::SessionStatusIdle { stop_reason: StopReason::BudgetReached, stop_details: None }
        } else {
            Event::SessionStatusIdle { stop_reason, stop_details }
        };
        self.event(thread, idle);
    }

    /// Messages that came while a turn was ending start the next one, if the budget allows it.
    pub(crate) fn start_queued(&mut self, thread: ThreadId) {
        let queued = self.state.threads.get(&thread).is_some_and(|thread| thread.has_message());
        if queued && !self.state.is_at_cap() {
            self.running(thread);
        }
    }

    /// The request of this span ends without what it was made for.
    pub(crate) fn unanswered(&mut self, thread: ThreadId, span: EventId) {
        let model_usage = ModelUsage::default();
        self.event(thread, Event::SpanModelRequestEnd { model_request_start_id: span, is_error: true, model_usage });
    }

    /// The request of this span ends with what it was made for.
    pub(crate) fn answered(
        &mut self,
        thread: ThreadId,
        span: EventId,
        model: String,
        tokens: Tokens,
        cost: Option<Cost>,
    ) {
        let model_usage = tokens.model_usage();
        let end = Event::SpanModelRequestEnd { model_request_start_id: span, is_error: false, model_usage };
        let id = self.mint();
        self.hidden_event(thread, id, end, Some(Hidden::Request { model, tokens, cost }));
    }

    pub(crate) fn mint(&mut self) -> EventId {
        self.stamp.event_id()
    }

    /// The turn goes on with what was queued while the model answered.
    pub(crate) fn continue_turn(&mut self, thread: ThreadId) {
        if let Some(thread) = self.state.threads.get_mut(&thread) {
            thread.phase = Phase::Due;
        }
    }

    fn agent_name(&self, thread: ThreadId) -> String {
        self.state.threads.get(&thread).map(|thread| thread.agent_name.clone()).unwrap_or_default()
    }

    fn push(&mut self, thread: ThreadId, id: EventId, entry: Entry) {
        let row = Row { position: self.state.head + 1, id, thread, at: self.stamp.now(), entry };
        self.state.fold(&row);
        self.rows.push(row);
    }
}

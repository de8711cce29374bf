//! Reading rows into the state.

use std::sync::Arc;

use wire::Timestamp;
use wire::event::{Event, Permission, StopReason, Verdict};
use wire::session::Status;

use super::{Call, CallState, Phase, State, Thread, Waiting};
use crate::row::{Entry, Hidden, Note, Row};
use crate::totals::Cost;

impl State {
    /// Reads one more row. Rows must come in order, without a gap.
    pub fn fold(&mut self, row: &Row) {
        debug_assert_eq!(row.position, self.head + 1, "rows are folded in order");
        self.head = row.position;
        self.updated_at = row.at;
        match &row.entry {
            Entry::Event { event, hidden } => self.fold_event(row, event, hidden.as_ref()),
            Entry::Arrival { event } => {
                if let Some(thread) = self.threads.get_mut(&row.thread) {
                    let waiting = Waiting { position: row.position, id: row.id, event: event.clone() };
                    match **event {
                        Event::UserInterrupt { .. } => thread.interrupts.push_back(waiting),
                        _ => thread.inputs.push_back(waiting),
                    }
                }
            }
            Entry::Processed { of, event } => {
                if let Some(thread) = self.threads.get_mut(&row.thread) {
                    thread.inputs.retain(|waiting| waiting.position != *of);
                    thread.interrupts.retain(|waiting| waiting.position != *of);
                    if let Event::SystemMessage { .. } = **event {
                        thread.instructions.hold(row.position, event.clone());
                    }
                }
            }
            Entry::Note(note) => self.fold_note(row, note),
        }
    }

    fn fold_note(&mut self, row: &Row, note: &Note) {
        match note {
            Note::HandProvisioned { address } => self.hand = Some(address.as_str().into()),
            Note::HandLost { .. } => self.hand = None,
            Note::Spent { tokens, cost, .. } => self.totals.add(tokens, *cost),
            Note::WorkQueued { work } => self.work = Some(*work),
            Note::WorkEnded { work } => {
                self.work.take_if(|known| *known == *work);
            }
            _ => {
                if let Some(thread) = self.threads.get_mut(&row.thread) {
                    thread.fold_note(note);
                }
            }
        }
    }

    fn fold_event(&mut self, row: &Row, event: &Event, hidden: Option<&Hidden>) {
        match event {
            Event::SessionStatusRunning {} => self.set_status(Status::Running, row.at),
            Event::SessionStatusIdle { .. } => self.set_status(Status::Idle, row.at),
            Event::SessionStatusRescheduled {} => self.set_status(Status::Rescheduling, row.at),
            Event::SessionStatusTerminated {} => self.set_status(Status::Terminated, row.at),
            Event::SessionUpdated { budget: Some(budget), .. } => {
                // More than can be counted is more than can be spent.
                self.budget = budget.as_ref().map(|budget| Cost::of_budget(budget).unwrap_or(Cost(u64::MAX)));
            }
            _ => {}
        }
        if let (Event::SpanModelRequestEnd { is_error: false, .. }, Some(Hidden::Request { tokens, cost, .. })) =
            (event, hidden)
        {
            self.totals.add(tokens, *cost);
        }
        let allowed = if self.is_self_hosted { CallState::Elsewhere } else { CallState::Ready };
        if let Some(thread) = self.threads.get_mut(&row.thread) {
            thread.fold_event(row, event, hidden, allowed);
        }
    }

    fn set_status(&mut self, status: Status, at: Timestamp) {
        if let Some(since) = self.running_since.take() {
            self.active_ms += at.since(since);
        }
        if status == Status::Running {
            self.running_since = Some(at);
        }
        self.status = status;
    }
}

impl Thread {
    fn fold_note(&mut self, note: &Note) {
        match note {
            Note::RetryAt { until } => self.phase = Phase::Backing(*until),
            Note::TurnEnding { stop, details } => {
                self.phase = Phase::Ending { stop: stop.clone(), details: details.clone() };
            }
            Note::Compacting => {
                if let Phase::Asking(span) = self.phase {
                    self.phase = Phase::Compacting(span);
                }
            }
            Note::Overflowed => {
                self.context_tokens = u64::MAX;
                // The provider did answer, if only that this is too much: asking again at once is no retry.
                self.attempts = 0;
            }
            Note::Halved => {
                self.halvings += 1;
                self.attempts = 0;
            }
            Note::Cleared { before } => {
                self.results.retain(|position| position >= before);
                self.context_tokens = 0;
            }
            Note::Created { .. }
            | Note::HandProvisioned { .. }
            | Note::HandLost { .. }
            | Note::Spent { .. }
            | Note::WorkQueued { .. }
            | Note::WorkEnded { .. } => {}
        }
    }

    /// `allowed` is what becomes of a built-in call that may run.
    fn fold_event(&mut self, row: &Row, event: &Event, hidden: Option<&Hidden>, allowed: CallState) {
        match event {
            Event::ThreadStatusRunning { .. } => self.run(row.position),
            Event::ThreadStatusIdle { stop_reason, .. } => {
                self.status = Status::Idle;
                match stop_reason {
                    StopReason::RequiresAction { .. } => {}
                    StopReason::BudgetReached => self.phase = Phase::Paused,
                    _ => self.phase = Phase::Resting,
                }
            }
            Event::ThreadStatusRescheduled { .. } => self.status = Status::Rescheduling,
            Event::ThreadStatusTerminated { .. } => self.status = Status::Terminated,
            Event::SpanModelRequestStart {} => {
                self.asked_at = row.position;
                self.phase = Phase::Asking(row.id);
            }
            Event::SpanModelRequestEnd { is_error, .. } => self.end_request(row, *is_error, hidden),
            Event::AgentThreadContextCompacted {} => self.compact(row.position, hidden),
            Event::AgentThinking {} | Event::AgentMessage { .. } => self.speak(),
            Event::AgentToolUse { name, input, evaluated_permission, .. } => {
                let state = match (refusal(hidden), evaluated_permission) {
                    (Some(refusal), _) => CallState::Refused(refusal),
                    (None, Permission::Allow) => allowed,
                    (None, Permission::Ask) => CallState::Asked,
                    (None, Permission::Deny) => {
                        CallState::Refused(format!("Permission to use {name} has been denied."))
                    }
                };
                let (name, input) = (name.clone(), Arc::new(input.clone()));
                self.call(Call { id: row.id, name, input, custom: false, state });
            }
            Event::AgentCustomToolUse { name, input } => {
                let state = refusal(hidden).map_or(CallState::Asked, CallState::Refused);
                let (name, input) = (name.clone(), Arc::new(input.clone()));
                self.call(Call { id: row.id, name, input, custom: true, state });
            }
            Event::UserToolConfirmation { tool_use_id, result, deny_message } => {
                if let Some(call) = self.calls.iter_mut().find(|call| call.id == *tool_use_id) {
                    call.state = match result {
                        Verdict::Allow => allowed,
                        Verdict::Deny => CallState::Refused(denial(&call.name, deny_message.as_deref())),
                    };
                }
            }
            Event::AgentToolResult { tool_use_id: id, .. }
            | Event::UserToolResult { tool_use_id: id, .. }
            | Event::UserCustomToolResult { custom_tool_use_id: id, .. } => {
                self.results.push_back(row.position);
                if let Some(call) = self.calls.iter_mut().find(|call| call.id == *id) {
                    call.state = CallState::Settled;
                }
                if self.phase == Phase::Acting && self.calls.iter().all(|call| call.state == CallState::Settled) {
                    self.calls.clear();
                    self.phase = Phase::Due;
                }
            }
            _ => {}
        }
    }

    fn run(&mut self, position: u64) {
        self.status = Status::Running;
        match self.phase {
            Phase::Resting => {
                self.phase = Phase::Due;
                self.begun_at = position;
                self.rounds = 0;
                self.attempts = 0;
                self.compactions = 0;
                self.halvings = 0;
            }
            // The turn goes on where it stopped.
            Phase::Backing(_) | Phase::Paused => self.phase = Phase::Due,
            _ => {}
        }
    }

    fn end_request(&mut self, row: &Row, is_error: bool, hidden: Option<&Hidden>) {
        if is_error {
            self.attempts += 1;
            self.phase = Phase::Due;
            return;
        }
        self.attempts = 0;
        if matches!(self.phase, Phase::Compacting(_)) {
            self.phase = Phase::Due;
            return;
        }
        self.rounds += u32::from(!self.calls.is_empty());
        // An answer without a word answers nothing.
        if self.seen_from == self.asked_at {
            self.seen_to = row.position;
        }
        if let Some(Hidden::Request { tokens, .. }) = hidden {
            self.context_tokens = tokens.held();
        }
        self.phase = Phase::Acting;
    }

    fn compact(&mut self, position: u64, hidden: Option<&Hidden>) {
        let (holds, keeps) = match hidden {
            Some(Hidden::Compacted { system, keeps, .. }) => (!system.is_empty(), *keeps),
            _ => (false, false),
        };
        if keeps {
            let seen_to = self.seen_to;
            self.results.retain(|result| *result > seen_to);
            self.view_from = self.seen_from;
        } else {
            self.results.clear();
            self.view_from = position;
        }
        if !keeps && !holds {
            // Whatever there was is left to the summary's words.
            self.instructions.forget();
        }
        self.compacted_at = position;
        self.context_tokens = 0;
        self.compactions += 1;
        self.halvings = 0;
    }

    /// The model has something to say.
    fn speak(&mut self) {
        self.seen_from = self.asked_at;
        self.compactions = 0;
    }

    fn call(&mut self, call: Call) {
        self.speak();
        self.calls.push(call);
    }
}

fn refusal(hidden: Option<&Hidden>) -> Option<String> {
    match hidden {
        Some(Hidden::ToolUse { refusal, .. }) => refusal.clone(),
        _ => None,
    }
}

fn denial(tool: &str, message: Option<&str>) -> String {
    match message {
        Some(message) if !message.is_empty() => format!("The user rejected this call to {tool}, saying: {message}"),
        _ => format!("The user rejected this call to {tool}."),
    }
}

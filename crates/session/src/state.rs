//! What a session is, folded from its log.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wire::event::{Event, Permission, StopDetails, StopReason, Verdict};
use wire::session::Status;
use wire::{EventId, ThreadId, Timestamp};

use crate::row::{Entry, Hidden, Note, Row};
use crate::totals::Totals;

/// The session header and its threads.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The position of the last row that was folded.
    pub head: u64,
    pub status: Status,
    pub primary: ThreadId,
    pub threads: BTreeMap<ThreadId, Thread>,
    pub totals: Totals,
    /// The live sandbox's address, as the hands wrote it.
    pub hand: Option<Arc<str>>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    active_ms: u64,
    running_since: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Thread {
    pub agent_name: String,
    pub status: Status,
    pub phase: Phase,
    /// Messages that no request has carried yet, oldest first.
    pub inputs: VecDeque<Waiting>,
    pub interrupts: VecDeque<Waiting>,
    /// The calls of the last answer, in its order. Empty once all are settled.
    pub calls: Vec<Call>,
    /// Answers with tool calls since the turn began.
    pub rounds: u32,
    /// Requests that failed since the last one that was answered.
    pub attempts: u32,
}

/// An input that the brain has not taken up yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    pub position: u64,
    pub id: EventId,
    pub event: Arc<Event>,
}

/// Where a thread is in its turn.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// No turn is under way.
    Resting,
    /// The model is to be asked next.
    Due,
    /// The model has been asked; the span with this id is open.
    Asking(EventId),
    /// Calls are to be run, or waited for.
    Acting,
    /// The model has ended its turn.
    Ending { stop: StopReason, details: Option<StopDetails> },
    /// The model failed, and is to be asked again then.
    Backing(Timestamp),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The id of the tool-use event.
    pub id: EventId,
    pub name: String,
    pub input: Arc<Map<String, Value>>,
    /// Answered by a client, not by a hand.
    pub custom: bool,
    pub state: CallState,
}

#[derive(Debug, Clone, PartialEq)]
pub enum CallState {
    /// May run.
    Ready,
    /// Waits for a client: a confirmation, or the result of a custom tool.
    Asked,
    /// Must not run; the model is told this.
    Refused(String),
    /// Its result is in the log.
    Settled,
}

/// What lists of sessions show and filter on without reading logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub status: Status,
    pub totals: Totals,
    pub active_ms: u64,
    pub running_since: Option<Timestamp>,
    pub updated_at: Timestamp,
    pub thread: Option<ThreadId>,
}

impl Summary {
    pub fn active_ms(&self, now: Timestamp) -> u64 {
        self.active_ms + self.running_since.map_or(0, |since| now.since(since))
    }
}

impl State {
    /// Folds the first row, which must be [`Note::Created`].
    pub fn begin(row: &Row) -> Option<Self> {
        let Entry::Note(Note::Created { agent_name }) = &row.entry else { return None };
        let thread = Thread {
            agent_name: agent_name.clone(),
            status: Status::Idle,
            phase: Phase::Resting,
            inputs: VecDeque::new(),
            interrupts: VecDeque::new(),
            calls: Vec::new(),
            rounds: 0,
            attempts: 0,
        };
        Some(Self {
            head: row.position,
            status: Status::Idle,
            primary: row.thread,
            threads: BTreeMap::from([(row.thread, thread)]),
            totals: Totals::default(),
            hand: None,
            created_at: row.at,
            updated_at: row.at,
            active_ms: 0,
            running_since: None,
        })
    }

    pub fn summary(&self) -> Summary {
        Summary {
            status: self.status,
            totals: self.totals,
            active_ms: self.active_ms,
            running_since: self.running_since,
            updated_at: self.updated_at,
            thread: Some(self.primary),
        }
    }

    /// Whether a brain has something to do.
    pub fn is_runnable(&self) -> bool {
        matches!(self.status, Status::Running | Status::Rescheduling)
    }

    pub fn active_ms(&self, now: Timestamp) -> u64 {
        self.summary().active_ms(now)
    }

    /// The event that waits at this position.
    pub fn waiting(&self, position: u64) -> Option<Arc<Event>> {
        let threads = self.threads.values();
        let mut waiting = threads.flat_map(|thread| thread.inputs.iter().chain(&thread.interrupts));
        waiting.find(|waiting| waiting.position == position).map(|waiting| waiting.event.clone())
    }

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
            Entry::Processed { of, .. } => {
                if let Some(thread) = self.threads.get_mut(&row.thread) {
                    thread.inputs.retain(|waiting| waiting.position != *of);
                    thread.interrupts.retain(|waiting| waiting.position != *of);
                }
            }
            Entry::Note(note) => self.fold_note(row, note),
        }
    }

    fn fold_note(&mut self, row: &Row, note: &Note) {
        match note {
            Note::Created { .. } => {}
            Note::HandProvisioned { address } => self.hand = Some(address.as_str().into()),
            Note::HandLost { .. } => self.hand = None,
            Note::RetryAt { until } => {
                if let Some(thread) = self.threads.get_mut(&row.thread) {
                    thread.phase = Phase::Backing(*until);
                }
            }
            Note::TurnEnding { stop, details } => {
                if let Some(thread) = self.threads.get_mut(&row.thread) {
                    thread.phase = Phase::Ending { stop: stop.clone(), details: details.clone() };
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
            _ => {}
        }
        if let (Event::SpanModelRequestEnd { is_error: false, .. }, Some(Hidden::Request { tokens, cost, .. })) =
            (event, hidden)
        {
            self.totals.add(tokens, *cost);
        }
        if let Some(thread) = self.threads.get_mut(&row.thread) {
            thread.fold_event(row, event, hidden);
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
    /// The calls that wait for a client, in order.
    pub fn asked(&self) -> Vec<EventId> {
        self.calls.iter().filter(|call| call.state == CallState::Asked).map(|call| call.id).collect()
    }

    fn fold_event(&mut self, row: &Row, event: &Event, hidden: Option<&Hidden>) {
        match event {
            Event::ThreadStatusRunning { .. } => {
                self.status = Status::Running;
                match self.phase {
                    Phase::Resting => {
                        self.phase = Phase::Due;
                        self.rounds = 0;
                        self.attempts = 0;
                    }
                    Phase::Backing(_) => self.phase = Phase::Due,
                    _ => {}
                }
            }
            Event::ThreadStatusIdle { stop_reason, .. } => {
                self.status = Status::Idle;
                if !matches!(stop_reason, StopReason::RequiresAction { .. }) {
                    self.phase = Phase::Resting;
                }
            }
            Event::ThreadStatusRescheduled { .. } => self.status = Status::Rescheduling,
            Event::ThreadStatusTerminated { .. } => self.status = Status::Terminated,
            Event::SpanModelRequestStart {} => self.phase = Phase::Asking(row.id),
            Event::SpanModelRequestEnd { is_error, .. } => {
                if *is_error {
                    self.attempts += 1;
                    self.phase = Phase::Due;
                } else {
                    self.attempts = 0;
                    self.rounds += u32::from(!self.calls.is_empty());
                    self.phase = Phase::Acting;
                }
            }
            Event::AgentToolUse { name, input, evaluated_permission, .. } => {
                let state = match (refusal(hidden), evaluated_permission) {
                    (Some(refusal), _) => CallState::Refused(refusal),
                    (None, Permission::Allow) => CallState::Ready,
                    (None, Permission::Ask) => CallState::Asked,
                    (None, Permission::Deny) => {
                        CallState::Refused(format!("Permission to use {name} has been denied."))
                    }
                };
                self.calls.push(Call {
                    id: row.id,
                    name: name.clone(),
                    input: Arc::new(input.clone()),
                    custom: false,
                    state,
                });
            }
            Event::AgentCustomToolUse { name, input } => {
                let state = refusal(hidden).map_or(CallState::Asked, CallState::Refused);
                self.calls.push(Call {
                    id: row.id,
                    name: name.clone(),
                    input: Arc::new(input.clone()),
                    custom: true,
                    state,
                });
            }
            Event::UserToolConfirmation { tool_use_id, result, deny_message } => {
                if let Some(call) = self.calls.iter_mut().find(|call| call.id == *tool_use_id) {
                    call.state = match result {
                        Verdict::Allow => CallState::Ready,
                        Verdict::Deny => CallState::Refused(denial(&call.name, deny_message.as_deref())),
                    };
                }
            }
            Event::AgentToolResult { tool_use_id, .. } => self.settle(*tool_use_id),
            Event::UserCustomToolResult { custom_tool_use_id, .. } => self.settle(*custom_tool_use_id),
            _ => {}
        }
    }

    fn settle(&mut self, id: EventId) {
        if let Some(call) = self.calls.iter_mut().find(|call| call.id == id) {
            call.state = CallState::Settled;
        }
        if self.phase == Phase::Acting && self.calls.iter().all(|call| call.state == CallState::Settled) {
            self.calls.clear();
            self.phase = Phase::Due;
        }
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

//! Which of clients' events may enter, and as which rows.

use std::collections::BTreeSet;

use wire::event::{ClientEvent, Event, StopReason};
use wire::session::Status;
use wire::{EventId, ThreadId};

use crate::row::Row;
use crate::state::{Call, CallState, Phase, State};
use crate::step::interrupted;
use crate::writer::{Stamp, Writer};

/// Why the events may not enter. The whole request is refused, and nothing is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The field, as in `events.0.tool_use_id`; empty if it is the session as a whole, or the message names the field.
    pub path: String,
    pub message: String,
    /// `error.details.error_code`, where the API defines one.
    pub code: Option<&'static str>,
    /// The session has ended: no other content would be taken either.
    pub ended: bool,
}

impl Refusal {
    pub(crate) fn invalid(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), code: None, ended: false }
    }

    pub(crate) fn coded(code: &'static str, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: Some(code), ..Self::invalid(path, message) }
    }

    pub(crate) fn ended(message: impl Into<String>) -> Self {
        Self { ended: true, ..Self::invalid("", message) }
    }
}

/// The rows for these events, in order. An event that starts work brings the rows that say so.
pub fn admit(state: &State, events: Vec<ClientEvent>, stamp: &mut dyn Stamp) -> Result<Vec<Row>, Refusal> {
    let mut writer = Writer::new(state, stamp);
    admit_all(&mut writer, events, "events")?;
    Ok(writer.rows())
}

pub(crate) fn admit_all(writer: &mut Writer<'_>, events: Vec<ClientEvent>, path: &str) -> Result<(), Refusal> {
    if writer.state.status == Status::Terminated {
        return Err(Refusal::ended("The session is archived and takes no more events. Create a new session to go on"));
    }
    let mut answers = BTreeSet::new();
    let mut follows_result = false;
    for (index, event) in events.into_iter().enumerate() {
        let at = format!("{path}.{index}");
        if writer.state.is_at_cap() && !passes_cap(&event) {
            let message = "The session has reached its budget. Until that is raised or removed, only \
                           user.tool_confirmation, user.tool_result, user.custom_tool_result and user.interrupt are \
                           accepted";
            return Err(Refusal::invalid(format!("{at}.type"), message));
        }
        let is_result = event.is_tool_result();
        match event {
            ClientEvent::Message { content } => {
                let thread = writer.state.primary;
                writer.arrival(thread, Event::UserMessage { content });
                start(writer, thread);
            }
            ClientEvent::Interrupt { thread } => interrupt(writer, thread, &at)?,
            ClientEvent::Confirmation { tool_use_id, verdict, deny_message } => {
                let (thread, id) = find_asked(writer, &tool_use_id, Asks::Confirmation, &format!("{at}.tool_use_id"))?;
                writer.event(thread, Event::UserToolConfirmation { tool_use_id: id, result: verdict, deny_message });
                answers.insert(thread);
            }
            ClientEvent::CustomToolResult { custom_tool_use_id, content, is_error } => {
                let path = format!("{at}.custom_tool_use_id");
                let (thread, id) = find_asked(writer, &custom_tool_use_id, Asks::CustomResult, &path)?;
                writer.event(thread, Event::UserCustomToolResult { custom_tool_use_id: id, content, is_error });
                answers.insert(thread);
            }
            ClientEvent::ToolResult { .. } if !writer.state.is_self_hosted => {
                let message = "user.tool_result is only for sessions of a self_hosted environment";
                return Err(Refusal::invalid(format!("{at}.type"), message));
            }
            ClientEvent::ToolResult { tool_use_id, content, is_error } => {
                let (thread, id) = find_asked(writer, &tool_use_id, Asks::Result, &format!("{at}.tool_use_id"))?;
                writer.event(thread, Event::UserToolResult { tool_use_id: id, content, is_error });
                answers.insert(thread);
            }
            ClientEvent::SystemMessage { content } => {
                if waits_for_action(&writer.state) && !follows_result {
                    let message = "While the session requires an action, a system.message must follow a tool result";
                    return Err(Refusal::invalid(at, message));
                }
                // It goes with the input before it, and is that input's to start anything.
                let thread = writer.state.primary;
                writer.arrival(thread, Event::SystemMessage { content });
            }
        }
        follows_result = is_result;
    }
    // Weighed together: a client that answers everything at once is not told of a remainder in between.
    answers.into_iter().for_each(|thread| answered(writer, thread));
    Ok(())
}

/// What a session takes whose budget is used up: what ends work that was begun, not what begins more.
fn passes_cap(event: &ClientEvent) -> bool {
    event.is_tool_result() || matches!(event, ClientEvent::Confirmation { .. } | ClientEvent::Interrupt { .. })
}

fn waits_for_action(state: &State) -> bool {
    state.status == Status::Idle && state.threads.values().any(|thread| !thread.asked().is_empty())
}

/// A message starts a turn on a thread that rests. One that waits for an action stays waiting.
fn start(writer: &mut Writer<'_>, thread: ThreadId) {
    if writer.state.threads.get(&thread).is_some_and(|thread| thread.phase == Phase::Resting) {
        writer.running(thread);
    }
}

/// Answers have come. While the session is idle for want of answers, it is the last one that sets it going again.
fn answered(writer: &mut Writer<'_>, thread: ThreadId) {
    let Some(state) = writer.state.threads.get(&thread) else { return };
    // An interrupt in the same request may have ended the turn that the answers were for.
    if writer.state.status != Status::Idle || state.phase == Phase::Resting {
        return;
    }
    let asked = state.asked();
    if asked.is_empty() {
        writer.running(thread);
    } else {
        writer.idle(thread, StopReason::RequiresAction { event_ids: asked }, None);
    }
}

fn interrupt(writer: &mut Writer<'_>, target: Option<ThreadId>, at: &str) -> Result<(), Refusal> {
    let thread = target.unwrap_or(writer.state.primary);
    let Some(state) = writer.state.threads.get(&thread) else {
        return Err(Refusal::invalid(format!("{at}.session_thread_id"), "This session has no such thread"));
    };
    let at_rest = matches!(state.phase, Phase::Resting | Phase::Paused);
    let event = Event::UserInterrupt { session_thread_id: target };
    if writer.state.is_runnable() {
        // The brain stops what it is doing, and says so.
        writer.arrival(thread, event);
        return Ok(());
    }
    if at_rest && writer.state.is_at_cap() {
        // Nothing is under way, and nothing waits for a client: it is not even recorded.
        return Ok(());
    }
    writer.event(thread, event);
    if interrupted(writer, thread) {
        writer.idle(thread, StopReason::EndTurn, None);
        writer.start_queued(thread);
    }
    Ok(())
}

/// What a call waits for.
#[derive(Clone, Copy)]
enum Asks {
    Confirmation,
    CustomResult,
    /// A worker's.
    Result,
}

impl Asks {
    fn is_of(self, call: &Call) -> bool {
        match self {
            Self::Confirmation => !call.custom && call.state == CallState::Asked,
            Self::CustomResult => call.custom && call.state == CallState::Asked,
            Self::Result => call.state == CallState::Elsewhere,
        }
    }
}

fn find_asked(writer: &Writer<'_>, id: &str, asks: Asks, path: &str) -> Result<(ThreadId, EventId), Refusal> {
    let unknown = || Refusal::invalid(path, format!("No tool call with the id {id} is waiting for this"));
    let id: EventId = id.parse().map_err(|_| unknown())?;
    let mut threads = writer.state.threads.iter();
    let found = threads.find_map(|(thread, state)| {
        let mut calls = state.calls.iter();
        calls.find(|call| call.id == id && asks.is_of(call)).map(|_| *thread)
    });
    found.map(|thread| (thread, id)).ok_or_else(unknown)
}

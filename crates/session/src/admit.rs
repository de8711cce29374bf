//! Which of clients' events may enter, and as which rows.

use std::collections::BTreeSet;

use wire::event::{ClientEvent, Event, StopReason};
use wire::session::Status;
use wire::{EventId, ThreadId};

use crate::row::Row;
use crate::state::{CallState, Phase, State};
use crate::step::interrupted;
use crate::writer::{Stamp, Writer};

/// Why the events may not enter. The whole request is refused, and nothing is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The field, as in `events.0.tool_use_id`; empty if it is the session as a whole.
    pub path: String,
    pub message: String,
    /// The session has ended: no other content would be taken either.
    pub ended: bool,
}

impl Refusal {
    pub(crate) fn invalid(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), ended: false }
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
        let message = "The session is archived and takes no more events. Create a new session to go on".to_owned();
        return Err(Refusal { path: String::new(), message, ended: true });
    }
    let mut answers = BTreeSet::new();
    for (index, event) in events.into_iter().enumerate() {
        let at = format!("{path}.{index}");
        match event {
            ClientEvent::Message { content } => {
                let thread = writer.state.primary;
                writer.arrival(thread, Event::UserMessage { content });
                start(writer, thread);
            }
            ClientEvent::Interrupt { thread } => interrupt(writer, thread, &at)?,
            ClientEvent::Confirmation { tool_use_id, verdict, deny_message } => {
                let (thread, id) = find_asked(writer, &tool_use_id, false, &format!("{at}.tool_use_id"))?;
                writer.event(thread, Event::UserToolConfirmation { tool_use_id: id, result: verdict, deny_message });
                answers.insert(thread);
            }
            ClientEvent::CustomToolResult { custom_tool_use_id, content, is_error } => {
                let (thread, id) = find_asked(writer, &custom_tool_use_id, true, &format!("{at}.custom_tool_use_id"))?;
                writer.event(thread, Event::UserCustomToolResult { custom_tool_use_id: id, content, is_error });
                answers.insert(thread);
            }
            ClientEvent::ToolResult { .. } => {
                let message = "user.tool_result is only for sessions of a self_hosted environment";
                return Err(Refusal::invalid(format!("{at}.type"), message));
            }
        }
    }
    // Weighed together: a client that answers everything at once is not told of a remainder in between.
    answers.into_iter().for_each(|thread| answered(writer, thread));
    Ok(())
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
    if !writer.state.threads.contains_key(&thread) {
        return Err(Refusal::invalid(format!("{at}.session_thread_id"), "This session has no such thread"));
    }
    let event = Event::UserInterrupt { session_thread_id: target };
    if writer.state.is_runnable() {
        // The brain stops what it is doing, and says so.
        writer.arrival(thread, event);
        return Ok(());
    }
    writer.event(thread, event);
    if interrupted(writer, thread) {
        writer.idle(thread, StopReason::EndTurn, None);
        let queued = writer.state.threads.get(&thread).is_some_and(|thread| !thread.inputs.is_empty());
        if queued {
            writer.running(thread);
        }
    }
    Ok(())
}

fn find_asked(writer: &Writer<'_>, id: &str, custom: bool, path: &str) -> Result<(ThreadId, EventId), Refusal> {
    let unknown = || Refusal::invalid(path, format!("No tool call with the id {id} is waiting for this"));
    let id: EventId = id.parse().map_err(|_| unknown())?;
    let mut threads = writer.state.threads.iter();
    let found = threads.find_map(|(thread, state)| {
        let mut calls = state.calls.iter();
        calls.find(|call| call.id == id && call.custom == custom && call.state == CallState::Asked).map(|_| *thread)
    });
    found.map(|thread| (thread, id)).ok_or_else(unknown)
}

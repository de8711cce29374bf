//! From the state as it is: what comes next.

use wire::ThreadId;
use wire::content::Content;
use wire::event::{Event, StopReason};

use super::ask::ask;
use super::{Action, Flight, Limits, Situation, interrupted, phase};
use crate::state::{Call, CallState, Phase};
use crate::writer::Writer;

pub(super) fn advance(
    writer: &mut Writer<'_>,
    thread: ThreadId,
    flight: &Flight,
    limits: Limits,
    situation: Situation,
    actions: &mut Vec<Action>,
) {
    if take_interrupts(writer, thread, flight, situation.taken, actions) {
        // Whatever is under way belongs to the turn that was interrupted.
        let flight = Flight::default();
        return go_on(writer, thread, &flight, limits, situation, actions);
    }
    go_on(writer, thread, flight, limits, situation, actions);
}

/// Ends the turn if a client asked for that.
fn take_interrupts(
    writer: &mut Writer<'_>,
    thread: ThreadId,
    flight: &Flight,
    taken: bool,
    actions: &mut Vec<Action>,
) -> bool {
    let interrupts = writer.state.threads.get(&thread).map(|thread| thread.interrupts.clone()).unwrap_or_default();
    if interrupts.is_empty() {
        return false;
    }
    // Without a brain, a call may have gone on in its sandbox: those that could run are ended too.
    let started = writer.state.threads.get(&thread).map(|thread| {
        thread.calls.iter().filter(|call| call.state == CallState::Ready).map(|call| call.id).collect::<Vec<_>>()
    });
    let calls = started.unwrap_or_default();
    if !flight.is_empty() || (taken && !calls.is_empty()) {
        actions.push(Action::Abort { thread, calls });
    }
    interrupted(writer, thread);
    for interrupt in interrupts {
        writer.processed(thread, interrupt);
    }
    if writer.state.is_runnable() {
        writer.idle(thread, StopReason::EndTurn, None);
        writer.start_queued(thread);
    }
    true
}

fn go_on(
    writer: &mut Writer<'_>,
    thread: ThreadId,
    flight: &Flight,
    limits: Limits,
    situation: Situation,
    actions: &mut Vec<Action>,
) {
    if !writer.state.is_runnable() {
        return;
    }
    if phase(writer, thread) == Some(Phase::Acting) {
        act(writer, thread, flight, situation.taken, actions);
    }
    match phase(writer, thread) {
        Some(Phase::Due) => ask(writer, thread, limits, actions),
        Some(Phase::Backing(until)) if !flight.backing => actions.push(Action::Wait { thread, until }),
        Some(Phase::Ending { stop, details }) if !flight.collecting => {
            if writer.state.hand.is_some() && !situation.collected {
                actions.push(Action::Collect { thread });
                return;
            }
            writer.idle(thread, stop, details);
            writer.start_queued(thread);
            if phase(writer, thread) == Some(Phase::Due) {
                ask(writer, thread, limits, actions);
            }
        }
        _ => {}
    }
}

/// Settles what needs no hand, runs what may run, and waits for clients when nothing else is left.
fn act(writer: &mut Writer<'_>, thread: ThreadId, flight: &Flight, taken: bool, actions: &mut Vec<Action>) {
    let Some(state) = writer.state.threads.get(&thread) else { return };
    if state.calls.is_empty() {
        // The answer had no calls. Messages that came meanwhile are answered in the same turn.
        if state.has_message() {
            writer.continue_turn(thread);
        } else {
            writer.idle(thread, StopReason::EndTurn, None);
        }
        return;
    }
    for Call { id, name, input, state, .. } in state.calls.clone() {
        match state {
            CallState::Refused(reason) => {
                let content = vec![Content::text(reason)];
                writer.event(thread, Event::AgentToolResult { tool_use_id: id, content, is_error: true });
            }
            CallState::Ready if !flight.calls.contains(&id) => {
                let action = if taken {
                    Action::Recover { thread, call: id, name, input }
                } else {
                    Action::Run { thread, call: id, name, input }
                };
                actions.push(action);
            }
            CallState::Ready | CallState::Asked | CallState::Elsewhere | CallState::Settled => {}
        }
    }
    let Some(state) = writer.state.threads.get(&thread) else { return };
    let running = state.calls.iter().any(|call| call.state == CallState::Ready);
    let asked = state.asked();
    if !running && !asked.is_empty() {
        writer.idle(thread, StopReason::RequiresAction { event_ids: asked }, None);
    }
}

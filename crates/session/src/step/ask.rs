//! The next request to the model: whether it may be made, what it is for, and what becomes of one that was lost.

use wire::ThreadId;
use wire::event::{Event, FailureKind, StopReason};

use super::{Action, Limits, Window, failed};
use crate::row::Note;
use crate::state::{State, Thread};
use crate::writer::Writer;

/// Takes up what is queued, and asks the model; or first makes room for its answer.
pub(super) fn ask(writer: &mut Writer<'_>, thread: ThreadId, limits: Limits, actions: &mut Vec<Action>) {
    let Some(state) = writer.state.threads.get(&thread) else { return };
    if state.rounds >= limits.rounds {
        let message = format!(
            "The turn reached its limit of {} answers with tool calls. Send a message to go on.",
            limits.rounds
        );
        return failed::exhausted(writer, thread, FailureKind::ToolUseLimitReachedError, message);
    }
    if !affords(&writer.state, limits) {
        // What is queued stays so: the turn has not ended, and goes on once the budget allows it.
        return writer.idle(thread, StopReason::BudgetReached, None);
    }
    if is_too_long(state, limits.window) {
        return compact(writer, thread, limits, actions);
    }
    let inputs = state.inputs.clone();
    let forgotten = limits.window.and_then(|window| forgotten(state, window, writer.state.head));
    if let Some(before) = forgotten {
        writer.note(thread, Note::Cleared { before });
    }
    for waiting in inputs {
        writer.processed(thread, waiting);
    }
    writer.event(thread, Event::SpanModelRequestStart {});
    actions.push(Action::Ask { thread });
}

/// The request that crosses the limit is finished, and no other is begun.
fn affords(state: &State, limits: Limits) -> bool {
    state.budget.is_none() || (limits.is_priced && !state.is_over_budget())
}

fn is_too_long(thread: &Thread, window: Option<Window>) -> bool {
    thread.context_tokens == u64::MAX || window.is_some_and(|window| thread.context_tokens >= window.compact_at)
}

/// Has the conversation summed up. What is queued waits for the request after that: it needs no summing up.
fn compact(writer: &mut Writer<'_>, thread: ThreadId, limits: Limits, actions: &mut Vec<Action>) {
    let compactions = writer.state.threads.get(&thread).map_or(0, |thread| thread.compactions);
    if compactions >= limits.compactions {
        let message = format!(
            "The conversation is too long for the model, and summing it up {compactions} times in a row has not made \
             room for an answer. Send a message to try again."
        );
        return failed::exhausted(writer, thread, FailureKind::CompactionLimitReachedError, message);
    }
    writer.event(thread, Event::SpanModelRequestStart {});
    writer.note(thread, Note::Compacting);
    actions.push(Action::Compact { thread });
}

/// The fewest tool results that are forgotten at once, however few are kept.
const LEAST_FORGOTTEN: usize = 2;

/// The position below which tool results are to be forgotten, if it is time and they are many enough. Never those that
/// the model has not answered yet.
fn forgotten(thread: &Thread, window: Window, head: u64) -> Option<u64> {
    let is_time = window.clear_at.is_some_and(|clear_at| thread.context_tokens >= clear_at);
    let surplus = thread.results.len().checked_sub(window.keep_results).filter(|_| is_time)?;
    let kept = thread.results.get(surplus).copied().unwrap_or(head + 1);
    let before = kept.min(thread.seen_to + 1);
    // Each time, the provider finds nothing in its cache of what follows the first of them: so seldom, and then many.
    let going = thread.results.iter().take_while(|position| **position < before).count();
    (going >= window.keep_results.max(LEAST_FORGOTTEN)).then_some(before)
}

/// A request that was under way when its brain died is lost: the span ends, and clients see that it is tried again.
pub(super) fn lost_request(writer: &mut Writer<'_>, thread: ThreadId, limits: Limits) {
    let Some(span) = writer.state.threads.get(&thread).and_then(Thread::span) else { return };
    writer.unanswered(thread, span);
    let attempts = writer.state.threads.get(&thread).map_or(0, |thread| thread.attempts);
    if attempts > limits.attempts {
        let message = "The server stopped during each of the last model requests of this turn.".to_owned();
        return failed::exhausted(writer, thread, FailureKind::UnknownError, message);
    }
    writer.rescheduled(thread);
    writer.running(thread);
}

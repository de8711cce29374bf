//! The model has not answered: try again later, or give the turn up.

use wire::ThreadId;
use wire::event::{Event, Failure, FailureKind, RetryStatus, StopReason};

use super::{Failed, Limits, Spent, phase};
use crate::row::Note;
use crate::state::Phase;
use crate::writer::Writer;

pub(super) fn failed(writer: &mut Writer<'_>, thread: ThreadId, failure: Failed, limits: Limits) {
    let (span, compacts) = match phase(writer, thread) {
        Some(Phase::Asking(span)) => (span, false),
        Some(Phase::Compacting(span)) => (span, true),
        _ => return,
    };
    if let Some(Spent { model, tokens, cost }) = failure.spent {
        writer.note(thread, Note::Spent { model, tokens, cost });
    }
    writer.unanswered(thread, span);
    if failure.too_long {
        // No failure yet: the next request sums the conversation up, or less of it.
        writer.note(thread, if compacts { Note::Halved } else { Note::Overflowed });
        return;
    }
    let attempts = writer.state.threads.get(&thread).map_or(0, |thread| thread.attempts);
    let retry_at = failure.retry_at.filter(|_| attempts < limits.attempts);
    let retry_status = if retry_at.is_some() { RetryStatus::Retrying } else { RetryStatus::Exhausted };
    let error = Failure { r#type: failure.kind, message: failure.message, retry_status };
    writer.event(thread, Event::SessionError { error });
    match retry_at {
        Some(until) => {
            writer.rescheduled(thread);
            writer.note(thread, Note::RetryAt { until });
        }
        None => give_up(writer, thread),
    }
}

/// Says why the turn cannot go on, and gives it up.
pub(super) fn exhausted(writer: &mut Writer<'_>, thread: ThreadId, kind: FailureKind, message: String) {
    let error = Failure { r#type: kind, message, retry_status: RetryStatus::Exhausted };
    writer.event(thread, Event::SessionError { error });
    give_up(writer, thread);
}

/// The turn is dead: what was queued goes with it, and the next message starts anew.
fn give_up(writer: &mut Writer<'_>, thread: ThreadId) {
    let queued = writer.state.threads.get(&thread).map(|thread| thread.inputs.clone()).unwrap_or_default();
    for waiting in queued {
        writer.processed(thread, waiting);
    }
    writer.idle(thread, StopReason::RetriesExhausted, None);
}

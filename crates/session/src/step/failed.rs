//! The model has not answered: try again later, or give the turn up.

use wire::ThreadId;
use wire::event::{Event, Failure, ModelUsage, RetryStatus, StopReason};

use super::{Failed, Limits};
use crate::row::Note;
use crate::state::Phase;
use crate::writer::Writer;

pub(super) fn failed(writer: &mut Writer<'_>, thread: ThreadId, failure: Failed, limits: Limits) {
    let Some(Phase::Asking(span)) = writer.state.threads.get(&thread).map(|thread| thread.phase.clone()) else {
        return;
    };
    let model_usage = ModelUsage::default();
    writer.event(thread, Event::SpanModelRequestEnd { model_request_start_id: span, is_error: true, model_usage });
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

/// The turn is dead: what was queued goes with it, and the next message starts anew.
pub(super) fn give_up(writer: &mut Writer<'_>, thread: ThreadId) {
    let queued = writer.state.threads.get(&thread).map(|thread| thread.inputs.clone()).unwrap_or_default();
    for waiting in queued {
        writer.processed(thread, waiting);
    }
    writer.idle(thread, StopReason::RetriesExhausted, None);
}

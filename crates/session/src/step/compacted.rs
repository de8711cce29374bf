//! The conversation has been summed up: from here on the model is shown the summary, and what came after it.

use wire::ThreadId;
use wire::event::Event;

use super::{Compaction, phase};
use crate::row::Hidden;
use crate::state::Phase;
use crate::writer::Writer;

pub(super) fn compacted(writer: &mut Writer<'_>, thread: ThreadId, compaction: Compaction) {
    // An interrupt may have closed the span: the summary came too late.
    let Some(Phase::Compacting(span)) = phase(writer, thread) else { return };
    let Compaction { summary, model, tokens, cost } = compaction;
    let id = writer.mint();
    writer.hidden_event(thread, id, Event::AgentThreadContextCompacted {}, Some(Hidden::Compacted { summary }));
    writer.answered(thread, span, model, tokens, cost);
}

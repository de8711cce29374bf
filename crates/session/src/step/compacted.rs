//! The conversation has been summed up: from here on the model is shown the summary, and what came after it.

use wire::ThreadId;
use wire::event::Event;

use super::{Compaction, Limits};
use crate::row::Hidden;
use crate::state::Phase;
use crate::writer::Writer;

pub(super) fn compacted(writer: &mut Writer<'_>, thread: ThreadId, compaction: Compaction, limits: Limits) {
    let Some(state) = writer.state.threads.get(&thread) else { return };
    // An interrupt may have closed the span: the summary came too late.
    let Phase::Compacting(span) = state.phase else { return };
    let Compaction { summary, model, tokens, cost } = compaction;
    let keeps = state.keeps();
    let summed_up_to = if keeps { state.seen_to } else { u64::MAX };
    // The last attempt of several in a row takes away all that it can: a model that cannot be asked follows no
    // instruction either.
    let is_last = state.compactions > 0 && state.compactions + 1 >= limits.compactions;
    let system = if is_last { Vec::new() } else { state.instructions.up_to(summed_up_to) };
    let id = writer.mint();
    let hidden = Hidden::Compacted { summary, system, keeps };
    writer.hidden_event(thread, id, Event::AgentThreadContextCompacted {}, Some(hidden));
    writer.answered(thread, span, model, tokens, cost);
}

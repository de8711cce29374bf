//! The model has answered: the whole answer enters the log at once.

use serde_json::{Map, Value};
use wire::content::Content;
use wire::event::{Event, Permission, StopReason};
use wire::{EventId, ThreadId};

use super::{Answer, Judged, Said, Spent, Stop, interrupted};
use crate::row::{Hidden, Note};
use crate::state::Phase;
use crate::writer::Writer;

/// A tool call as the model wrote it, judged by policy.
#[derive(Debug, Clone)]
pub struct Use {
    pub id: EventId,
    /// The provider's id for the call.
    pub provider_id: String,
    pub name: String,
    pub input: Map<String, Value>,
    /// None for a custom tool: those are never governed by policies.
    pub judged: Option<Judged>,
    /// Why it must not be run, whatever the policy says: no such tool, or an input that is not JSON.
    pub refusal: Option<String>,
}

pub(super) fn answered(writer: &mut Writer<'_>, thread: ThreadId, answer: Answer) {
    let span = match writer.state.threads.get(&thread).map(|thread| thread.phase.clone()) {
        Some(Phase::Asking(span)) => span,
        // An interrupt has closed the span: the answer came too late.
        _ => return,
    };
    for Spent { model, tokens, cost } in answer.spent {
        writer.note(thread, Note::Spent { model, tokens, cost });
    }
    // Calls of a refused answer are never run.
    let is_void = matches!(answer.stop, Stop::Refusal(_));
    for said in answer.said {
        match said {
            Said::Thinking { id, provider, raw } => {
                writer.hidden_event(thread, id, Event::AgentThinking {}, Some(Hidden::Thinking { provider, raw }));
            }
            Said::Text { id, text } => {
                writer.hidden_event(thread, id, Event::AgentMessage { content: vec![Content::text(text)] }, None);
            }
            Said::Use(call) => tool_use(writer, thread, call, is_void),
        }
    }
    writer.answered(thread, span, answer.model, answer.tokens, answer.cost);
    let state = writer.state.threads.get(&thread);
    let done = state.is_some_and(|thread| thread.calls.is_empty() && !thread.has_message());
    match answer.stop {
        Stop::Refusal(details) => {
            // No request follows that would carry their results: calls of a refused answer are never run.
            interrupted(writer, thread);
            writer.note(thread, Note::TurnEnding { stop: StopReason::Refusal, details: Some(details) });
        }
        Stop::EndTurn if done && writer.state.hand.is_some() => {
            writer.note(thread, Note::TurnEnding { stop: StopReason::EndTurn, details: None });
        }
        Stop::EndTurn => {}
    }
}

fn tool_use(writer: &mut Writer<'_>, thread: ThreadId, call: Use, is_void: bool) {
    let Use { id, provider_id, name, input, judged, refusal } = call;
    // A worker runs what it reads to be allowed, and does not know why else it should not.
    let is_barred = writer.state.is_self_hosted && (is_void || refusal.is_some());
    let denied = Judged { permission: Permission::Deny, evaluation: None };
    let judged = judged.map(|judged| if is_barred { denied } else { judged });
    let event = match judged {
        Some(Judged { permission, evaluation }) => {
            Event::AgentToolUse { name, input, evaluated_permission: permission, evaluation }
        }
        None => Event::AgentCustomToolUse { name, input },
    };
    writer.hidden_event(thread, id, event, Some(Hidden::ToolUse { provider_id, refusal }));
}

//! What a brain appends and does next. One file per kind of input.

mod advance;
mod answered;
mod ask;
mod compacted;
mod failed;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};
use wire::content::Content;
use wire::event::{Evaluation, Event, FailureKind, Permission, StopDetails};
use wire::{EventId, ThreadId, Timestamp};

use crate::row::Row;
use crate::state::{CallState, Phase, State};
use crate::totals::{Cost, Tokens};
use crate::writer::{Stamp, Writer};

/// What the model is told of a call that an interrupt ended.
pub const INTERRUPTED: &str = "Tool execution was interrupted before completion. Please retry.";

/// What a brain hears.
#[derive(Debug, Clone)]
pub enum Input {
    /// It has just taken the lease: whatever the log shows as under way was another brain's, and is lost or with the hand.
    Taken,
    /// Rows that others wrote have been folded.
    Arrived,
    Answered(Answer),
    /// The conversation has been summed up.
    Compacted(Compaction),
    Failed(Failed),
    ToolEnded {
        call: EventId,
        content: Vec<Content>,
        is_error: bool,
    },
    /// A sandbox is up, perhaps in place of one that was lost.
    Provisioned {
        address: String,
        lost: Option<String>,
    },
    /// The sandbox is gone. Whatever may have run in it has its result at once, in this very step: where the log names no
    /// sandbox, no call that waits for one was ever begun.
    HandLost {
        reason: String,
        /// What the model is told of each of those calls.
        told: Vec<(EventId, String)>,
    },
    RetryDue,
    /// What the sandbox left for the user has been collected.
    Collected,
}

/// A model's whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub said: Vec<Said>,
    pub stop: Stop,
    pub tokens: Tokens,
    pub cost: Option<Cost>,
    pub model: String,
    /// By requests that were made because of it, such as a judge's.
    pub spent: Vec<Spent>,
}

/// What a request used that is no answer: one beside the conversation, or one that failed.
#[derive(Debug, Clone)]
pub struct Spent {
    pub model: String,
    pub tokens: Tokens,
    pub cost: Option<Cost>,
}

/// The conversation so far, in words that will stand for it.
#[derive(Debug, Clone)]
pub struct Compaction {
    pub summary: String,
    pub model: String,
    pub tokens: Tokens,
    pub cost: Option<Cost>,
}

/// One block of an answer, with the id that its event is to have: previews may have told it already.
#[derive(Debug, Clone)]
pub enum Said {
    Thinking { id: EventId, provider: String, raw: String },
    Text { id: EventId, text: String },
    Use(Use),
}

pub use answered::Use;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    EndTurn,
    Refusal(StopDetails),
}

/// A request that was not answered.
#[derive(Debug, Clone)]
pub struct Failed {
    pub kind: FailureKind,
    pub message: String,
    /// When to ask again, if that can help.
    pub retry_at: Option<Timestamp>,
    /// The provider refused the request for its length, and one that says less can be made.
    pub too_long: bool,
    /// What it used all the same, if the provider has told.
    pub spent: Option<Spent>,
}

/// What the brain has under way already.
#[derive(Debug, Clone, Default)]
pub struct Flight {
    /// For an answer or for a summary.
    pub asking: bool,
    pub calls: BTreeSet<EventId>,
    pub backing: bool,
    pub collecting: bool,
}

impl Flight {
    fn is_empty(&self) -> bool {
        !self.asking && self.calls.is_empty() && !self.backing && !self.collecting
    }
}

/// What the brain is to do. Every action names its thread.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    Ask {
        thread: ThreadId,
    },
    /// Have the model sum the conversation up.
    Compact {
        thread: ThreadId,
    },
    Run {
        thread: ThreadId,
        call: EventId,
        name: String,
        input: Arc<Map<String, Value>>,
    },
    /// Find out what became of a call that another brain may have started.
    Recover {
        thread: ThreadId,
        call: EventId,
        name: String,
        input: Arc<Map<String, Value>>,
    },
    /// Stop whatever is under way, and these calls wherever they run; their outcomes are not wanted any more.
    Abort {
        thread: ThreadId,
        calls: Vec<EventId>,
    },
    Wait {
        thread: ThreadId,
        until: Timestamp,
    },
    /// Collect what the sandbox left for the user.
    Collect {
        thread: ThreadId,
    },
}

/// Bounds of a turn, and what is known of the model that it asks.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Answers with tool calls in one turn.
    pub rounds: u32,
    /// Requests in a row that fail.
    pub attempts: u32,
    /// Compactions in a row after which the model still says nothing.
    pub compactions: u32,
    /// Without one, the conversation is made shorter only once the provider refuses it.
    pub window: Option<Window>,
    /// Whether the model has a list price. Without one, a session with a budget asks nothing.
    pub is_priced: bool,
}

/// When the conversation is made shorter: how many tokens it holds then.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    pub compact_at: u64,
    /// Below `compact_at`: old tool results are forgotten first.
    pub clear_at: Option<u64>,
    /// How many tool results are never forgotten, the newest.
    pub keep_results: usize,
}

#[derive(Debug, Clone)]
pub struct Step {
    pub rows: Vec<Row>,
    pub actions: Vec<Action>,
    /// Nothing is left to do: the lease is released by the append that carries these rows.
    pub rest: bool,
}

/// Decides. The rows are to be appended first, then the actions taken.
pub fn step(state: &State, input: Input, flight: &Flight, limits: Limits, stamp: &mut dyn Stamp) -> Step {
    let mut writer = Writer::new(state, stamp);
    let thread = state.primary;
    let situation = Situation { taken: matches!(input, Input::Taken), collected: matches!(input, Input::Collected) };
    let mut actions = Vec::new();
    match input {
        Input::Taken => ask::lost_request(&mut writer, thread, limits),
        Input::Arrived | Input::Collected => {}
        Input::Answered(answer) => answered::answered(&mut writer, thread, answer),
        Input::Compacted(compaction) => compacted::compacted(&mut writer, thread, compaction, limits),
        Input::Failed(failure) => failed::failed(&mut writer, thread, failure, limits),
        Input::ToolEnded { call, content, is_error } => tool_ended(&mut writer, thread, call, content, is_error),
        Input::Provisioned { address, lost } => {
            if let Some(reason) = lost {
                writer.note(thread, crate::Note::HandLost { reason });
            }
            writer.note(thread, crate::Note::HandProvisioned { address });
        }
        Input::HandLost { reason, told } => {
            writer.note(thread, crate::Note::HandLost { reason });
            for (call, words) in told {
                tool_ended(&mut writer, thread, call, vec![Content::text(words)], true);
            }
        }
        Input::RetryDue => {
            if matches!(phase(&writer, thread), Some(Phase::Backing(_))) {
                writer.running(thread);
            }
        }
    }
    advance::advance(&mut writer, thread, flight, limits, situation, &mut actions);
    let rest = !writer.state.is_runnable();
    Step { rows: writer.rows(), actions, rest }
}

/// What `advance` must know beside the state.
struct Situation {
    taken: bool,
    collected: bool,
}

fn phase(writer: &Writer<'_>, thread: ThreadId) -> Option<Phase> {
    writer.state.threads.get(&thread).map(|thread| thread.phase.clone())
}

fn tool_ended(writer: &mut Writer<'_>, thread: ThreadId, call: EventId, content: Vec<Content>, is_error: bool) {
    let open =
        writer.state.threads.get(&thread).is_some_and(|thread| {
            thread.calls.iter().any(|other| other.id == call && other.state != CallState::Settled)
        });
    // A call that an interrupt has closed already has its result.
    if open {
        writer.event(thread, Event::AgentToolResult { tool_use_id: call, content, is_error });
    }
}

/// Closes whatever the thread has open, as an interrupt does. Says whether there was anything.
pub(crate) fn interrupted(writer: &mut Writer<'_>, thread: ThreadId) -> bool {
    let Some(state) = writer.state.threads.get(&thread) else { return false };
    if state.phase == Phase::Resting {
        return false;
    }
    let open = state.calls.iter().filter(|call| call.state != CallState::Settled);
    let open: Vec<_> = open.map(|call| (call.id, call.custom)).collect();
    let begun_with = state.inputs.iter().filter(|waiting| waiting.position < state.begun_at);
    let begun_with: Vec<_> = begun_with.cloned().collect();
    let span = state.span();
    if let Some(span) = span {
        writer.unanswered(thread, span);
    }
    for (call, custom) in open {
        let event = closing(call, custom, writer.state.is_self_hosted);
        writer.event(thread, event);
    }
    // They go with their turn, though no request has carried them. What came later is the next turn's.
    for waiting in begun_with {
        writer.processed(thread, waiting);
    }
    true
}

/// The result of a call that an interrupt ends. A client or a worker that comes later reads the log, and takes no result
/// but one of its own kind for one: it would run the call after all.
fn closing(call: EventId, custom: bool, is_self_hosted: bool) -> Event {
    let content = vec![Content::text(INTERRUPTED)];
    match (is_self_hosted, custom) {
        (_, true) => Event::UserCustomToolResult { custom_tool_use_id: call, content, is_error: true },
        (false, false) => Event::AgentToolResult { tool_use_id: call, content, is_error: true },
        (true, false) => Event::UserToolResult { tool_use_id: call, content, is_error: true },
    }
}

/// How a call of a built-in tool was judged before it was written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    pub permission: Permission,
    pub evaluation: Option<Evaluation>,
}

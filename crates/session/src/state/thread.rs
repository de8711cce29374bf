//! What a thread is: where it stands in its turn, and what it waits for.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wire::event::{Event, StopDetails, StopReason};
use wire::session::Status;
use wire::{EventId, Timestamp};

use super::Instructions;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Thread {
    pub agent_name: String,
    pub status: Status,
    pub phase: Phase,
    /// Messages that no request has carried yet, oldest first.
    pub inputs: VecDeque<Waiting>,
    pub interrupts: VecDeque<Waiting>,
    /// The position at which the turn began. What waits from before it is what it began with.
    pub begun_at: u64,
    /// The calls of the last answer, in its order. Empty once all are settled.
    pub calls: Vec<Call>,
    /// Answers with tool calls since the turn began.
    pub rounds: u32,
    /// Requests that failed since the last one that was answered.
    pub attempts: u32,
    /// What the last answer and the request for it held. Zero if that says nothing about the next request, because the
    /// conversation has been made shorter since; `u64::MAX` if the provider said that it is too long.
    pub context_tokens: u64,
    /// Compactions in this turn since the model last said anything.
    pub compactions: u32,
    /// How often the provider has refused a request for a summary for its length, since the last summary or since the
    /// turn began. Each such request is half as long as the one before.
    pub halvings: u32,
    /// The position from which on the model is shown the log: of the last compaction, or of the request whose answer it
    /// has kept; zero if there was none.
    pub view_from: u64,
    /// The position of the last compaction; zero if there was none.
    pub compacted_at: u64,
    /// The position at which the last request began.
    pub asked_at: u64,
    /// The position at which the last request began that the model had a word to say to.
    pub seen_from: u64,
    /// The position at which that request ended: messages and tool results after it are not answered yet.
    pub seen_to: u64,
    /// The system messages that the brain has taken up.
    pub instructions: Instructions,
    /// The positions of the tool results that the model is shown, oldest first.
    pub results: VecDeque<u64>,
}

/// An input that the brain has not taken up yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    pub position: u64,
    pub id: EventId,
    pub event: Arc<Event>,
}

/// Where a thread is in its turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// No turn is under way.
    Resting,
    /// The model is to be asked next.
    Due,
    /// The model has been asked; the span with this id is open.
    Asking(EventId),
    /// The model has been asked to sum the conversation up; the span with this id is open.
    Compacting(EventId),
    /// Calls are to be run, or waited for.
    Acting,
    /// The model has ended its turn.
    Ending { stop: StopReason, details: Option<StopDetails> },
    /// The model failed, and is to be asked again then.
    Backing(Timestamp),
    /// The model was to be asked next, and the budget did not allow it.
    Paused,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The id of the tool-use event.
    pub id: EventId,
    pub name: String,
    pub input: Arc<Map<String, Value>>,
    /// Answered by a client, not by a hand.
    pub custom: bool,
    pub state: CallState,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// May run.
    Ready,
    /// Waits for a client: a confirmation, or the result of a custom tool.
    Asked,
    /// May run, and a worker of the session's environment runs it: waits for the result.
    Elsewhere,
    /// Must not run; the model is told this.
    Refused(String),
    /// Its result is in the log.
    Settled,
}

impl Thread {
    /// A thread that rests, of a session that has just been created.
    pub(super) fn new(agent_name: String) -> Self {
        Self {
            agent_name,
            status: Status::Idle,
            phase: Phase::Resting,
            inputs: VecDeque::new(),
            interrupts: VecDeque::new(),
            begun_at: 0,
            calls: Vec::new(),
            rounds: 0,
            attempts: 0,
            context_tokens: 0,
            compactions: 0,
            halvings: 0,
            view_from: 0,
            compacted_at: 0,
            asked_at: 0,
            seen_from: 0,
            seen_to: 0,
            instructions: Instructions::default(),
            results: VecDeque::new(),
        }
    }

    /// The calls that wait for a client, a worker included, in order.
    pub fn asked(&self) -> Vec<EventId> {
        let waits = |call: &&Call| matches!(call.state, CallState::Asked | CallState::Elsewhere);
        self.calls.iter().filter(waits).map(|call| call.id).collect()
    }

    /// Whether anything is queued that the model is to answer. A system message is not: it waits for the next turn.
    pub fn has_message(&self) -> bool {
        self.inputs.iter().any(|waiting| !matches!(*waiting.event, Event::SystemMessage { .. }))
    }

    /// Whether a compaction now leaves what the model has not answered as it is: the calls of its newest answer with
    /// their results, and whatever came since. If the model has said nothing since the last compaction, it was left all
    /// that already, and in vain.
    pub fn keeps(&self) -> bool {
        self.seen_to > self.compacted_at
    }

    /// The span of the request that is under way.
    pub(crate) fn span(&self) -> Option<EventId> {
        match self.phase {
            Phase::Asking(span) | Phase::Compacting(span) => Some(span),
            _ => None,
        }
    }
}

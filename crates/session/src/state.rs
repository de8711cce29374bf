//! What a session is, folded from its log.

mod fold;
mod instructions;
mod thread;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wire::event::Event;
use wire::session::Status;
use wire::{ThreadId, Timestamp, WorkId};

use crate::row::{Entry, Note, Row};
use crate::totals::{Cost, Totals};

pub use instructions::Instructions;
pub use thread::{Call, CallState, Phase, Thread, Waiting};

/// The session header and its threads. Serialised, it is a snapshot of the fold: whoever reads it back goes on with the
/// row after `head`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The position of the last row that was folded.
    pub head: u64,
    pub status: Status,
    pub primary: ThreadId,
    pub threads: BTreeMap<ThreadId, Thread>,
    pub totals: Totals,
    /// What the session may cost at most.
    pub budget: Option<Cost>,
    /// The live sandbox's address, as the hands wrote it.
    pub hand: Option<Arc<str>>,
    /// Whether workers run its built-in calls, and no sandbox of ours.
    pub is_self_hosted: bool,
    /// The work item that brings it a worker, if one has not ended.
    pub work: Option<WorkId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    active_ms: u64,
    running_since: Option<Timestamp>,
}

/// What lists of sessions show and filter on without reading logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub status: Status,
    pub totals: Totals,
    pub active_ms: u64,
    pub running_since: Option<Timestamp>,
    pub updated_at: Timestamp,
    pub thread: Option<ThreadId>,
    #[serde(default)]
    pub budget: Option<Cost>,
}

impl Summary {
    pub fn active_ms(&self, now: Timestamp) -> u64 {
        self.active_ms + self.running_since.map_or(0, |since| now.since(since))
    }
}

impl State {
    /// The version of the serialised form, kept beside every snapshot. Raise it whenever the fields change meaning, or
    /// the fold reads a row otherwise than before: a snapshot of another format is folded anew from the log.
    pub const FORMAT: u32 = 3;

    /// Folds the first row, which must be [`Note::Created`].
    pub fn begin(row: &Row) -> Option<Self> {
        let Entry::Note(Note::Created { agent_name, budget, is_self_hosted }) = &row.entry else { return None };
        Some(Self {
            head: row.position,
            status: Status::Idle,
            primary: row.thread,
            threads: BTreeMap::from([(row.thread, Thread::new(agent_name.clone()))]),
            totals: Totals::default(),
            budget: *budget,
            hand: None,
            is_self_hosted: *is_self_hosted,
            work: None,
            created_at: row.at,
            updated_at: row.at,
            active_ms: 0,
            running_since: None,
        })
    }

    pub fn summary(&self) -> Summary {
        Summary {
            status: self.status,
            totals: self.totals,
            active_ms: self.active_ms,
            running_since: self.running_since,
            updated_at: self.updated_at,
            thread: Some(self.primary),
            budget: self.budget,
        }
    }

    /// Whether a brain has something to do.
    pub fn is_runnable(&self) -> bool {
        matches!(self.status, Status::Running | Status::Rescheduling)
    }

    /// Whether a worker has something to do, or soon may have: a turn is under way, or waits for an answer.
    pub fn needs_worker(&self) -> bool {
        let waits = || self.threads.values().any(|thread| !thread.asked().is_empty());
        self.is_self_hosted && self.status != Status::Terminated && (self.is_runnable() || waits())
    }

    /// Whether the budget is used up. What a model without a price has cost is not known, and may be that much.
    pub fn is_over_budget(&self) -> bool {
        self.budget.is_some_and(|budget| self.totals.unpriced || self.totals.cost >= budget)
    }

    /// Whether the model is asked nothing more until the budget is raised or removed.
    pub fn is_at_cap(&self) -> bool {
        self.is_over_budget() || self.threads.values().any(|thread| thread.phase == Phase::Paused)
    }

    pub fn active_ms(&self, now: Timestamp) -> u64 {
        self.summary().active_ms(now)
    }

    /// The event that waits at this position.
    pub fn waiting(&self, position: u64) -> Option<Arc<Event>> {
        let threads = self.threads.values();
        let mut waiting = threads.flat_map(|thread| thread.inputs.iter().chain(&thread.interrupts));
        waiting.find(|waiting| waiting.position == position).map(|waiting| waiting.event.clone())
    }
}

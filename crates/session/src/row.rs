//! Rows of the log, typed, and the form in which a store keeps them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wire::content::Content;
use wire::{Event, EventId, ThreadId, Timestamp, WorkId};

use crate::totals::{Cost, Tokens};

/// One row. Positions are dense from 1; no row is ever changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub position: u64,
    pub id: EventId,
    pub thread: ThreadId,
    pub at: Timestamp,
    pub entry: Entry,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// Something that happened; clients see it here.
    Event { event: Arc<Event>, hidden: Option<Hidden> },
    /// A client's input that waits for the brain; clients see it last, with a null `processed_at`.
    Arrival { event: Arc<Event> },
    /// The brain has taken up the input at position `of`, whose id this row repeats; clients see it here from now on.
    Processed { of: u64, event: Arc<Event> },
    /// What only brains read.
    Note(Note),
}

/// The private part of an event: what brains need and no API returns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Hidden {
    /// The provider's own block, as JSON text, for it to see again byte for byte.
    Thinking { provider: String, raw: String },
    ToolUse {
        /// The provider's id for the call.
        provider_id: String,
        /// Why the call must not be run, as the model will be told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refusal: Option<String>,
    },
    Request {
        /// The model that answered, as the provider names it.
        model: String,
        tokens: Tokens,
        /// By the prices of that day; none if the route had no price.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost: Option<Cost>,
    },
    /// What the model is shown in place of everything before.
    Compacted {
        summary: String,
        /// The texts of the system messages among that, word for word: they still hold.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        system: Vec<Content>,
        /// Whether what the model has not answered is shown behind the summary as it was: see [`Thread::keeps`].
        ///
        /// [`Thread::keeps`]: crate::Thread::keeps
        #[serde(default, skip_serializing_if = "is_false")]
        keeps: bool,
    },
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// Rows that clients never see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "snake_case")]
pub enum Note {
    /// Always the first row.
    Created {
        agent_name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        budget: Option<Cost>,
        /// Whether workers run its built-in calls, and no sandbox of ours.
        #[serde(default, skip_serializing_if = "is_false")]
        is_self_hosted: bool,
    },
    /// A sandbox is up. `address` is for the hands to read.
    HandProvisioned { address: String },
    /// The sandbox is gone, and with it whatever was only in it.
    HandLost { reason: String },
    /// The model will be asked again then.
    RetryAt { until: Timestamp },
    /// The request whose span has just begun is for a summary, not for an answer. Always the row after the span's
    /// start, in one append with it.
    Compacting,
    /// The provider said that the conversation is longer than the model can take.
    Overflowed,
    /// The provider said the same of the request for a summary: the next one is half as long.
    Halved,
    /// From now on, of the tool results below this position, the model is shown only that there were some.
    Cleared { before: u64 },
    /// Tokens that are in no answer's span: of a request beside the conversation, such as a judge's, or of one that was
    /// answered without what it was made for.
    Spent {
        model: String,
        tokens: Tokens,
        /// By the prices of that day; none if the route had no price.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost: Option<Cost>,
    },
    /// The model has ended its turn; what is left to do before the session is idle is done now.
    TurnEnding { stop: wire::event::StopReason, details: Option<wire::event::StopDetails> },
    /// This work item is the session's: from now on it brings a worker. Always in one append with the item.
    WorkQueued { work: WorkId },
    /// The session's work item has ended.
    WorkEnded { work: WorkId },
}

impl Note {
    fn kind(&self) -> &'static str {
        match self {
            Self::Created { .. } => "session.created",
            Self::HandProvisioned { .. } => "hand.provisioned",
            Self::HandLost { .. } => "hand.lost",
            Self::RetryAt { .. } => "model.retry_at",
            Self::Compacting => "context.compacting",
            Self::Overflowed => "context.overflowed",
            Self::Halved => "context.halved",
            Self::Cleared { .. } => "context.cleared",
            Self::Spent { .. } => "model.spent",
            Self::TurnEnding { .. } => "turn.ending",
            Self::WorkQueued { .. } => "work.queued",
            Self::WorkEnded { .. } => "work.ended",
        }
    }
}

/// How a row shows in the lists and streams that clients read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    Private,
    Shown,
    /// Shown after all others, until a row with [`Visibility::Processes`] names it.
    Waiting,
    /// Shows the event of the row at this position, as processed at this row's time.
    Processes(u64),
}

/// A row as a store keeps it: the store does not know what it means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    pub position: u64,
    pub id: EventId,
    pub thread: ThreadId,
    pub at: Timestamp,
    pub kind: String,
    pub visibility: Visibility,
    /// The event's JSON without id and time. Empty for private rows and for [`Visibility::Processes`].
    pub body: Arc<str>,
    /// JSON, or empty.
    pub private: String,
}

/// A stored row that this version cannot read: written by a newer one, or damaged.
#[derive(Debug, thiserror::Error)]
#[error("row {position} of kind {kind} cannot be read: {reason}")]
pub struct Unreadable {
    pub position: u64,
    pub kind: String,
    pub reason: String,
}

impl Row {
    pub fn store(&self) -> Stored {
        // None of these types has a map with keys that are not strings: serialising them cannot fail.
        let json = |event: &Event| Arc::from(serde_json::to_string(event).unwrap_or_default());
        let (kind, visibility, body, private) = match &self.entry {
            Entry::Event { event, hidden } => {
                let private = hidden.as_ref().map(|hidden| serde_json::to_string(hidden).unwrap_or_default());
                (event.kind(), Visibility::Shown, json(event), private.unwrap_or_default())
            }
            Entry::Arrival { event } => (event.kind(), Visibility::Waiting, json(event), String::new()),
            Entry::Processed { of, event } => (event.kind(), Visibility::Processes(*of), Arc::from(""), String::new()),
            Entry::Note(note) => {
                (note.kind(), Visibility::Private, Arc::from(""), serde_json::to_string(note).unwrap_or_default())
            }
        };
        let Self { position, id, thread, at, .. } = *self;
        Stored { position, id, thread, at, kind: kind.to_owned(), visibility, body, private }
    }

    /// Reads a stored row. `earlier` finds the event of a waiting row of the same log by its position.
    pub fn load(stored: &Stored, earlier: impl FnOnce(u64) -> Option<Arc<Event>>) -> Result<Self, Unreadable> {
        let unreadable = |reason: String| Unreadable { position: stored.position, kind: stored.kind.clone(), reason };
        let event = || serde_json::from_str(&stored.body).map(Arc::new).map_err(|error| unreadable(error.to_string()));
        let entry = match stored.visibility {
            Visibility::Shown => {
                let hidden = (!stored.private.is_empty()).then(|| serde_json::from_str(&stored.private));
                let hidden = hidden.transpose().map_err(|error| unreadable(error.to_string()))?;
                Entry::Event { event: event()?, hidden }
            }
            Visibility::Waiting => Entry::Arrival { event: event()? },
            Visibility::Processes(of) => {
                let event = earlier(of).ok_or_else(|| unreadable(format!("no input waits at {of}")))?;
                Entry::Processed { of, event }
            }
            Visibility::Private => {
                Entry::Note(serde_json::from_str(&stored.private).map_err(|error| unreadable(error.to_string()))?)
            }
        };
        Ok(Self { position: stored.position, id: stored.id, thread: stored.thread, at: stored.at, entry })
    }
}

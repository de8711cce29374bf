//! What travels: rows and previews, encoded once for all their watchers.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use session::{Entry, Row, Stored, Visibility};
use wire::event::render;
use wire::{EventId, ThreadId, sse};

/// A committed row as a watcher's stream carries it.
#[derive(Debug, Clone)]
pub struct Published {
    pub position: u64,
    pub id: EventId,
    pub thread: ThreadId,
    /// A server-sent event; none for rows that clients never see.
    pub frame: Option<Bytes>,
    /// Nothing follows: the session is deleted.
    pub last: bool,
}

impl Published {
    pub fn new(row: &Row, stored: &Stored) -> Self {
        let event = match &row.entry {
            // The row itself holds no body: it shows the event of an earlier one.
            Entry::Processed { event, .. } => serde_json::to_string(event).unwrap_or_default(),
            _ => String::new(),
        };
        let body = if event.is_empty() { &*stored.body } else { &event };
        Self::from_stored(stored, &stored.kind, body)
    }

    /// `kind` and `body` are those of the event that the row shows.
    pub fn from_stored(stored: &Stored, kind: &str, body: &str) -> Self {
        let processed_at = match stored.visibility {
            Visibility::Waiting => None,
            _ => Some(stored.at),
        };
        let frame = (stored.visibility != Visibility::Private)
            .then(|| sse::encode(kind, Some(stored.position), &render(stored.id, body, processed_at)).into());
        Self { position: stored.position, id: stored.id, thread: stored.thread, frame, last: false }
    }
}

/// A part of an event that is not whole yet. Never stored, never replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    pub thread: ThreadId,
    pub id: EventId,
    /// The type of the event that is coming.
    pub kind: &'static str,
    pub starts: bool,
    pub frame: Bytes,
}

/// A preview on its way to another node.
#[derive(Serialize, Deserialize)]
struct Carried<'a> {
    thread: ThreadId,
    id: EventId,
    kind: Cow<'a, str>,
    starts: bool,
    frame: Cow<'a, str>,
}

impl Preview {
    /// As JSON, for another node.
    pub fn encode(&self) -> String {
        let Self { thread, id, kind, starts, frame } = self;
        let carried = Carried {
            thread: *thread,
            id: *id,
            kind: Cow::Borrowed(kind),
            starts: *starts,
            frame: String::from_utf8_lossy(frame),
        };
        serde_json::to_string(&carried).unwrap_or_default()
    }

    /// What another node encoded; `None` if it is not of this version.
    pub fn decode(text: &str) -> Option<Self> {
        let Carried { thread, id, kind, starts, frame } = serde_json::from_str(text).ok()?;
        let kind = ["agent.message", "agent.thinking"].into_iter().find(|known| *known == kind)?;
        Some(Self { thread, id, kind, starts, frame: frame.into_owned().into() })
    }

    pub fn start(thread: ThreadId, id: EventId, kind: &'static str) -> Self {
        let data = format!(r#"{{"type":"event_start","event":{{"type":"{kind}","id":"{id}"}}}}"#);
        Self { thread, id, kind, starts: true, frame: sse::encode("event_start", None, &data).into() }
    }

    /// More text of a message, at its first content block.
    pub fn text(thread: ThreadId, id: EventId, text: &str) -> Self {
        // A string always serialises.
        let text = serde_json::to_string(text).unwrap_or_default();
        let data = format!(
            r#"{{"type":"event_delta","event_id":"{id}","delta":{{"type":"content_delta","index":0,"content":{{"type":"text","text":{text}}}}}}}"#
        );
        Self { thread, id, kind: "agent.message", starts: false, frame: sse::encode("event_delta", None, &data).into() }
    }
}

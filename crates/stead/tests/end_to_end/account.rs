//! What must be true of a session's events, whatever has happened to its servers.

use std::collections::HashSet;

use serde_json::Value;

use crate::client::{Client, of, text};

pub(crate) fn kind(event: &Value) -> &str {
    event["type"].as_str().unwrap()
}

pub(crate) fn id(event: &Value) -> &str {
    event["id"].as_str().unwrap()
}

/// The events of a session at rest, which must be in themselves true.
pub(crate) async fn account(client: &Client, session: &str) -> Vec<Value> {
    let events = client.events(session).await;
    let mut ids = HashSet::new();
    for event in &events {
        assert!(ids.insert(id(event)), "it is there twice: {event}");
        assert!(!event["processed_at"].is_null(), "it still waits: {event}");
    }
    pairs(&events, "agent.tool_use", "agent.tool_result", "tool_use_id");
    pairs(&events, "span.model_request_start", "span.model_request_end", "model_request_start_id");
    ends_in_order(&events);
    let told = events.iter().rev().find_map(|event| kind(event).strip_prefix("session.status_"));
    assert_eq!((client.status(session).await.as_str(), told.unwrap_or("idle")), ("idle", "idle"));
    events
}

/// What was begun was ended, once, and nothing else was.
fn pairs(events: &[Value], begin: &str, end: &str, refers: &str) {
    let mut open = HashSet::new();
    for event in events {
        if kind(event) == begin {
            open.insert(id(event));
        } else if kind(event) == end {
            let begun = event[refers].as_str().unwrap();
            assert!(open.remove(begun), "it ends what has ended, or never began: {event}");
        }
    }
    assert!(open.is_empty(), "{open:?} of {begin} have no end in {events:#?}");
}

/// A session stops in a fixed order: its thread, its usage, itself.
fn ends_in_order(events: &[Value]) {
    for (place, event) in events.iter().enumerate() {
        if kind(event) == "session.status_idle" {
            let before: Vec<_> = events[place.saturating_sub(2)..place].iter().map(kind).collect();
            assert_eq!(before, ["session.thread_status_idle", "session.usage"], "before {event}");
        }
    }
}

/// What the calls gave, in the order of their calls. None may have failed.
pub(crate) fn results(events: &[Value]) -> Vec<String> {
    let results = of(events, "agent.tool_result");
    let of_call = |call: &&Value| {
        let result = results.iter().find(|result| result["tool_use_id"] == call["id"]);
        let result = result.unwrap_or_else(|| panic!("{call} has no result in {events:#?}"));
        assert_eq!(result["is_error"], false, "{result}");
        text(result).trim().to_owned()
    };
    of(events, "agent.tool_use").iter().map(of_call).collect()
}

/// The agent's last words.
pub(crate) fn said(events: &[Value]) -> String {
    text(of(events, "agent.message").last().unwrap()).trim().to_owned()
}

//! For the tests of this crate: rows in few words, and what the model is shown of them.

use std::sync::Arc;

use model::{Block, Message};
use serde_json::json;
use session::{Entry, Hidden, Note, Row};
use wire::content::Content;
use wire::event::{Event, Permission};
use wire::{EventId, ThreadId, Timestamp};

use crate::Transcript;

fn row(position: u64, entry: Entry) -> Row {
    let thread = ThreadId::from_bits(1);
    Row { position, id: EventId::from_bits(position.into()), thread, at: Timestamp::from_millis(0), entry }
}

pub(crate) fn event(position: u64, event: Event, hidden: Option<Hidden>) -> Row {
    row(position, Entry::Event { event: Arc::new(event), hidden })
}

pub(crate) fn note(position: u64, note: Note) -> Row {
    row(position, Entry::Note(note))
}

fn processed(position: u64, event: Event) -> Row {
    row(position, Entry::Processed { of: position, event: Arc::new(event) })
}

pub(crate) fn user(position: u64, text: &str) -> Row {
    processed(position, Event::UserMessage { content: vec![Content::text(text)] })
}

pub(crate) fn instruction(position: u64, text: &str) -> Row {
    processed(position, Event::SystemMessage { content: vec![Content::text(text)] })
}

pub(crate) fn says(position: u64, text: &str) -> Row {
    event(position, Event::AgentMessage { content: vec![Content::text(text)] }, None)
}

pub(crate) fn bash(position: u64, provider_id: &str) -> Row {
    let input = json!({"command": "ls"}).as_object().unwrap().clone();
    let used =
        Event::AgentToolUse { name: "bash".into(), input, evaluated_permission: Permission::Allow, evaluation: None };
    event(position, used, Some(Hidden::ToolUse { provider_id: provider_id.into(), refusal: None }))
}

pub(crate) fn result(position: u64, of: u64, text: &str) -> Row {
    let (tool_use_id, content) = (EventId::from_bits(of.into()), vec![Content::text(text)]);
    event(position, Event::AgentToolResult { tool_use_id, content, is_error: false }, None)
}

pub(crate) fn error(position: u64, of: u64, text: &str) -> Row {
    let (custom_tool_use_id, content) = (EventId::from_bits(of.into()), vec![Content::text(text)]);
    event(position, Event::UserCustomToolResult { custom_tool_use_id, content, is_error: true }, None)
}

pub(crate) fn compacted(position: u64, summary: &str) -> Row {
    compacted_but(position, summary, &[], false)
}

/// A compaction that leaves system messages in force, and perhaps what the model has not answered.
pub(crate) fn compacted_but(position: u64, summary: &str, system: &[String], keeps: bool) -> Row {
    let system = system.iter().map(Content::text).collect();
    let hidden = Some(Hidden::Compacted { summary: summary.into(), system, keeps });
    event(position, Event::AgentThreadContextCompacted {}, hidden)
}

pub(crate) fn transcript(rows: &[Row]) -> Transcript {
    let mut transcript = Transcript::default();
    rows.iter().for_each(|row| transcript.push(row));
    transcript
}

/// One line for each message.
pub(crate) fn told(rows: &[Row]) -> Vec<String> {
    transcript(rows).messages().iter().map(|message| line(message)).collect()
}

pub(crate) fn line(message: &Message) -> String {
    let name = |block: &Block| match block {
        Block::Text(text) => text.clone(),
        Block::ToolUse(call) => format!("use {}", call.id),
        Block::ToolResult { tool_use_id, .. } => format!("result {tool_use_id}"),
        Block::Opaque { raw, .. } => raw.get().to_owned(),
        Block::Media(_) => "media".into(),
    };
    let blocks: Vec<_> = message.content.iter().map(name).collect();
    format!("{:?}: {}", message.role, blocks.join(", "))
}

use std::sync::Arc;

use serde_json::json;
use wire::event::Permission;
use wire::{ThreadId, Timestamp};

use super::*;

fn row(position: u64, entry: Entry) -> Row {
    let thread = ThreadId::from_bits(1);
    Row { position, id: EventId::from_bits(position.into()), thread, at: Timestamp::from_millis(0), entry }
}

fn event(position: u64, event: Event, hidden: Option<Hidden>) -> Row {
    row(position, Entry::Event { event: Arc::new(event), hidden })
}

fn user(position: u64, text: &str) -> Row {
    let event = Arc::new(Event::UserMessage { content: vec![Content::text(text)] });
    row(position, Entry::Processed { of: position, event })
}

fn bash(position: u64, provider_id: &str) -> Row {
    let input = json!({"command": "ls"}).as_object().unwrap().clone();
    let used =
        Event::AgentToolUse { name: "bash".into(), input, evaluated_permission: Permission::Allow, evaluation: None };
    event(position, used, Some(Hidden::ToolUse { provider_id: provider_id.into(), refusal: None }))
}

fn result(position: u64, of: u64, text: &str) -> Row {
    let content = vec![Content::text(text)];
    event(
        position,
        Event::AgentToolResult { tool_use_id: EventId::from_bits(of.into()), content, is_error: false },
        None,
    )
}

fn told(rows: &[Row]) -> Vec<String> {
    let mut transcript = Transcript::default();
    rows.iter().for_each(|row| transcript.push(row));
    let name = |block: &Block| match block {
        Block::Text(text) => text.clone(),
        Block::ToolUse(call) => format!("use {}", call.id),
        Block::ToolResult { tool_use_id, .. } => format!("result {tool_use_id}"),
        Block::Opaque { raw, .. } => raw.get().to_owned(),
        Block::Media(_) => "media".into(),
    };
    let line = |message: &Message| {
        let blocks: Vec<_> = message.content.iter().map(name).collect();
        format!("{:?}: {}", message.role, blocks.join(", "))
    };
    transcript.messages().iter().map(line).collect()
}

#[test]
fn results_stand_before_what_the_user_said_meanwhile() {
    let rows = [user(1, "go"), bash(2, "a"), bash(3, "b"), result(4, 2, "one"), user(5, "faster"), result(6, 3, "two")];
    assert_eq!(told(&rows), ["User: go", "Assistant: use a, use b", "User: result a, result b, faster"]);
}

#[test]
fn thinking_goes_back_byte_for_byte() {
    let raw = r#"{"type":"thinking",  "thinking":"é","signature":"x=="}"#;
    let hidden = Hidden::Thinking { provider: "anthropic".into(), raw: raw.into() };
    assert_eq!(told(&[event(1, Event::AgentThinking {}, Some(hidden))]), [format!("Assistant: {raw}")]);
}

#[test]
fn the_model_is_told_when_its_sandbox_was_lost() {
    let rows = [user(1, "go"), row(2, Entry::Note(Note::HandLost { reason: "killed".into() }))];
    assert!(told(&rows)[0].contains("The sandbox was lost (killed)"));
}

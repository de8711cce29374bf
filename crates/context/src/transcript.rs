//! The conversation, row by row.

use std::collections::HashMap;

use model::{Block, Message, Role, ToolUse};
use serde_json::value::{RawValue, to_raw_value};
use session::{Entry, Hidden, Note, Row};
use wire::EventId;
use wire::content::Content;
use wire::event::Event;

/// Everything the model has been told and has said. Grows by [`Transcript::push`], one row at a time, in order.
#[derive(Debug, Clone, Default)]
pub struct Transcript {
    items: Vec<Item>,
    /// The provider's id of each tool use.
    calls: HashMap<EventId, String>,
}

#[derive(Debug, Clone)]
enum Item {
    User(Vec<Block>),
    Assistant(Block),
    Result(Block),
}

impl Transcript {
    pub fn push(&mut self, row: &Row) {
        match &row.entry {
            Entry::Processed { event, .. } => {
                if let Event::UserMessage { content } = &**event {
                    self.items.push(Item::User(content.iter().map(block).collect()));
                }
            }
            Entry::Event { event, hidden } => self.push_event(row.id, event, hidden.as_ref()),
            Entry::Note(Note::HandLost { reason }) => {
                let text = format!(
                    "[The sandbox was lost ({reason}). The next tool call starts a new one: files outside the uploads, \
                     shell state and background processes from before are gone.]"
                );
                self.items.push(Item::User(vec![Block::Text(text)]));
            }
            Entry::Arrival { .. } | Entry::Note(_) => {}
        }
    }

    fn push_event(&mut self, id: EventId, event: &Event, hidden: Option<&Hidden>) {
        match (event, hidden) {
            (Event::AgentThinking {}, Some(Hidden::Thinking { provider, raw })) => {
                if let (Some(provider), Ok(raw)) = (known(provider), RawValue::from_string(raw.clone())) {
                    self.items.push(Item::Assistant(Block::Opaque { provider, raw }));
                }
            }
            (Event::AgentMessage { content }, _) => {
                self.items.extend(content.iter().map(|content| Item::Assistant(block(content))));
            }
            (
                Event::AgentToolUse { name, input, .. } | Event::AgentCustomToolUse { name, input },
                Some(Hidden::ToolUse { provider_id, .. }),
            ) => {
                self.calls.insert(id, provider_id.clone());
                let (id, name, input) = (provider_id.clone(), name.clone(), input.clone());
                self.items.push(Item::Assistant(Block::ToolUse(ToolUse { id, name, input, malformed: None })));
            }
            (Event::AgentToolResult { tool_use_id, content, is_error }, _) => {
                self.result(*tool_use_id, content, *is_error)
            }
            (Event::UserCustomToolResult { custom_tool_use_id, content, is_error }, _) => {
                self.result(*custom_tool_use_id, content, *is_error);
            }
            _ => {}
        }
    }

    fn result(&mut self, call: EventId, content: &[Content], is_error: bool) {
        if let Some(tool_use_id) = self.calls.get(&call).cloned() {
            let content = content.iter().map(block).collect();
            self.items.push(Item::Result(Block::ToolResult { tool_use_id, content, is_error }));
        }
    }

    /// The messages to send: roles take turns, and a use's results stand first in the message after it.
    pub fn messages(&self) -> Vec<Message> {
        let mut messages: Vec<Message> = Vec::new();
        let mut results = 0;
        for item in &self.items {
            let role = if matches!(item, Item::Assistant(_)) { Role::Assistant } else { Role::User };
            if messages.last().is_none_or(|message| message.role != role) {
                messages.push(Message { role, content: Vec::new() });
                results = 0;
            }
            let Some(message) = messages.last_mut() else { continue };
            match item {
                Item::User(blocks) => message.content.extend(blocks.iter().cloned()),
                Item::Assistant(block) => message.content.push(block.clone()),
                Item::Result(block) => {
                    // Something the user said while the tool ran must not come between the use and its result.
                    message.content.insert(results, block.clone());
                    results += 1;
                }
            }
        }
        messages
    }
}

fn block(content: &Content) -> Block {
    match content {
        Content::Text { text } => Block::Text(text.clone()),
        media => match to_raw_value(media) {
            Ok(raw) => Block::Media(raw),
            // These types always serialise.
            Err(_) => Block::Text("[content that could not be encoded]".into()),
        },
    }
}

/// The providers whose blocks may be in a log. A log written by a newer version may name one that this one lacks.
fn known(provider: &str) -> Option<&'static str> {
    ["anthropic", "openai-chat", "openai-responses", "script"].into_iter().find(|known| *known == provider)
}

#[cfg(test)]
mod tests;

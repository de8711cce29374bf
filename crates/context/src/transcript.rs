//! The conversation, row by row.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use model::{Block, Message, Role, ToolUse};
use serde_json::value::{RawValue, to_raw_value};
use session::{Entry, Hidden, Note, Row};
use wire::EventId;
use wire::content::Content;
use wire::event::Event;

use crate::compaction;

/// What stands in place of a tool result that the model is not shown any more.
const CLEARED: &str = "[This tool result was cleared to save space. Call the tool again if you need it.]";

/// Everything that the model is shown. Grows by [`Transcript::push`], one row at a time, in order.
///
/// A summary takes the place of everything before it, but for what the model has not answered, if the compaction keeps
/// that. Whoever pushes the rows from the last compaction on, or from the request whose answer it kept, sees the same
/// as whoever pushes them all.
#[derive(Debug, Clone, Default)]
pub struct Transcript {
    /// Roles take turns. Whoever was given messages keeps them as they were: one that grows later is then copied first.
    messages: Vec<Arc<Message>>,
    /// The provider's id of each tool use that has no result yet.
    calls: HashMap<EventId, String>,
    /// The tool results that are shown whole, oldest first.
    whole: VecDeque<Place>,
}

/// Where a tool result stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// In the log.
    position: u64,
    message: usize,
    /// In the message: results stand first in it and are never moved.
    block: usize,
}

impl Transcript {
    pub fn push(&mut self, row: &Row) {
        match &row.entry {
            Entry::Processed { event, .. } => match &**event {
                Event::UserMessage { content } => self.user(content.iter().map(block).collect()),
                Event::SystemMessage { content } => self.instructed(content.iter().map(block).collect()),
                _ => {}
            },
            Entry::Event { event, hidden } => self.push_event(row, event, hidden.as_ref()),
            Entry::Note(Note::HandLost { reason }) => {
                let text = format!(
                    "[The sandbox was lost ({reason}). The next tool call starts a new one: files outside the uploads, \
                     shell state and background processes from before are gone.]"
                );
                self.user(vec![Block::Text(text)]);
            }
            Entry::Note(Note::Cleared { before }) => self.clear(*before),
            Entry::Arrival { .. } | Entry::Note(_) => {}
        }
    }

    fn push_event(&mut self, row: &Row, event: &Event, hidden: Option<&Hidden>) {
        match (event, hidden) {
            (Event::AgentThinking {}, Some(Hidden::Thinking { provider, raw })) => {
                if let (Some(provider), Ok(raw)) = (known(provider), RawValue::from_string(raw.clone())) {
                    self.said(Block::Opaque { provider, raw });
                }
            }
            (Event::AgentMessage { content }, _) => content.iter().for_each(|content| self.said(block(content))),
            (
                Event::AgentToolUse { name, input, .. } | Event::AgentCustomToolUse { name, input },
                Some(Hidden::ToolUse { provider_id, .. }),
            ) => {
                self.calls.insert(row.id, provider_id.clone());
                let (id, name, input) = (provider_id.clone(), name.clone(), input.clone());
                self.said(Block::ToolUse(ToolUse { id, name, input, malformed: None }));
            }
            (
                Event::AgentToolResult { tool_use_id, content, is_error }
                | Event::UserToolResult { tool_use_id, content, is_error },
                _,
            ) => {
                self.result(row.position, *tool_use_id, content, *is_error);
            }
            (Event::UserCustomToolResult { custom_tool_use_id, content, is_error }, _) => {
                self.result(row.position, *custom_tool_use_id, content, *is_error);
            }
            (Event::AgentThreadContextCompacted {}, Some(Hidden::Compacted { summary, system, keeps })) => {
                let before = std::mem::take(self);
                self.user(vec![Block::Text(compaction::frame(summary))]);
                if !system.is_empty() {
                    self.instructed(system.iter().map(block).collect());
                }
                if *keeps {
                    self.keep(before);
                }
            }
            _ => {}
        }
    }

    /// Shows again what was not answered before.
    fn keep(&mut self, before: Self) {
        let from = before.unanswered();
        self.calls = before.calls;
        for (place, message) in before.messages.into_iter().enumerate().skip(from) {
            let follows_answer = self.messages.last().is_some_and(|last| last.role == Role::Assistant);
            match message.role {
                Role::User if !follows_answer => self.user(message.content.clone()),
                Role::System => self.instructed(message.content.clone()),
                Role::User | Role::Assistant => self.messages.push(message),
            }
            let moved = before.whole.iter().filter(|whole| whole.message == place);
            let message = self.messages.len().saturating_sub(1);
            self.whole.extend(moved.map(|whole| Place { message, ..*whole }));
        }
    }

    /// Where those messages begin that the model has not answered. The calls of its newest answer stand among them,
    /// before their results.
    fn unanswered(&self) -> usize {
        let newest = self.messages.iter().rposition(|message| message.role == Role::Assistant);
        let is_call = |block: &Block| matches!(block, Block::ToolUse(_));
        newest.map_or(0, |newest| {
            let calls = self.messages.get(newest).is_some_and(|answer| answer.content.iter().any(is_call));
            if calls { newest } else { newest + 1 }
        })
    }

    fn said(&mut self, block: Block) {
        match self.messages.last_mut() {
            Some(last) if last.role == Role::Assistant => Arc::make_mut(last).content.push(block),
            _ => self.messages.push(Arc::new(Message { role: Role::Assistant, content: vec![block] })),
        }
    }

    fn user(&mut self, blocks: Vec<Block>) {
        let place = self.open();
        if let Some(content) = self.content(place) {
            content.extend(blocks);
        }
    }

    fn instructed(&mut self, blocks: Vec<Block>) {
        match self.messages.last_mut() {
            Some(last) if last.role == Role::System => Arc::make_mut(last).content.extend(blocks),
            _ => self.messages.push(Arc::new(Message { role: Role::System, content: blocks })),
        }
    }

    fn result(&mut self, position: u64, call: EventId, content: &[Content], is_error: bool) {
        // A use that was summed up is gone, and a result without its use would be refused.
        let Some(tool_use_id) = self.calls.remove(&call) else { return };
        let content = content.iter().map(block).collect();
        let message = self.open();
        let Some(blocks) = self.content(message) else { return };
        // Something the user said while the tool ran must not come between the use and its result.
        let block = blocks.iter().take_while(|block| matches!(block, Block::ToolResult { .. })).count();
        blocks.insert(block, Block::ToolResult { tool_use_id, content, is_error });
        self.whole.push_back(Place { position, message, block });
    }

    /// Where the user's message stands to which more can be added: that after the last answer, made if there is none. A
    /// system message holds for what the user said with it, and providers take it only behind that.
    fn open(&mut self) -> usize {
        let role = |place: usize| self.messages.get(place).map(|message| message.role);
        let mut end = self.messages.len();
        if end > 0 && role(end - 1) == Some(Role::System) {
            end -= 1;
        }
        if end > 0 && role(end - 1) == Some(Role::User) {
            return end - 1;
        }
        self.messages.insert(end, Arc::new(Message { role: Role::User, content: Vec::new() }));
        end
    }

    fn content(&mut self, message: usize) -> Option<&mut Vec<Block>> {
        self.messages.get_mut(message).map(|message| &mut Arc::make_mut(message).content)
    }

    fn clear(&mut self, before: u64) {
        let is_old = |place: &Place| place.position < before;
        while self.whole.front().is_some_and(is_old) {
            let Some(Place { message, block, .. }) = self.whole.pop_front() else { return };
            let cleared = self.content(message).and_then(|blocks| blocks.get_mut(block));
            if let Some(Block::ToolResult { content, .. }) = cleared {
                *content = vec![Block::Text(CLEARED.to_owned())];
            }
        }
    }

    /// The messages to send: roles take turns, a use's results stand first in the message after it, and a system
    /// message stands behind the user's.
    pub fn messages(&self) -> Vec<Arc<Message>> {
        self.messages.clone()
    }

    /// The messages that are gone after a compaction that keeps what the model has not answered.
    pub fn answered(&self) -> Vec<Arc<Message>> {
        self.messages.get(..self.unanswered()).unwrap_or_default().to_vec()
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
mod caching;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

//! A conversation as plain text, written out for somebody who takes no part in it.
//!
//! Every entry begins with a line in brackets that says whose it is; the entry itself is indented. So nothing that was
//! said can look like the beginning of an entry, or like the end of the conversation.

use std::borrow::Cow;
use std::sync::Arc;

use model::{Block, Message, Role};
use wire::content::Content;

/// How many bytes of one entry are written.
#[derive(Debug, Clone, Copy)]
struct Limits {
    said: usize,
    /// Of what a tool was given, and of what it returned.
    tool: usize,
}

const GENEROUS: Limits = Limits { said: usize::MAX, tool: 4_000 };

/// What is tried one after the other, for the exchanges that are to be kept in any case.
const SHORTER: [Limits; 5] = [
    GENEROUS,
    Limits { said: 16_000, tool: 2_000 },
    Limits { said: 4_000, tool: 1_000 },
    Limits { said: 1_000, tool: 500 },
    Limits { said: 400, tool: 200 },
];

/// Room for the line that says how much is left out.
const NOTE: usize = 64;

/// The conversation in at most `room` bytes. If it is longer, the beginning says what it is all for, and the end says
/// where it stands: what is left out is between them. Exchanges stay whole, so that no result is parted from its call.
pub(super) fn conversation(messages: &[Arc<Message>], room: usize) -> String {
    let exchanges: Vec<_> = messages.chunk_by(|_, next| next.role != Role::Assistant).collect();
    let all: String = exchanges.iter().map(|exchange| written(exchange, GENEROUS)).collect();
    if all.len() <= room {
        return all;
    }
    let Some((first, rest)) = exchanges.split_first() else { return String::new() };
    let mut left = room.saturating_sub(NOTE);
    let share = if rest.is_empty() { left } else { left / 2 };
    let beginning = fitted(first, share).unwrap_or_default();
    left -= beginning.len();
    let mut end = Vec::new();
    for exchange in rest.iter().rev() {
        let text = if end.is_empty() {
            fitted(exchange, left)
        } else {
            Some(written(exchange, GENEROUS)).filter(|text| text.len() <= left)
        };
        let Some(text) = text else { break };
        left -= text.len();
        end.push(text);
    }
    let mut missing: usize = rest.iter().take(rest.len() - end.len()).map(|exchange| exchange.len()).sum();
    if beginning.is_empty() {
        missing += first.len();
    }
    let note = if missing > 0 { format!("[… {missing} messages left out …]\n\n") } else { String::new() };
    [beginning, note].into_iter().chain(end.into_iter().rev()).collect()
}

/// The exchange in at most `room` bytes, as much of it as goes in.
fn fitted(exchange: &[Arc<Message>], room: usize) -> Option<String> {
    SHORTER.iter().map(|limits| written(exchange, *limits)).find(|text| text.len() <= room)
}

/// An answer and what was said after it; or what was said before the first answer.
fn written(exchange: &[Arc<Message>], limits: Limits) -> String {
    let mut text = String::new();
    for message in exchange {
        for block in &message.content {
            entry(&mut text, message.role, block, limits);
        }
    }
    text
}

fn entry(text: &mut String, role: Role, block: &Block, limits: Limits) {
    let who = match role {
        Role::User => "user",
        Role::Assistant => "agent",
        Role::System => "system",
    };
    match block {
        Block::Text(said) if said.trim().is_empty() => {}
        Block::Text(said) => write(text, who, &cut(said, limits.said)),
        Block::Media(_) => write(text, who, &plain(block)),
        Block::ToolUse(call) => {
            let input = serde_json::to_string(&call.input).unwrap_or_default();
            write(text, &format!("{who} calls {}, as {}", call.name, call.id), &cut(&input, limits.tool));
        }
        Block::ToolResult { tool_use_id, content, is_error } => {
            let what = if *is_error { "error" } else { "result" };
            let returned: Vec<_> = content.iter().map(plain).collect();
            write(text, &format!("{what} of {tool_use_id}"), &cut(&returned.join("\n"), limits.tool));
        }
        // Only the provider that made it can read it.
        Block::Opaque { .. } => {}
    }
}

/// A block of a message or a result, without what is no text.
fn plain(block: &Block) -> Cow<'_, str> {
    match block {
        Block::Text(said) => said.as_str().into(),
        Block::Media(raw) => match serde_json::from_str(raw.get()) {
            Ok(Content::Image { .. }) => "[image]".into(),
            Ok(Content::Document { .. }) => "[document]".into(),
            _ => "[content that is no text]".into(),
        },
        Block::ToolUse(_) | Block::ToolResult { .. } | Block::Opaque { .. } => "".into(),
    }
}

fn write(text: &mut String, heading: &str, said: &str) {
    // A name may come from a model, and must stay on its line.
    let heading = heading.replace(['\n', '\r'], " ");
    text.push('[');
    text.push_str(&heading);
    text.push_str("]\n");
    for line in said.trim_end().split(['\n', '\r']) {
        if !line.is_empty() {
            text.push_str("  ");
            text.push_str(line);
        }
        text.push('\n');
    }
    text.push('\n');
}

/// `text` if it is no longer than `limit` bytes, else its beginning and its end.
fn cut(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit {
        return text.into();
    }
    let (head, rest) = text.split_at(text.floor_char_boundary(limit / 2));
    let (middle, tail) = rest.split_at(rest.ceil_char_boundary(rest.len().saturating_sub(limit / 2)));
    format!("{head}\n[… {} characters left out …]\n{tail}", middle.chars().count()).into()
}

//! The one trait of this crate, and what passes through it.

use std::sync::Arc;

use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use crate::Error;

/// A model that can be asked for the next message of a conversation.
///
/// Law: the stream yields any number of block starts and text deltas, then exactly one [`Event::Finished`] or one error,
/// and ends. The text deltas of a block concatenate to its final text. A block's `index` is its place in the finished
/// response's `content`. Dropping the stream closes the connection. Nothing is retried here: the brain decides that.
pub trait Client: Send + Sync {
    fn stream(&self, request: Request) -> BoxStream<'static, Result<Event, Error>>;
}

/// The conversation in its canonical form, the content blocks of the Messages API. Each provider converts at its edge.
#[derive(Debug, Clone)]
pub struct Request {
    /// The id that the provider knows the model by.
    pub model: String,
    pub system: String,
    /// Shared: every request of a conversation brings all of it, and a long one is not copied for that.
    pub messages: Vec<Arc<Message>>,
    pub tools: Vec<Tool>,
    /// Upper bound for the answer, in tokens.
    pub max_tokens: u32,
    pub effort: Option<Effort>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    pub name: String,
    pub description: String,
    pub input_schema: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    User,
    Assistant,
    /// An instruction that holds from its place on, beside the system prompt. Some providers take it only behind a
    /// user's message, and only before the assistant's or as the last.
    System,
}

#[derive(Debug, Clone)]
pub struct Message {
    pub role: Role,
    pub content: Vec<Block>,
}

#[derive(Debug, Clone)]
pub enum Block {
    Text(String),
    /// An `image`, `document` or `search_result` block in the Messages API's JSON.
    Media(Box<RawValue>),
    ToolUse(ToolUse),
    ToolResult {
        tool_use_id: String,
        content: Vec<Block>,
        is_error: bool,
    },
    /// A block that only the provider which made it understands, such as thinking with its signature: sent back to that
    /// provider byte for byte, and left out for any other.
    Opaque {
        provider: &'static str,
        raw: Box<RawValue>,
    },
}

#[derive(Debug, Clone)]
pub struct ToolUse {
    /// The provider's id for the call.
    pub id: String,
    pub name: String,
    pub input: Map<String, Value>,
    /// Why `input` could not be read from what the model wrote; `input` is empty then, and the call must not be run.
    pub malformed: Option<String>,
}

/// What happens while a model answers.
#[derive(Debug, Clone)]
pub enum Event {
    BlockStart { index: usize, kind: Kind },
    TextDelta { index: usize, text: String },
    Finished(Box<Response>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Thinking,
    ToolUse,
}

#[derive(Debug, Clone)]
pub struct Response {
    pub content: Vec<Block>,
    pub stop: Stop,
    pub usage: Usage,
    /// The model that answered, as the provider names it.
    pub model: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    EndTurn,
    ToolUse,
    /// The answer was cut at `max_tokens` or at the end of the context window.
    MaxTokens,
    /// `category` and `explanation` as the provider gives them, if it does.
    Refusal {
        category: Option<String>,
        explanation: Option<String>,
    },
}

impl Stop {
    /// The stop of an answer that came to its own end: compatible servers disagree about the word for it, but an answer
    /// that holds a tool use always wants its results.
    pub(crate) fn natural(content: &[Block]) -> Self {
        if content.iter().any(|block| matches!(block, Block::ToolUse(_))) { Self::ToolUse } else { Self::EndTurn }
    }
}

/// Tokens of one request. `input` counts uncached tokens only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub input: u64,
    pub output: u64,
    pub cache_read: u64,
    pub cache_write_5m: u64,
    pub cache_write_1h: u64,
}

//! An output item while it arrives.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::PROVIDER;
use crate::{Block, Error, Kind, ToolUse, http::read, tool_input};

/// The type of an item. It is read alone: an unknown item may use the other names for anything.
pub(super) fn kind_of(raw: &RawValue) -> Result<String, Error> {
    #[derive(Deserialize)]
    struct Head {
        #[serde(rename = "type")]
        kind: String,
    }
    read(raw.get()).map(|head: Head| head.kind)
}

/// The fields that we read of a message or a function call.
#[derive(Debug, Deserialize)]
struct Item {
    call_id: Option<String>,
    name: Option<String>,
    arguments: Option<String>,
    content: Option<Vec<Part>>,
}

#[derive(Debug, Deserialize)]
struct Part {
    text: Option<String>,
    refusal: Option<String>,
}

#[derive(Debug)]
pub(super) enum Building {
    Message(String),
    Call {
        id: String,
        name: String,
        arguments: String,
    },
    /// Reasoning, and item types that we do not know: the provider's JSON of the whole item.
    Opaque(Box<RawValue>),
}

impl Building {
    pub(super) fn start(raw: Box<RawValue>) -> Result<Self, Error> {
        Ok(match kind_of(&raw)?.as_str() {
            "message" => Self::Message(String::new()),
            "function_call" => {
                let item: Item = read(raw.get())?;
                // The deltas that follow begin from nothing, whatever arguments stand here.
                let (id, name) = (item.call_id.unwrap_or_default(), item.name.unwrap_or_default());
                Self::Call { id, name, arguments: String::new() }
            }
            _ => Self::Opaque(raw),
        })
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Message(_) => Kind::Text,
            Self::Call { .. } => Kind::ToolUse,
            Self::Opaque(_) => Kind::Thinking,
        }
    }

    /// Takes the finished item. Returns what of its text was not streamed, and its refusal if it is one.
    pub(super) fn complete(&mut self, raw: Box<RawValue>) -> Result<(String, Option<String>), Error> {
        match self {
            Self::Opaque(start) => {
                *start = raw;
                Ok((String::new(), None))
            }
            Self::Call { id, name, arguments } => {
                let item: Item = read(raw.get())?;
                for (field, whole) in [(id, item.call_id), (name, item.name), (arguments, item.arguments)] {
                    if let Some(whole) = whole.filter(|whole| !whole.is_empty()) {
                        *field = whole;
                    }
                }
                Ok((String::new(), None))
            }
            Self::Message(text) => {
                let item: Item = read(raw.get())?;
                let parts = item.content.unwrap_or_default();
                let whole: String =
                    parts.iter().filter_map(|part| part.text.as_deref().or(part.refusal.as_deref())).collect();
                let refusal = parts.into_iter().find_map(|part| part.refusal);
                // Streamed text stays as readers saw it; only what is missing at its end is added.
                let rest = whole.strip_prefix(text.as_str()).unwrap_or_default().to_owned();
                text.push_str(&rest);
                Ok((rest, refusal))
            }
        }
    }

    pub(super) fn finish(self) -> Block {
        match self {
            Self::Message(text) => Block::Text(text),
            Self::Call { id, name, arguments } => {
                let (input, malformed) = tool_input::parse(&arguments);
                Block::ToolUse(ToolUse { id, name, input, malformed })
            }
            Self::Opaque(raw) => Block::Opaque { provider: PROVIDER, raw },
        }
    }
}

//! A content block while it arrives.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};

use super::PROVIDER;
use crate::{Block, Error, Kind, ToolUse, http::read, tool_input};

/// What a `content_block_delta` adds.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "the names of the wire")]
pub(super) enum Delta {
    TextDelta {
        text: String,
    },
    InputJsonDelta {
        partial_json: String,
    },
    ThinkingDelta {
        thinking: String,
    },
    SignatureDelta {
        signature: String,
    },
    /// Citations among others: the text that they belong to comes without them.
    #[serde(other)]
    Other,
}

#[derive(Debug)]
pub(super) enum Building {
    Text(String),
    ToolUse {
        id: String,
        name: String,
        /// What some servers send whole at the start.
        input: Map<String, Value>,
        json: String,
    },
    Opaque(Opaque),
}

/// A block that only the provider reads. Fields that it grows in deltas are collected; all others stay as they came.
#[derive(Debug)]
pub(super) struct Opaque {
    start: Box<RawValue>,
    thinking: Option<String>,
    signature: Option<String>,
    json: String,
}

impl Building {
    pub(super) fn start(raw: Box<RawValue>) -> Result<Self, Error> {
        let mut fields: Map<String, Value> = read(raw.get())?;
        let mut take = |name: &str| match fields.remove(name) {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        Ok(match take("type").as_str() {
            "text" => Self::Text(take("text")),
            "tool_use" => {
                let (id, name) = (take("id"), take("name"));
                let input = match fields.remove("input") {
                    Some(Value::Object(input)) => input,
                    _ => Map::new(),
                };
                Self::ToolUse { id, name, input, json: String::new() }
            }
            "thinking" => {
                let thinking = Some(take("thinking")).filter(|thinking| !thinking.is_empty());
                Self::Opaque(Opaque { start: raw, thinking, signature: None, json: String::new() })
            }
            _ => Self::Opaque(Opaque { start: raw, thinking: None, signature: None, json: String::new() }),
        })
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::ToolUse { .. } => Kind::ToolUse,
            Self::Opaque(_) => Kind::Thinking,
        }
    }

    /// Adds a delta, and returns the text that a reader may see of it.
    pub(super) fn add(&mut self, delta: Delta) -> Option<String> {
        match (self, delta) {
            (Self::Text(text), Delta::TextDelta { text: more }) => {
                text.push_str(&more);
                return Some(more);
            }
            (Self::ToolUse { json, .. }, Delta::InputJsonDelta { partial_json }) => json.push_str(&partial_json),
            (Self::Opaque(opaque), Delta::InputJsonDelta { partial_json }) => opaque.json.push_str(&partial_json),
            (Self::Opaque(opaque), Delta::ThinkingDelta { thinking }) => {
                opaque.thinking.get_or_insert_default().push_str(&thinking);
            }
            // The signature comes whole, after the thinking that it signs.
            (Self::Opaque(opaque), Delta::SignatureDelta { signature }) => opaque.signature = Some(signature),
            _ => {}
        }
        None
    }

    pub(super) fn finish(self) -> Block {
        match self {
            Self::Text(text) => Block::Text(text),
            Self::ToolUse { id, name, input, json } if json.trim().is_empty() => {
                Block::ToolUse(ToolUse { id, name, input, malformed: None })
            }
            Self::ToolUse { id, name, json, .. } => {
                let (input, malformed) = tool_input::parse(&json);
                Block::ToolUse(ToolUse { id, name, input, malformed })
            }
            Self::Opaque(opaque) => Block::Opaque { provider: PROVIDER, raw: opaque.finish() },
        }
    }
}

impl Opaque {
    /// The block's JSON as the API wants it back: the start's own bytes if nothing was added to them.
    fn finish(self) -> Box<RawValue> {
        let mut grown: Vec<(&str, Box<RawValue>)> = Vec::new();
        let texts = [("thinking", self.thinking), ("signature", self.signature)];
        for (name, text) in texts {
            if let Some(text) = text
                && let Ok(raw) = to_raw_value(&text)
            {
                grown.push((name, raw));
            }
        }
        if let Ok(input) = RawValue::from_string(self.json) {
            grown.push(("input", input));
        }
        if grown.is_empty() {
            return self.start;
        }
        let Ok(mut fields) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(self.start.get()) else {
            return self.start;
        };
        fields.extend(grown.into_iter().map(|(name, raw)| (name.to_owned(), raw)));
        to_raw_value(&fields).unwrap_or(self.start)
    }
}

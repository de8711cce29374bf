//! What a turn expects of the conversation, checked before it is played.

use serde::Deserialize;

use super::conversation::{Conversation, End};
use crate::text::bounded;

/// How much of what came instead is quoted.
const QUOTE: usize = 500;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Expect {
    last: Option<Last>,
    contains: Texts,
    not_contains: Texts,
    is_error: Option<bool>,
    /// In the newest system message.
    system: Texts,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Last {
    User,
    ToolResult,
}

/// One text, or a list of them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

impl Default for Texts {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Texts {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

impl Expect {
    /// The first expectation that is not met and what came instead, as the end of a sentence.
    pub(super) fn unmet(&self, conversation: &Conversation) -> Option<String> {
        let (text, any_error) = match &conversation.ends {
            End::Results { any_error } => (&conversation.last_result, Some(*any_error)),
            End::User | End::Nothing => (&conversation.last_text, None),
        };
        let instead = || format!("the last message says:\n\n{}", bounded(text, QUOTE));
        match (self.last, &conversation.ends) {
            (Some(Last::User), End::Results { .. }) => {
                return Some(format!("it expected a user's message, but a tool result came: {}", instead()));
            }
            (Some(Last::User), End::Nothing) => return Some("it expected a user's message, but none came".to_owned()),
            (Some(Last::ToolResult), End::User | End::Nothing) => {
                return Some(format!("it expected a tool result, but none came: {}", instead()));
            }
            _ => {}
        }
        if let Some(expected) = self.is_error
            && any_error != Some(expected)
        {
            let wish = if expected { "a tool call to fail" } else { "every tool call to succeed" };
            return Some(format!("it expected {wish}, but {}", instead()));
        }
        let missing = self.contains.as_slice().iter().find(|part| !text.contains(part.as_str()));
        if let Some(part) = missing {
            return Some(format!("it expected the text {part:?} in the last message, but {}", instead()));
        }
        let untold = self.system.as_slice().iter().find(|part| !conversation.last_system.contains(part.as_str()));
        if let Some(part) = untold {
            return Some(format!("it expected the text {part:?} in a system message, but {}", instead()));
        }
        let present = self.not_contains.as_slice().iter().find(|part| text.contains(part.as_str()));
        present.map(|part| format!("it expected the last message not to hold the text {part:?}, but {}", instead()))
    }
}

//! What a script sees of a conversation.

use crate::{Block, Message, Request, Role};

#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// Turns played already: the assistant messages, and as many as a summary says that there were before.
    pub(super) played: usize,
    /// The text of the first message: tells one conversation from another.
    pub(super) first_text: String,
    /// The text of the newest user message that has any.
    pub(super) last_text: String,
    /// The text of the newest message with tool results, all of them together.
    pub(super) last_result: String,
    /// The text of the newest system message.
    pub(super) last_system: String,
    pub(super) ends: End,
    /// About as many as a tokenizer would find in the whole request.
    pub(super) tokens: u64,
}

/// What the conversation ends with.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing to answer: no message, or the assistant's own.
    #[default]
    Nothing,
    User,
    Results {
        any_error: bool,
    },
}

impl Conversation {
    pub(super) fn of(request: &Request) -> Self {
        let messages = &request.messages;
        let newest = |role: Role, part: fn(&Message) -> String| {
            let mut parts = messages.iter().rev().filter(|message| message.role == role).map(|message| part(message));
            parts.find(|text| !text.is_empty()).unwrap_or_default()
        };
        let first_text = messages.first().and_then(|message| message.content.iter().find_map(text)).unwrap_or_default();
        // A system message stands behind what the user said, and is no answer's cause by itself.
        let last = messages.iter().rfind(|message| message.role != Role::System);
        Self {
            played: messages.iter().filter(|message| message.role == Role::Assistant).count() + before(&first_text),
            first_text,
            last_text: newest(Role::User, said),
            last_result: newest(Role::User, returned),
            last_system: newest(Role::System, said),
            ends: last.map(|message| end(message)).unwrap_or_default(),
            tokens: tokens(request),
        }
    }
}

/// The answers that a summary stands for, if it says how many they were.
fn before(first_text: &str) -> usize {
    let said = first_text.split_once("[answers before: ").and_then(|(_, rest)| rest.split_once(']'));
    said.and_then(|(number, _)| number.parse::<u16>().ok()).map_or(0, usize::from)
}

fn text(block: &Block) -> Option<String> {
    match block {
        Block::Text(text) => Some(text.clone()),
        _ => None,
    }
}

/// About four characters are one token. A model's count differs; what matters is that it is the same every time.
pub(super) fn tokens_of(characters: usize) -> u64 {
    u64::try_from(characters.div_ceil(4)).unwrap_or(u64::MAX)
}

fn tokens(request: &Request) -> u64 {
    let tools =
        request.tools.iter().map(|tool| tool.name.len() + tool.description.len() + tool.input_schema.to_string().len());
    let blocks = request.messages.iter().flat_map(|message| &message.content).map(size);
    tokens_of(request.system.len() + tools.sum::<usize>() + blocks.sum::<usize>())
}

fn size(block: &Block) -> usize {
    match block {
        Block::Text(text) => text.len(),
        Block::Media(raw) | Block::Opaque { raw, .. } => raw.get().len(),
        Block::ToolUse(call) => {
            call.name.len() + call.input.iter().map(|(name, value)| name.len() + value.to_string().len()).sum::<usize>()
        }
        Block::ToolResult { content, .. } => content.iter().map(size).sum(),
    }
}

fn end(message: &Message) -> End {
    let results = message.content.iter().filter_map(|block| match block {
        Block::ToolResult { is_error, .. } => Some(*is_error),
        _ => None,
    });
    match (message.role, results.reduce(|one, other| one || other)) {
        (Role::Assistant | Role::System, _) => End::Nothing,
        (Role::User, None) => End::User,
        (Role::User, Some(any_error)) => End::Results { any_error },
    }
}

fn said(message: &Message) -> String {
    texts(&message.content)
}

fn returned(message: &Message) -> String {
    let results = message.content.iter().filter_map(|block| match block {
        Block::ToolResult { content, .. } => Some(texts(content)),
        _ => None,
    });
    results.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

fn texts(content: &[Block]) -> String {
    let texts = content.iter().filter_map(|block| match block {
        Block::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{assistant, request, system, text, tool_result, tool_use, user};

    #[test]
    fn the_turn_is_counted_and_the_newest_texts_are_found() {
        let conversation = Conversation::of(&request(vec![
            user(vec![text("Go")]),
            assistant(vec![tool_use("a", "bash", json!({})), tool_use("b", "bash", json!({}))]),
            user(vec![tool_result("a", vec![text("one\n")], false), tool_result("b", vec![text("two\n")], true)]),
        ]));
        assert_eq!(conversation.played, 1);
        assert_eq!(conversation.last_text, "Go");
        assert_eq!(conversation.last_result, "one\n\ntwo");
        assert_eq!(conversation.ends, End::Results { any_error: true });
    }

    #[test]
    fn a_system_message_is_seen_and_changes_nothing_else() {
        let conversation = Conversation::of(&request(vec![user(vec![text("Go")]), system(vec![text("Be brief.")])]));
        assert_eq!((conversation.last_text.as_str(), conversation.last_system.as_str()), ("Go", "Be brief."));
        assert_eq!(conversation.ends, End::User);
    }

    #[test]
    fn a_summary_tells_how_many_answers_it_stands_for() {
        let played = |first: &str| Conversation::of(&request(vec![user(vec![text(first)]), assistant(vec![])])).played;
        assert_eq!(played("so far [answers before: 4] and on"), 5);
        assert_eq!(played("so far [answers before: many] and on"), 1);
        assert_eq!(played("so far"), 1);
    }

    #[test]
    fn the_count_of_tokens_grows_with_the_conversation() {
        let short = Conversation::of(&request(vec![user(vec![text("Go")])])).tokens;
        let long = Conversation::of(&request(vec![user(vec![text(&"word ".repeat(80))])])).tokens;
        assert!(short > 0 && long >= short + 99, "{short} {long}");
    }
}

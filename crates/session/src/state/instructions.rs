//! The system messages of a thread, which hold from when they are taken up to the end of the session.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wire::content::Content;
use wire::event::Event;

/// The most texts that are held: as many as one system message may have.
const MAX_TEXTS: usize = 1_000;

/// The most characters: as many as an agent's system prompt may have.
const MAX_CHARACTERS: usize = 100_000;

/// What every summary must leave in force. Beyond its bounds the oldest messages are left to the summary's words.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Instructions {
    held: VecDeque<Instruction>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Instruction {
    /// Where it was taken up.
    position: u64,
    event: Arc<Event>,
}

impl Instruction {
    fn texts(&self) -> &[Content] {
        match &*self.event {
            Event::SystemMessage { content } => content,
            _ => &[],
        }
    }
}

impl Instructions {
    pub(super) fn hold(&mut self, position: u64, event: Arc<Event>) {
        self.held.push_back(Instruction { position, event });
        while self.is_too_much() {
            self.held.pop_front();
        }
    }

    pub(super) fn forget(&mut self) {
        self.held.clear();
    }

    /// The texts of the messages up to this position, in order.
    pub(crate) fn up_to(&self, position: u64) -> Vec<Content> {
        let messages = self.held.iter().take_while(|instruction| instruction.position <= position);
        messages.flat_map(Instruction::texts).cloned().collect()
    }

    fn is_too_much(&self) -> bool {
        let (mut texts, mut characters) = (0, 0);
        for content in self.held.iter().flat_map(Instruction::texts) {
            texts += 1;
            if let Content::Text { text } = content {
                characters += text.chars().count();
            }
        }
        texts > MAX_TEXTS || characters > MAX_CHARACTERS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(texts: impl IntoIterator<Item = String>) -> Arc<Event> {
        Arc::new(Event::SystemMessage { content: texts.into_iter().map(Content::text).collect() })
    }

    fn one(text: &str) -> Arc<Event> {
        message([text.to_owned()])
    }

    #[test]
    fn what_holds_is_told_in_order_up_to_a_position() {
        let mut instructions = Instructions::default();
        instructions.hold(3, one("be brief"));
        instructions.hold(7, message(["in French".into(), "or in Dutch".into()]));
        assert_eq!(instructions.up_to(6), [Content::text("be brief")]);
        assert_eq!(instructions.up_to(7), ["be brief", "in French", "or in Dutch"].map(Content::text));
        instructions.forget();
        assert!(instructions.up_to(u64::MAX).is_empty());
    }

    #[test]
    fn beyond_the_bounds_the_oldest_go() {
        let mut instructions = Instructions::default();
        instructions.hold(1, one("be brief"));
        instructions.hold(2, one(&"é".repeat(MAX_CHARACTERS - 8)));
        assert_eq!(instructions.up_to(u64::MAX).len(), 2, "characters are counted, not bytes");
        instructions.hold(3, one("!"));
        assert_eq!(instructions.up_to(2).len(), 1);
        instructions.hold(4, message((0..MAX_TEXTS).map(|text| text.to_string())));
        assert!(instructions.up_to(3).is_empty());
        assert_eq!(instructions.up_to(4).len(), MAX_TEXTS);
    }

    #[test]
    fn one_that_is_more_than_may_be_held_is_not() {
        let mut instructions = Instructions::default();
        instructions.hold(1, one(&"x".repeat(MAX_CHARACTERS + 1)));
        assert_eq!(instructions, Instructions::default());
    }
}

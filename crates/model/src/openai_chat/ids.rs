//! Ids of tool calls. Some servers leave them out, and some start again at `call_0` in every answer; a conversation must
//! not hold the same id twice, or a result would answer two calls.

use std::collections::HashSet;
use std::sync::Arc;

use crate::{Block, Message};

#[derive(Debug, Default)]
pub(super) struct Ids {
    used: HashSet<String>,
}

impl Ids {
    /// The ids that the conversation holds already.
    pub(super) fn of(messages: &[Arc<Message>]) -> Self {
        let blocks = messages.iter().flat_map(|message| &message.content);
        let id = |block: &Block| match block {
            Block::ToolUse(call) => Some(call.id.clone()),
            _ => None,
        };
        Self { used: blocks.filter_map(id).collect() }
    }

    /// The server's id if it is a new one, else the first free `call_<n>`: the same for the same conversation, so that a
    /// repeated request gives the same ids.
    pub(super) fn claim(&mut self, given: &str) -> String {
        if !given.is_empty() && self.used.insert(given.to_owned()) {
            return given.to_owned();
        }
        let mut number = self.used.len() + 1;
        loop {
            let id = format!("call_{number}");
            if self.used.insert(id.clone()) {
                return id;
            }
            number += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Ids;
    use crate::testing::{assistant, tool_use};

    #[test]
    fn no_id_is_given_twice() {
        let mut ids =
            Ids::of(&[assistant(vec![tool_use("call_0", "a", json!({})), tool_use("call_4", "a", json!({}))])]);
        let claimed: Vec<_> = ["call_0", "", "x", "x"].into_iter().map(|given| ids.claim(given)).collect();
        assert_eq!(claimed, ["call_3", "call_5", "x", "call_6"]);
    }
}

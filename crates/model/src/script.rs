//! A model that plays a script: for the demo, for tests, and for trying a server without any model.
//!
//! A script is YAML:
//!
//! ```yaml
//! turns:                       # one entry for each request to the model
//!   - expect: { last: user, contains: "text" }   # checked before the turn; also not_contains, is_error, and system:
//!                              # a text in the newest system message
//!     think: a thought         # becomes a thinking block
//!     say: "You said {{last_text}}"               # streamed word by word; {{last_result}} is the last tool result,
//!                              # {{last_system}} the last system message
//!     delay_ms: 20             # between the words
//!     call:                    # any number of tool calls
//!       - { tool: bash, input: { command: "ls" } }
//!       - { tool: bash, malformed_input: "not json {" }
//!     stop: tool_use           # end_turn, tool_use, max_tokens or refusal; what fits the turn if left out
//!     usage: { input: 9000, output: 50, cache_read: 0 }   # tokens; what is left out is counted, and nothing cached
//!     fail: { error: overloaded, after_deltas: 2, times: 1, retry_after_ms: 500 }
//!     endless: false           # true streams `say` over and over until the stream is dropped
//! then: { say: "..." }         # once the turns are used up; `then: restart` begins again
//! asides:                      # answers to requests beside the conversation, such as for a summary of it
//!   - when: sum up             # a text in the request's system prompt; else a turn like the others
//!     say: "They want a list. [answers before: 4]"
//! ```
//!
//! The errors of `fail` are `overloaded`, `rate_limited`, `server`, `connection`, `unauthorized`, `billing`, `invalid`,
//! `malformed` and `too_long`.
//!
//! Which turn is due is counted from the conversation: as many as it holds assistant messages. So a script has no
//! memory that a restart could lose, and several conversations can play it at once. A conversation that was summed up
//! holds fewer: a summary that says `[answers before: 4]` makes up for those that are gone. Only `fail` counts for
//! itself: it fails `times` times for each conversation, told apart by its first text, then the turn is played. A turn
//! whose `expect` is not met says so in plain words and ends.

mod conversation;
mod expect;
mod format;
mod play;
mod template;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::BoxStream;

use self::{
    conversation::Conversation,
    format::{File, Then, Turn},
};
use crate::{Client, Error, Event, Request};

/// The mark of this provider on [`crate::Block::Opaque`].
pub const PROVIDER: &str = "script";

const BUILTIN: &[(&str, &str)] = &[
    ("demo", include_str!("script/demo.yaml")),
    ("echo", include_str!("script/echo.yaml")),
    ("hello", include_str!("script/hello.yaml")),
];

/// Why a script cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the script `{name}` cannot be read: {reason}")]
pub struct ScriptError {
    pub name: String,
    pub reason: String,
}

/// A script, ready to play. Clones share the count of the failures.
#[derive(Debug, Clone)]
pub struct Script {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: String,
    turns: Vec<Turn>,
    /// What is played once the turns are used up, unless they start again.
    then: Turn,
    restart: bool,
    asides: Vec<Turn>,
    /// How often each turn was due to fail in the conversation with this first text.
    failures: Mutex<HashMap<(String, usize), u32>>,
}

/// The built-in script of that name. The route `script/<name>` plays it.
pub fn builtin(name: &str) -> Option<Script> {
    let (name, yaml) = BUILTIN.iter().find(|(known, _)| *known == name)?;
    // That each of them can be read is tested below.
    Script::parse(name, yaml).ok()
}

pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    BUILTIN.iter().map(|(name, _)| *name)
}

impl Script {
    /// `name` is for messages: what fails says which script it was.
    pub fn parse(name: &str, yaml: &str) -> Result<Self, ScriptError> {
        let refused = |reason: String| ScriptError { name: name.to_owned(), reason };
        // Unquoted words such as `yes` stay words; only true and false are truth values.
        let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
        let file: File =
            serde_saphyr::from_str_with_options(yaml, options).map_err(|error| refused(error.to_string()))?;
        if file.turns.is_empty() && !matches!(file.then, Some(Then::Turn(_))) {
            return Err(refused("it has no turns".to_owned()));
        }
        let (then, restart) = match file.then {
            Some(Then::Turn(turn)) => (*turn, false),
            Some(Then::Restart) => (no_more(), true),
            None => (no_more(), false),
        };
        for (place, turn) in file.turns.iter().chain([&then]).enumerate() {
            if let Some(what) = turn.contradiction(false) {
                return Err(refused(format!("turn {}: {what}", place + 1)));
            }
        }
        for (place, aside) in file.asides.iter().enumerate() {
            if let Some(what) = aside.contradiction(true) {
                return Err(refused(format!("aside {}: {what}", place + 1)));
            }
        }
        let File { turns, asides, .. } = file;
        let (name, failures) = (name.to_owned(), Mutex::default());
        Ok(Self { inner: Arc::new(Inner { name, turns, then, restart, asides, failures }) })
    }

    pub fn name(&self) -> &str {
        &self.inner.name
    }
}

/// What is to be played.
struct Due<'a> {
    turn: &'a Turn,
    /// In `failures`.
    place: usize,
    /// For the complaint about what was expected of it.
    name: String,
}

impl Inner {
    fn due(&self, request: &Request, played: usize) -> Due<'_> {
        if let Some((place, turn)) = self.aside(&request.system) {
            return Due { turn, place: self.turns.len() + 1 + place, name: format!("aside {}", place + 1) };
        }
        let place =
            if self.restart { played.checked_rem(self.turns.len()).unwrap_or(0) } else { played.min(self.turns.len()) };
        Due { turn: self.turns.get(place).unwrap_or(&self.then), place, name: format!("turn {}", played + 1) }
    }

    fn aside(&self, system: &str) -> Option<(usize, &Turn)> {
        let answers = |aside: &Turn| aside.when.as_ref().is_some_and(|when| system.contains(when.as_str()));
        self.asides.iter().enumerate().find(|place| answers(place.1))
    }

    /// The error that the turn fails with this time, if it still has failures left, and how many text deltas come first.
    fn failure(&self, turn: &Turn, place: usize, conversation: &Conversation) -> Option<(Error, usize)> {
        let fail = turn.fail.as_ref()?;
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = failures.entry((conversation.first_text.clone(), place)).or_default();
        if *failed >= fail.times {
            return None;
        }
        *failed += 1;
        Some((fail.error(&self.name), fail.after_deltas))
    }
}

/// The turn after the last one of a script that says nothing about it.
fn no_more() -> Turn {
    Turn { say: Some("The script has no more turns.".to_owned()), ..Turn::default() }
}

impl Client for Script {
    fn stream(&self, request: Request) -> BoxStream<'static, Result<Event, Error>> {
        let conversation = Conversation::of(&request);
        let Due { turn, place, name } = self.inner.due(&request, conversation.played);
        let performance = match turn.expect.as_ref().and_then(|expect| expect.unmet(&conversation)) {
            Some(unmet) => play::complaint(&self.inner.name, &conversation, format!("in {name} {unmet}")),
            None => play::turn(&self.inner.name, turn, &conversation, self.inner.failure(turn, place, &conversation)),
        };
        performance.stream()
    }
}

#[cfg(test)]
mod tests;

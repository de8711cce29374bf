//! A turn as the stream of events that a model would give.

use std::time::Duration;

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde_json::{json, value::to_raw_value};

use super::{
    PROVIDER,
    conversation::{Conversation, tokens_of},
    format::{Call, Counts, StopName, Turn},
    template::{fill, fill_value},
};
use crate::{Block, Error, Event, Kind, Response, Stop, ToolUse, Usage, tool_input};

/// An endless turn must leave room for others, whatever its script says.
const LEAST_ENDLESS_DELAY: Duration = Duration::from_millis(5);

/// One turn, ready to be streamed.
pub(super) struct Performance {
    steps: Box<dyn Iterator<Item = Step> + Send>,
}

enum Step {
    Event(Event),
    Pause(Duration),
    Fail(Error),
}

impl Performance {
    pub(super) fn stream(self) -> BoxStream<'static, Result<Event, Error>> {
        let items = stream::iter(self.steps).filter_map(|step| async move {
            match step {
                Step::Event(event) => Some(Ok(event)),
                Step::Fail(error) => Some(Err(error)),
                Step::Pause(pause) => {
                    tokio::time::sleep(pause).await;
                    None
                }
            }
        });
        items.boxed()
    }
}

/// An answer that says what went wrong with the script itself, and ends the turn.
pub(super) fn complaint(script: &str, conversation: &Conversation, what: String) -> Performance {
    let content = vec![Block::Text(format!("The script `{script}` stops here: {what}"))];
    let steps = events(script, conversation, content, (Stop::EndTurn, Counts::default()), Duration::ZERO);
    Performance { steps: Box::new(steps.into_iter()) }
}

/// `failure` is the error to end with, and the number of text deltas before it.
pub(super) fn turn(
    script: &str,
    turn: &Turn,
    conversation: &Conversation,
    failure: Option<(Error, usize)>,
) -> Performance {
    let delay = Duration::from_millis(turn.delay_ms);
    if turn.endless {
        let said = fill(turn.say.as_deref().unwrap_or("and so on "), conversation);
        return Performance { steps: endless(said, delay.max(LEAST_ENDLESS_DELAY)) };
    }
    let content = content(turn, conversation);
    let stop = match turn.stop {
        None => Stop::natural(&content),
        Some(StopName::EndTurn) => Stop::EndTurn,
        Some(StopName::ToolUse) => Stop::ToolUse,
        Some(StopName::MaxTokens) => Stop::MaxTokens,
        Some(StopName::Refusal) => Stop::Refusal { category: None, explanation: None },
    };
    let mut steps = events(script, conversation, content, (stop, turn.usage), delay);
    if let Some((error, after)) = failure {
        cut(&mut steps, after);
        steps.push(Step::Fail(error));
    }
    Performance { steps: Box::new(steps.into_iter()) }
}

/// Keeps what comes before the text delta number `after`, counted from 0, and never the finish.
fn cut(steps: &mut Vec<Step>, after: usize) {
    if after == 0 {
        return steps.clear();
    }
    let deltas = steps.iter().enumerate().filter(|(_, step)| matches!(step, Step::Event(Event::TextDelta { .. })));
    let end = deltas.map(|(place, _)| place).nth(after - 1).map_or(steps.len(), |place| place + 1);
    steps.truncate(end);
    steps.retain(|step| !matches!(step, Step::Event(Event::Finished(_))));
}

fn content(turn: &Turn, conversation: &Conversation) -> Vec<Block> {
    let mut content = Vec::new();
    if let Some(thought) = &turn.think {
        let thinking = json!({"type": "thinking", "thinking": fill(thought, conversation)});
        if let Ok(raw) = to_raw_value(&thinking) {
            content.push(Block::Opaque { provider: PROVIDER, raw });
        }
    }
    if let Some(text) = &turn.say {
        content.push(Block::Text(fill(text, conversation)));
    }
    let calls = turn.call.iter().enumerate();
    content.extend(calls.map(|(place, call)| Block::ToolUse(tool_use(call, place + 1, conversation))));
    content
}

fn tool_use(call: &Call, number: usize, conversation: &Conversation) -> ToolUse {
    let (input, malformed) = match &call.malformed_input {
        Some(written) => tool_input::parse(written),
        None => {
            let filled = call.input.iter().map(|(name, value)| (name.clone(), fill_value(value, conversation)));
            (filled.collect(), None)
        }
    };
    let id = format!("toolu_script_{}_{number}", conversation.played + 1);
    ToolUse { id, name: call.tool.clone(), input, malformed }
}

/// `end` is what the response says of itself.
fn events(
    script: &str,
    conversation: &Conversation,
    content: Vec<Block>,
    end: (Stop, Counts),
    delay: Duration,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut written = 0;
    for (index, block) in content.iter().enumerate() {
        match block {
            Block::Text(text) => {
                written += text.len();
                steps.push(Step::Event(Event::BlockStart { index, kind: Kind::Text }));
                for word in words(text) {
                    steps.push(Step::Event(Event::TextDelta { index, text: word }));
                    if !delay.is_zero() {
                        steps.push(Step::Pause(delay));
                    }
                }
            }
            Block::ToolUse(call) => {
                written += call.name.len() + json!(call.input).to_string().len();
                steps.push(Step::Event(Event::BlockStart { index, kind: Kind::ToolUse }));
            }
            Block::Opaque { raw, .. } => {
                written += raw.get().len();
                steps.push(Step::Event(Event::BlockStart { index, kind: Kind::Thinking }));
            }
            Block::Media(_) | Block::ToolResult { .. } => {}
        }
    }
    let (stop, counts) = end;
    let usage = Usage {
        input: counts.input.unwrap_or(conversation.tokens),
        output: counts.output.unwrap_or_else(|| tokens_of(written)),
        cache_read: counts.cache_read.unwrap_or(0),
        ..Usage::default()
    };
    let response = Response { content, stop, usage, model: format!("script/{script}") };
    steps.push(Step::Event(Event::Finished(Box::new(response))));
    steps
}

fn endless(text: String, delay: Duration) -> Box<dyn Iterator<Item = Step> + Send> {
    let start = Step::Event(Event::BlockStart { index: 0, kind: Kind::Text });
    let words = if text.trim().is_empty() { words("and so on ") } else { words(&format!("{text} ")) };
    let steps = words
        .into_iter()
        .cycle()
        .flat_map(move |word| [Step::Event(Event::TextDelta { index: 0, text: word }), Step::Pause(delay)]);
    Box::new(std::iter::once(start).chain(steps))
}

/// Each word with the white space after it, so that they concatenate to the text.
fn words(text: &str) -> Vec<String> {
    text.split_inclusive(char::is_whitespace).map(str::to_owned).collect()
}

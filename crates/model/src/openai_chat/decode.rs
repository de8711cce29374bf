//! The chunks of a chat completion, put together into one response.

use serde_json::{json, value::to_raw_value};
use wire::sse::Frame;

use super::{
    PROVIDER,
    chunk::{CallDelta, Choice, Chunk, Delta},
    ids::Ids,
};
use crate::{
    Block, Error, Event, Kind, Response, Stop, ToolUse, Usage,
    http::{Decode, Envelope, read},
    tool_input,
};

pub(super) struct Decoder {
    model: String,
    ids: Ids,
    /// Thinking and text, in the order in which they began; one of each at most.
    prose: Vec<(Kind, String)>,
    /// Calls come after the prose whatever the server's order: their places are known at the end only.
    calls: Vec<Call>,
    refusal: Option<String>,
    finish_reason: Option<String>,
    usage: Usage,
}

#[derive(Default)]
struct Call {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

impl Decoder {
    pub(super) fn new(model: String, ids: Ids) -> Self {
        Self {
            model,
            ids,
            prose: Vec::new(),
            calls: Vec::new(),
            refusal: None,
            finish_reason: None,
            // A server that never counts leaves zeros: a guess would be billed as if it were a fact.
            usage: Usage::default(),
        }
    }

    fn choice(&mut self, choice: Choice, events: &mut Vec<Event>) {
        if let Some(reason) = choice.finish_reason {
            self.finish_reason = Some(reason);
        }
        let Some(delta) = choice.delta else { return };
        self.prose(Kind::Thinking, delta.thinking(), events);
        self.prose(Kind::Text, &delta.text(), events);
        self.delta(delta, events);
    }

    fn delta(&mut self, delta: Delta, events: &mut Vec<Event>) {
        if let Some(refusal) = delta.refusal.filter(|refusal| !refusal.is_empty()) {
            self.prose(Kind::Text, &refusal, events);
            self.refusal.get_or_insert_default().push_str(&refusal);
        }
        for call in delta.tool_calls.unwrap_or_default() {
            self.call(call);
        }
    }

    fn prose(&mut self, kind: Kind, more: &str, events: &mut Vec<Event>) {
        if more.is_empty() {
            return;
        }
        let index = match self.prose.iter().position(|(known, _)| *known == kind) {
            Some(index) => index,
            None => {
                self.prose.push((kind, String::new()));
                let index = self.prose.len() - 1;
                events.push(Event::BlockStart { index, kind });
                index
            }
        };
        if let Some((_, text)) = self.prose.get_mut(index) {
            text.push_str(more);
        }
        if kind == Kind::Text {
            events.push(Event::TextDelta { index, text: more.to_owned() });
        }
    }

    fn call(&mut self, delta: CallDelta) {
        let function = delta.function.unwrap_or_default();
        let id = delta.id.unwrap_or_default();
        let name = function.name.clone().unwrap_or_default();
        let known = match delta.index {
            Some(index) => self.calls.iter().rposition(|call| call.index == Some(index)),
            // Without an index, a name begins a call and anything else belongs to the last one.
            None if name.is_empty() => self.calls.len().checked_sub(1),
            None => None,
        };
        // Some servers give every parallel call the index 0, and tell them apart by their ids alone.
        let continues = |call: &Call| id.is_empty() || call.id.is_empty() || call.id == id;
        let place = match known.filter(|place| self.calls.get(*place).is_some_and(continues)) {
            Some(place) => place,
            None => {
                self.calls.push(Call { index: delta.index, ..Call::default() });
                self.calls.len() - 1
            }
        };
        if let Some(call) = self.calls.get_mut(place) {
            // Id and name come whole; servers that repeat them in every chunk mean the same call.
            if call.id.is_empty() {
                call.id = id;
            }
            if call.name.is_empty() {
                call.name = name;
            }
            call.arguments.push_str(&function.arguments());
        }
    }

    fn finish(&mut self) -> Result<Vec<Event>, Error> {
        let mut content = Vec::new();
        for (kind, text) in self.prose.drain(..) {
            content.push(match kind {
                Kind::Thinking => opaque(&text)?,
                Kind::Text | Kind::ToolUse => Block::Text(text),
            });
        }
        let mut events = Vec::new();
        for call in self.calls.drain(..) {
            events.push(Event::BlockStart { index: content.len(), kind: Kind::ToolUse });
            let (input, malformed) = tool_input::parse(&call.arguments);
            let id = self.ids.claim(&call.id);
            content.push(Block::ToolUse(ToolUse { id, name: call.name, input, malformed }));
        }
        let explanation = self.refusal.take();
        let stop = match self.finish_reason.as_deref() {
            Some("length") => Stop::MaxTokens,
            Some("content_filter") => Stop::Refusal { category: None, explanation },
            _ if explanation.is_some() => Stop::Refusal { category: None, explanation },
            _ => Stop::natural(&content),
        };
        let model = std::mem::take(&mut self.model);
        events.push(Event::Finished(Box::new(Response { content, stop, usage: self.usage, model })));
        Ok(events)
    }

    fn is_empty(&self) -> bool {
        self.prose.is_empty() && self.calls.is_empty() && self.finish_reason.is_none()
    }
}

impl Decode for Decoder {
    fn push(&mut self, frame: &Frame) -> Result<Vec<Event>, Error> {
        if frame.data.trim() == "[DONE]" {
            if self.is_empty() {
                return Err(Error::Malformed("an answer without content".to_owned()));
            }
            return self.finish();
        }
        let chunk: Chunk = read(&frame.data)?;
        if chunk.error.is_some() || chunk.object.as_deref() == Some("error") {
            return Err(Envelope::of_body(frame.data.as_bytes()).into_error());
        }
        if let Some(model) = chunk.model.filter(|model| !model.is_empty()) {
            self.model = model;
        }
        if let Some(counts) = chunk.usage {
            self.usage = counts.usage();
        }
        let mut events = Vec::new();
        // Only one answer is ever asked for.
        if let Some(choice) = chunk.choices.into_iter().next() {
            self.choice(choice, &mut events);
        }
        Ok(events)
    }

    /// Some servers close the connection, or leave it open, without `[DONE]`: what has a finish reason is complete.
    fn end(&mut self, cause: Error) -> Result<Vec<Event>, Error> {
        if self.finish_reason.is_some() { self.finish() } else { Err(cause) }
    }
}

/// Reasoning, kept for the log. It has no signature, so it means nothing to anyone when sent back.
fn opaque(thinking: &str) -> Result<Block, Error> {
    let raw = to_raw_value(&json!({"type": "thinking", "thinking": thinking}))
        .map_err(|error| Error::Malformed(error.to_string()))?;
    Ok(Block::Opaque { provider: PROVIDER, raw })
}

#[cfg(test)]
mod tests;

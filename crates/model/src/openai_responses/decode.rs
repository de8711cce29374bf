//! The events of a Responses stream, put together into one response.

use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use wire::sse::Frame;

use super::item::Building;
use crate::{
    Error, Event, Response, Stop, Usage,
    http::{Decode, Envelope, read},
};

pub(super) struct Decoder {
    model: String,
    /// The items in the order of their starts, each with the provider's own index.
    items: Vec<(u64, Building)>,
    refusal: Option<String>,
}

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "type", default)]
    kind: String,
}

#[derive(Deserialize)]
struct ItemEvent {
    #[serde(default)]
    output_index: u64,
    item: Box<RawValue>,
}

#[derive(Deserialize)]
struct DeltaEvent {
    #[serde(default)]
    output_index: u64,
    delta: String,
}

#[derive(Deserialize)]
struct ArgumentsDone {
    #[serde(default)]
    output_index: u64,
    arguments: String,
}

#[derive(Deserialize)]
struct ResponseEvent {
    response: ResponseBody,
}

#[derive(Deserialize)]
struct ResponseBody {
    model: Option<String>,
    usage: Option<Counts>,
    incomplete_details: Option<Incomplete>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Incomplete {
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Counts {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    input_tokens_details: Option<InputDetails>,
}

#[derive(Deserialize)]
struct InputDetails {
    cached_tokens: Option<u64>,
}

impl Counts {
    fn usage(&self) -> Usage {
        let cached = self.input_tokens_details.as_ref().and_then(|details| details.cached_tokens).unwrap_or(0);
        Usage {
            input: self.input_tokens.unwrap_or(0).saturating_sub(cached),
            output: self.output_tokens.unwrap_or(0),
            cache_read: cached,
            ..Usage::default()
        }
    }
}

impl Decoder {
    pub(super) fn new(model: String) -> Self {
        Self { model, items: Vec::new(), refusal: None }
    }

    fn add(&mut self, index: u64, item: Building) -> Event {
        let start = Event::BlockStart { index: self.items.len(), kind: item.kind() };
        self.items.push((index, item));
        start
    }

    fn place(&self, index: u64) -> Option<usize> {
        self.items.iter().rposition(|(known, _)| *known == index)
    }

    fn item_done(&mut self, done: ItemEvent) -> Result<Vec<Event>, Error> {
        let mut events = Vec::new();
        let place = match self.place(done.output_index) {
            Some(place) => place,
            // Servers that send an item at once do not announce it.
            None => {
                let item = Building::start(done.item.clone())?;
                events.push(self.add(done.output_index, item));
                self.items.len() - 1
            }
        };
        if let Some((_, item)) = self.items.get_mut(place) {
            let (rest, refusal) = item.complete(done.item)?;
            if !rest.is_empty() {
                events.push(Event::TextDelta { index: place, text: rest });
            }
            if refusal.is_some() {
                self.refusal = refusal;
            }
        }
        Ok(events)
    }

    fn text_delta(&mut self, delta: DeltaEvent) -> Vec<Event> {
        let mut events = Vec::new();
        let place = match self.place(delta.output_index) {
            Some(place) => place,
            None => {
                events.push(self.add(delta.output_index, Building::Message(String::new())));
                self.items.len() - 1
            }
        };
        if let Some((_, Building::Message(text))) = self.items.get_mut(place) {
            text.push_str(&delta.delta);
            events.push(Event::TextDelta { index: place, text: delta.delta });
        }
        events
    }

    /// The arguments of the call at `index`, if a call is there.
    fn arguments(&mut self, index: u64) -> Option<&mut String> {
        let place = self.place(index)?;
        match self.items.get_mut(place) {
            Some((_, Building::Call { arguments, .. })) => Some(arguments),
            _ => None,
        }
    }

    fn finish(&mut self, response: ResponseBody) -> Event {
        let content: Vec<_> = self.items.drain(..).map(|(_, item)| item.finish()).collect();
        let explanation = self.refusal.take();
        let stop = match response.incomplete_details.and_then(|details| details.reason).as_deref() {
            Some("content_filter") => Stop::Refusal { category: None, explanation },
            Some(_) => Stop::MaxTokens,
            None if explanation.is_some() => Stop::Refusal { category: None, explanation },
            None => Stop::natural(&content),
        };
        let model = response.model.unwrap_or_else(|| std::mem::take(&mut self.model));
        let usage = response.usage.as_ref().map(Counts::usage).unwrap_or_default();
        Event::Finished(Box::new(Response { content, stop, usage, model }))
    }
}

impl Decode for Decoder {
    fn push(&mut self, frame: &Frame) -> Result<Vec<Event>, Error> {
        // Not of this protocol, but some gateways end every stream with it.
        if frame.data.trim() == "[DONE]" {
            return Ok(Vec::new());
        }
        let head: Head = read(&frame.data)?;
        let kind = if head.kind.is_empty() { &frame.event } else { &head.kind };
        match kind.as_str() {
            "response.output_item.added" => {
                let added: ItemEvent = read(&frame.data)?;
                let item = Building::start(added.item)?;
                return Ok(vec![self.add(added.output_index, item)]);
            }
            "response.output_item.done" => return self.item_done(read(&frame.data)?),
            "response.output_text.delta" => return Ok(self.text_delta(read(&frame.data)?)),
            "response.refusal.delta" => {
                let delta: DeltaEvent = read(&frame.data)?;
                self.refusal.get_or_insert_default().push_str(&delta.delta);
                return Ok(self.text_delta(delta));
            }
            "response.function_call_arguments.delta" => {
                let delta: DeltaEvent = read(&frame.data)?;
                if let Some(arguments) = self.arguments(delta.output_index) {
                    arguments.push_str(&delta.delta);
                }
            }
            "response.function_call_arguments.done" => {
                let done: ArgumentsDone = read(&frame.data)?;
                if let Some(arguments) = self.arguments(done.output_index) {
                    *arguments = done.arguments;
                }
            }
            "response.completed" | "response.incomplete" => {
                let event: ResponseEvent = read(&frame.data)?;
                return Ok(vec![self.finish(event.response)]);
            }
            "response.failed" => {
                let event: ResponseEvent = read(&frame.data)?;
                let reason = event.response.error.unwrap_or_default();
                return Err(Envelope::of_json(&reason).into_error());
            }
            "error" => return Err(Envelope::of_body(frame.data.as_bytes()).into_error()),
            // Progress of parts and of tools that we do not ask for.
            _ => {}
        }
        Ok(Vec::new())
    }

    /// Only `response.completed` and its like say that nothing is missing.
    fn end(&mut self, cause: Error) -> Result<Vec<Event>, Error> {
        Err(cause)
    }
}

#[cfg(test)]
mod tests;

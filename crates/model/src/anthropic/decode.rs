//! The events of a Messages stream, put together into one response.

use serde::Deserialize;
use serde_json::value::RawValue;
use wire::sse::Frame;

use super::{
    block::{Building, Delta},
    usage::Counts,
};
use crate::{
    Error, Event, Response, Stop,
    http::{Decode, Envelope, read},
};

pub(super) struct Decoder {
    model: String,
    /// The blocks in the order of their starts, each with the provider's own index.
    blocks: Vec<(u64, Building)>,
    stop_reason: Option<String>,
    stop_details: StopDetails,
    counts: Counts,
}

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "type", default)]
    kind: String,
}

#[derive(Deserialize)]
struct MessageStart {
    message: StartedMessage,
}

#[derive(Deserialize)]
struct StartedMessage {
    model: Option<String>,
    usage: Option<Counts>,
}

#[derive(Deserialize)]
struct BlockStart {
    index: u64,
    content_block: Box<RawValue>,
}

#[derive(Deserialize)]
struct BlockDelta {
    index: u64,
    delta: Delta,
}

#[derive(Deserialize)]
struct MessageDelta {
    #[serde(default)]
    delta: StopDelta,
    usage: Option<Counts>,
}

#[derive(Default, Deserialize)]
struct StopDelta {
    stop_reason: Option<String>,
    stop_details: Option<StopDetails>,
}

#[derive(Default, Deserialize)]
struct StopDetails {
    category: Option<String>,
    explanation: Option<String>,
}

impl Decoder {
    /// `model` is what was asked for, in case that the provider does not say what answered.
    pub(super) fn new(model: String) -> Self {
        Self {
            model,
            blocks: Vec::new(),
            stop_reason: None,
            stop_details: StopDetails::default(),
            counts: Counts::default(),
        }
    }

    fn message_start(&mut self, start: MessageStart) {
        if let Some(model) = start.message.model {
            self.model = model;
        }
        if let Some(counts) = start.message.usage {
            self.counts.update(&counts);
        }
    }

    fn block_start(&mut self, start: BlockStart) -> Result<Vec<Event>, Error> {
        let building = Building::start(start.content_block)?;
        let index = self.blocks.len();
        let mut events = vec![Event::BlockStart { index, kind: building.kind() }];
        if let Building::Text(text) = &building
            && !text.is_empty()
        {
            events.push(Event::TextDelta { index, text: text.clone() });
        }
        self.blocks.push((start.index, building));
        Ok(events)
    }

    fn block_delta(&mut self, delta: BlockDelta) -> Result<Vec<Event>, Error> {
        // From the end: nearly always it is the last block that grows.
        let Some(place) = self.blocks.iter().rposition(|(index, _)| *index == delta.index) else {
            return Err(Error::Malformed(format!("a delta for block {}, which never started", delta.index)));
        };
        let seen = self.blocks.get_mut(place).and_then(|(_, building)| building.add(delta.delta));
        Ok(seen.map(|text| Event::TextDelta { index: place, text }).into_iter().collect())
    }

    fn message_delta(&mut self, delta: MessageDelta) {
        if let Some(reason) = delta.delta.stop_reason {
            self.stop_reason = Some(reason);
        }
        if let Some(details) = delta.delta.stop_details {
            self.stop_details = details;
        }
        if let Some(counts) = delta.usage {
            self.counts.update(&counts);
        }
    }

    fn finish(&mut self) -> Event {
        let content: Vec<_> = self.blocks.drain(..).map(|(_, building)| building.finish()).collect();
        let stop = match self.stop_reason.as_deref() {
            Some("max_tokens" | "model_context_window_exceeded") => Stop::MaxTokens,
            Some("refusal") => Stop::Refusal {
                category: self.stop_details.category.take(),
                explanation: self.stop_details.explanation.take(),
            },
            _ => Stop::natural(&content),
        };
        let model = std::mem::take(&mut self.model);
        Event::Finished(Box::new(Response { content, stop, usage: self.counts.usage(), model }))
    }
}

impl Decode for Decoder {
    fn push(&mut self, frame: &Frame) -> Result<Vec<Event>, Error> {
        let head: Head = read(&frame.data)?;
        let kind = if head.kind.is_empty() { &frame.event } else { &head.kind };
        match kind.as_str() {
            "message_start" => self.message_start(read(&frame.data)?),
            "content_block_start" => return self.block_start(read(&frame.data)?),
            "content_block_delta" => return self.block_delta(read(&frame.data)?),
            "message_delta" => self.message_delta(read(&frame.data)?),
            "message_stop" => return Ok(vec![self.finish()]),
            "error" => return Err(Envelope::of_body(frame.data.as_bytes()).into_error()),
            // `ping`, `content_block_stop`, and what the API grows: it says that unknown events may be passed over.
            _ => {}
        }
        Ok(Vec::new())
    }

    /// Only `message_stop` says that nothing is missing.
    fn end(&mut self, cause: Error) -> Result<Vec<Event>, Error> {
        Err(cause)
    }
}

#[cfg(test)]
mod tests;

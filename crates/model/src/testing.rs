//! For the tests of this crate: a recorded stream played through a decoder, and conversations in few words.

use std::sync::Arc;

use futures::StreamExt;
use serde_json::{Value, json, value::RawValue};
use wire::sse;

use crate::{Block, Client, Error, Event, Message, Request, Response, Role, Tool, ToolUse, http::Decode};

/// What came of a recorded stream.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) events: Vec<Event>,
    pub(crate) error: Option<Error>,
}

impl Played {
    pub(crate) fn response(&self) -> &Response {
        match self.events.last() {
            Some(Event::Finished(response)) => response,
            other => panic!("no finished response but {other:?}, error {:?}", self.error),
        }
    }

    /// The text deltas of a block, put together.
    pub(crate) fn streamed(&self, place: usize) -> String {
        let delta = |event: &Event| match event {
            Event::TextDelta { index, text } if *index == place => Some(text.clone()),
            _ => None,
        };
        self.events.iter().filter_map(delta).collect()
    }
}

/// Plays a recorded body cut into pieces of several sizes, and checks that the cuts make no difference.
pub(crate) fn play<D: Decode>(decoder: impl Fn() -> D, body: &str) -> Played {
    let whole = play_in_pieces(decoder(), body, body.len().max(1));
    for size in [1, 7, 64] {
        let pieces = play_in_pieces(decoder(), body, size);
        assert_eq!(format!("{pieces:?}"), format!("{whole:?}"), "in pieces of {size} bytes");
    }
    whole
}

fn play_in_pieces(mut decoder: impl Decode, body: &str, size: usize) -> Played {
    let mut frames = Vec::new();
    let mut bytes = sse::Decoder::new(1 << 20);
    for piece in body.as_bytes().chunks(size) {
        bytes.push(piece, &mut frames).unwrap();
    }
    let mut played = Played { events: Vec::new(), error: None };
    for frame in &frames {
        match decoder.push(frame) {
            Ok(events) => played.events.extend(events),
            Err(error) => played.error = Some(error),
        }
        if played.error.is_some() || matches!(played.events.last(), Some(Event::Finished(_))) {
            return played;
        }
    }
    match decoder.end(Error::Connection("cut".to_owned())) {
        Ok(events) => played.events.extend(events),
        Err(error) => played.error = Some(error),
    }
    played
}

/// Everything that a client's stream yields.
pub(crate) async fn collect(client: &dyn Client, request: Request) -> Played {
    let mut stream = client.stream(request);
    let mut played = Played { events: Vec::new(), error: None };
    while let Some(item) = stream.next().await {
        match item {
            Ok(event) => played.events.push(event),
            Err(error) => played.error = Some(error),
        }
    }
    played
}

/// A recorded body, from the JSON of its frames.
pub(crate) fn frames(data: &[&str]) -> String {
    data.iter().map(|data| format!("data: {data}\n\n")).collect()
}

pub(crate) fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

pub(crate) fn text(text: &str) -> Block {
    Block::Text(text.to_owned())
}

pub(crate) fn tool_use(id: &str, name: &str, input: Value) -> Block {
    let input = input.as_object().cloned().unwrap_or_default();
    Block::ToolUse(ToolUse { id: id.to_owned(), name: name.to_owned(), input, malformed: None })
}

pub(crate) fn tool_result(id: &str, content: Vec<Block>, is_error: bool) -> Block {
    Block::ToolResult { tool_use_id: id.to_owned(), content, is_error }
}

pub(crate) fn user(content: Vec<Block>) -> Arc<Message> {
    Arc::new(Message { role: Role::User, content })
}

pub(crate) fn assistant(content: Vec<Block>) -> Arc<Message> {
    Arc::new(Message { role: Role::Assistant, content })
}

pub(crate) fn system(content: Vec<Block>) -> Arc<Message> {
    Arc::new(Message { role: Role::System, content })
}

/// A request with one tool, `bash`.
pub(crate) fn request(messages: Vec<Arc<Message>>) -> Request {
    Request {
        model: "model-1".to_owned(),
        system: "Be brief.".to_owned(),
        messages,
        tools: vec![Tool {
            name: "bash".to_owned(),
            description: "Runs a command.".to_owned(),
            input_schema: json!({"type": "object"}),
        }],
        max_tokens: 1000,
        effort: None,
    }
}

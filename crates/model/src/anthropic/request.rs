//! The canonical conversation as a Messages request, with its prompt-cache marks.

use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};

use super::PROVIDER;
use crate::{Block, Effort, Request, Role};

/// The request as it is sent, for whoever wants to look at what travels.
pub fn body(request: &Request) -> serde_json::Result<Vec<u8>> {
    // The API allows four marks: one after the tools, one after the system text, and two in the messages.
    let mut messages: Vec<Message<'_>> = request.messages.iter().filter_map(|given| message(given)).collect();
    mark_inputs(&mut messages);
    let mut system: Vec<Part<'_>> = text(&request.system).into_iter().collect();
    system.iter_mut().for_each(Part::mark);
    let mut tools: Vec<Tool<'_>> = request.tools.iter().map(tool).collect();
    if let Some(last) = tools.last_mut() {
        last.cache_control = Some(EPHEMERAL);
    }
    serde_json::to_vec(&Body {
        model: &request.model,
        max_tokens: request.max_tokens,
        stream: true,
        system,
        tools,
        messages,
        output_config: request.effort.map(|effort| OutputConfig { effort }),
    })
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u32,
    stream: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Part<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig>,
}

#[derive(Serialize)]
struct OutputConfig {
    effort: Effort,
}

#[derive(Serialize)]
struct Message<'a> {
    role: Role,
    content: Vec<Part<'a>>,
}

#[derive(Serialize)]
struct Tool<'a> {
    name: &'a str,
    description: &'a str,
    input_schema: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheControl>,
}

#[derive(Serialize, Clone, Copy)]
struct CacheControl {
    r#type: &'static str,
}

const EPHEMERAL: CacheControl = CacheControl { r#type: "ephemeral" };

/// A content block on its way out.
#[derive(Serialize)]
#[serde(untagged)]
enum Part<'a> {
    Known(Known<'a>),
    Media(&'a RawValue),
    MarkedMedia(Box<RawValue>),
    Opaque(&'a RawValue),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Known<'a> {
    Text {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: &'a Map<String, Value>,
    },
    ToolResult {
        tool_use_id: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<Part<'a>>,
        #[serde(skip_serializing_if = "is_false")]
        is_error: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
}

fn is_false(value: &bool) -> bool {
    !*value
}

impl Part<'_> {
    /// Lets the provider cache everything up to and with this block.
    fn mark(&mut self) {
        match self {
            Self::Known(Known::Text { cache_control, .. } | Known::ToolResult { cache_control, .. }) => {
                *cache_control = Some(EPHEMERAL);
            }
            Self::Media(raw) => {
                if let Some(marked) = marked(raw) {
                    *self = Self::MarkedMedia(marked);
                }
            }
            // No input ends in one of these.
            Self::Known(Known::ToolUse { .. }) | Self::MarkedMedia(_) | Self::Opaque(_) => {}
        }
    }
}

/// Marks the ends of the two newest inputs, an input being all that stands between two answers.
///
/// The next request repeats this one up to the newest mark. There it finds what is cached by the same mark, which is
/// then its second: looking back from its own newest, the API would try 20 blocks only, and an answer may bring more.
fn mark_inputs(messages: &mut [Message<'_>]) {
    let mut marks = 2;
    let mut ends_input = true;
    for message in messages.iter_mut().rev() {
        if message.role == Role::Assistant {
            ends_input = true;
        } else if ends_input && marks > 0 {
            ends_input = false;
            marks -= 1;
            if let Some(part) = message.content.last_mut() {
                part.mark();
            }
        }
    }
}

/// The block with a mark as its last field, and otherwise byte for byte as it is sent without one.
fn marked(raw: &RawValue) -> Option<Box<RawValue>> {
    let open = raw.get().trim_end().strip_suffix('}')?;
    RawValue::from_string(format!(r#"{open},"cache_control":{{"type":"ephemeral"}}}}"#)).ok()
}

/// `None` for a message of which nothing is left: the API refuses empty ones, and joins the neighbours itself. A user's
/// is there all the same: without it, there may be nothing to answer.
fn message(message: &crate::Message) -> Option<Message<'_>> {
    let mut content: Vec<Part<'_>> = message.content.iter().filter_map(part).collect();
    if content.is_empty() && message.role == Role::User {
        content.extend(text("(an empty message)"));
    }
    (!content.is_empty()).then_some(Message { role: message.role, content })
}

fn part(block: &Block) -> Option<Part<'_>> {
    match block {
        Block::Text(content) => text(content),
        Block::Media(raw) => Some(Part::Media(raw)),
        Block::ToolUse(call) => {
            Some(Part::Known(Known::ToolUse { id: &call.id, name: &call.name, input: &call.input }))
        }
        Block::ToolResult { tool_use_id, content, is_error } => {
            let mut content: Vec<Part<'_>> = content.iter().filter_map(part).collect();
            if *is_error && content.is_empty() {
                // The API refuses an error without a word, and would refuse it again with every later request.
                content.extend(text("The tool failed without a message."));
            }
            let known = Known::ToolResult { tool_use_id, content, is_error: *is_error, cache_control: None };
            Some(Part::Known(known))
        }
        Block::Opaque { provider, raw } => (*provider == PROVIDER).then_some(Part::Opaque(raw)),
    }
}

/// The API refuses texts that are only white space.
fn text(text: &str) -> Option<Part<'_>> {
    (!text.trim().is_empty()).then_some(Part::Known(Known::Text { text, cache_control: None }))
}

fn tool(tool: &crate::Tool) -> Tool<'_> {
    Tool { name: &tool.name, description: &tool.description, input_schema: &tool.input_schema, cache_control: None }
}

#[cfg(test)]
mod tests;

//! The canonical conversation as a list of input items.

use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

use super::{PROVIDER, item::kind_of};
use crate::{
    Block, Request, Role, Tool,
    media::{self, Media},
    openai_chat::effort,
};

pub(super) fn body(request: &Request) -> serde_json::Result<Vec<u8>> {
    let mut input = Vec::new();
    for message in &request.messages {
        match message.role {
            Role::Assistant => assistant(&message.content, &mut input)?,
            Role::User => user(&message.content, &mut input),
            Role::System => system(&message.content, &mut input),
        }
    }
    serde_json::to_vec(&Body {
        model: &request.model,
        instructions: Some(request.system.as_str()).filter(|system| !system.trim().is_empty()),
        input,
        tools: request.tools.iter().map(tool).collect(),
        max_output_tokens: request.max_tokens,
        reasoning: request.effort.map(|given| json!({"effort": effort(given)})),
        // The provider keeps nothing, so its reasoning must travel with us, encrypted.
        include: ["reasoning.encrypted_content"],
        store: false,
        stream: true,
    })
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<&'a str>,
    input: Vec<Item<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Value>,
    max_output_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Value>,
    include: [&'static str; 1],
    store: bool,
    stream: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Item<'a> {
    Made(Value),
    /// An item of the provider's own, byte for byte.
    Raw(&'a RawValue),
}

fn tool(tool: &Tool) -> Value {
    json!({
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.input_schema,
        // Strict mode refuses schemas that are legal everywhere else.
        "strict": false,
    })
}

fn assistant<'a>(content: &'a [Block], input: &mut Vec<Item<'a>>) -> serde_json::Result<()> {
    let start = input.len();
    for block in content {
        match block {
            Block::Text(text) if !text.is_empty() => {
                let part = json!({"type": "output_text", "text": text});
                input.push(Item::Made(json!({"type": "message", "role": "assistant", "content": [part]})));
            }
            Block::ToolUse(call) => input.push(Item::Made(json!({
                "type": "function_call",
                "call_id": call.id,
                "name": call.name,
                "arguments": serde_json::to_string(&call.input)?,
            }))),
            Block::Opaque { provider, raw } if *provider == PROVIDER => input.push(Item::Raw(raw)),
            _ => {}
        }
    }
    // The API refuses reasoning that nothing follows, which an answer cut at its limit leaves behind.
    while input.len() > start && input.last().is_some_and(is_reasoning) {
        input.pop();
    }
    Ok(())
}

fn is_reasoning(item: &Item<'_>) -> bool {
    match item {
        Item::Made(_) => false,
        Item::Raw(raw) => kind_of(raw).is_ok_and(|kind| kind == "reasoning"),
    }
}

fn user(content: &[Block], input: &mut Vec<Item<'_>>) {
    let mut parts = Vec::new();
    for block in content {
        match block {
            Block::Text(text) if !text.is_empty() => parts.push(text_part(text)),
            Block::Media(raw) => parts.push(media_part(media::read(raw))),
            Block::ToolResult { tool_use_id, content, is_error } => input.push(Item::Made(json!({
                "type": "function_call_output",
                "call_id": tool_use_id,
                "output": output(content, *is_error),
            }))),
            Block::Text(_) | Block::ToolUse(_) | Block::Opaque { .. } => {}
        }
    }
    if parts.is_empty() && !content.iter().any(|block| matches!(block, Block::ToolResult { .. })) {
        // Without it, there may be nothing to answer.
        parts.push(text_part("(an empty message)"));
    }
    if !parts.is_empty() {
        input.push(Item::Made(json!({"type": "message", "role": "user", "content": parts})));
    }
}

/// A system message in the middle. It holds text only.
fn system(content: &[Block], input: &mut Vec<Item<'_>>) {
    let parts: Vec<Value> = content
        .iter()
        .filter_map(|block| match block {
            Block::Text(text) if !text.is_empty() => Some(text_part(text)),
            _ => None,
        })
        .collect();
    if !parts.is_empty() {
        input.push(Item::Made(json!({"type": "message", "role": "system", "content": parts})));
    }
}

/// A string if the result is text alone, else a list of parts. The API has no field for a failure, so the text says it.
fn output(content: &[Block], is_error: bool) -> Value {
    let mut texts = Vec::new();
    let mut shown = Vec::new();
    for block in content {
        match block {
            Block::Text(text) => texts.push(text.clone()),
            Block::Media(raw) => match media::read(raw) {
                Media::Text(text) => texts.push(text),
                media => shown.push(media_part(media)),
            },
            Block::ToolUse(_) | Block::ToolResult { .. } | Block::Opaque { .. } => {}
        }
    }
    let text = texts.join("\n");
    let text = if is_error { format!("Error: {text}") } else { text };
    if shown.is_empty() {
        return json!(if text.is_empty() { "(no output)" } else { text.as_str() });
    }
    if !text.is_empty() {
        shown.insert(0, text_part(&text));
    }
    Value::Array(shown)
}

fn text_part(text: &str) -> Value {
    json!({"type": "input_text", "text": text})
}

fn media_part(media: Media) -> Value {
    match media {
        Media::Image { url } => json!({"type": "input_image", "image_url": url}),
        Media::Pdf { name, data } => json!({"type": "input_file", "filename": name, "file_data": data}),
        Media::PdfLink { url } => json!({"type": "input_file", "file_url": url}),
        Media::Text(text) => text_part(&text),
    }
}

#[cfg(test)]
mod tests;

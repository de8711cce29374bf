//! The canonical conversation as a chat completion request.

use serde_json::{Map, Value, json};

use super::effort;
use crate::{
    Block, Message, Request, Role, Tool,
    media::{self, Media},
};

pub(super) fn body(request: &Request, max_completion_tokens: bool) -> serde_json::Result<Vec<u8>> {
    let mut body = json!({
        "model": request.model,
        "stream": true,
        "stream_options": {"include_usage": true},
        "messages": messages(request)?,
    });
    let limit = if max_completion_tokens { "max_completion_tokens" } else { "max_tokens" };
    body[limit] = json!(request.max_tokens);
    if !request.tools.is_empty() {
        body["tools"] = request.tools.iter().map(tool).collect();
    }
    if let Some(given) = request.effort {
        body["reasoning_effort"] = json!(effort(given));
    }
    serde_json::to_vec(&body)
}

fn tool(tool: &Tool) -> Value {
    json!({
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.input_schema},
    })
}

fn messages(request: &Request) -> serde_json::Result<Vec<Value>> {
    let mut messages = Vec::new();
    if !request.system.trim().is_empty() {
        messages.push(json!({"role": "system", "content": request.system}));
    }
    for message in &request.messages {
        match message.role {
            Role::Assistant => messages.extend(assistant(message)?),
            Role::User => user(&message.content, &mut messages),
            Role::System => messages.extend(system(&message.content)),
        }
    }
    Ok(messages)
}

/// `None` for a message of which nothing is left, such as one that held another provider's thinking only.
fn assistant(message: &Message) -> serde_json::Result<Option<Value>> {
    let mut texts = Vec::new();
    let mut calls = Vec::new();
    for block in &message.content {
        match block {
            Block::Text(text) if !text.is_empty() => texts.push(text.as_str()),
            Block::ToolUse(call) => calls.push(json!({
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": serde_json::to_string(&call.input)?},
            })),
            _ => {}
        }
    }
    if texts.is_empty() && calls.is_empty() {
        return Ok(None);
    }
    let mut fields = Map::new();
    fields.insert("role".to_owned(), json!("assistant"));
    let content = if texts.is_empty() { Value::Null } else { json!(texts.join("\n\n")) };
    fields.insert("content".to_owned(), content);
    if !calls.is_empty() {
        fields.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    Ok(Some(Value::Object(fields)))
}

/// Results first, as messages of their own, because they must follow the calls at once. What they cannot carry, and what
/// the user says, comes after them in one message.
fn user(content: &[Block], messages: &mut Vec<Value>) {
    let mut parts = Vec::new();
    for block in content {
        match block {
            Block::Text(text) if !text.is_empty() => parts.push(text_part(text)),
            Block::Media(raw) => parts.push(media_part(media::read(raw))),
            Block::ToolResult { tool_use_id, content, is_error } => {
                let (text, shown) = result(content, *is_error);
                messages.push(json!({"role": "tool", "tool_call_id": tool_use_id, "content": text}));
                if !shown.is_empty() {
                    parts.push(text_part(&format!("What the tool call {tool_use_id} returned besides text:")));
                    parts.extend(shown);
                }
            }
            Block::Text(_) | Block::ToolUse(_) | Block::Opaque { .. } => {}
        }
    }
    if parts.is_empty() && !content.iter().any(|block| matches!(block, Block::ToolResult { .. })) {
        // Without it, there may be nothing to answer.
        parts.push(text_part("(an empty message)"));
    }
    if !parts.is_empty() {
        messages.push(json!({"role": "user", "content": plain(parts)}));
    }
}

/// A system message in the middle. It holds text only.
fn system(content: &[Block]) -> Option<Value> {
    let texts: Vec<&str> = content
        .iter()
        .filter_map(|block| match block {
            Block::Text(text) if !text.is_empty() => Some(text.as_str()),
            _ => None,
        })
        .collect();
    (!texts.is_empty()).then(|| json!({"role": "system", "content": texts.join("\n\n")}))
}

/// A result's text, and the parts that no tool message can carry.
fn result(content: &[Block], is_error: bool) -> (String, Vec<Value>) {
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
    let text = if text.is_empty() { "(no text)".to_owned() } else { text };
    (if is_error { format!("Error: {text}") } else { text }, shown)
}

fn text_part(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn media_part(media: Media) -> Value {
    match media {
        Media::Image { url } => json!({"type": "image_url", "image_url": {"url": url}}),
        Media::Pdf { name, data } => json!({"type": "file", "file": {"filename": name, "file_data": data}}),
        Media::PdfLink { url } => text_part(&format!("[a PDF at {url}]")),
        Media::Text(text) => text_part(&text),
    }
}

/// Text alone goes as a string: many servers understand nothing else.
fn plain(parts: Vec<Value>) -> Value {
    if parts.iter().any(|part| part["text"].is_null()) {
        return Value::Array(parts);
    }
    let texts: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
    json!(texts.join("\n\n"))
}

#[cfg(test)]
mod tests;

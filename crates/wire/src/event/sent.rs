//! What clients send.

use serde_json::Value;

use super::Verdict;
use crate::ThreadId;
use crate::content::Content;
use crate::read::{Fields, Invalid, Read, join, text, unsupported};

/// An event that a client sends.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientEvent {
    Message {
        content: Vec<Content>,
    },
    Interrupt {
        thread: Option<ThreadId>,
    },
    Confirmation {
        tool_use_id: String,
        verdict: Verdict,
        deny_message: Option<String>,
    },
    CustomToolResult {
        custom_tool_use_id: String,
        content: Vec<Content>,
        is_error: bool,
    },
    /// Only the session's environment tells whether it may be sent.
    ToolResult {
        tool_use_id: String,
        content: Vec<Content>,
        is_error: bool,
    },
    /// Text only. Where it may stand in a request is [`Send`]'s to say.
    SystemMessage {
        content: Vec<Content>,
    },
}

impl ClientEvent {
    pub const fn is_tool_result(&self) -> bool {
        matches!(self, Self::CustomToolResult { .. } | Self::ToolResult { .. })
    }
}

impl Read for ClientEvent {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        let kind: String = fields.required("type")?;
        // Official helpers echo it on answers; routing goes by the tool use, so its value changes nothing.
        if kind != "user.interrupt" {
            fields.ignore("session_thread_id");
        }
        let event = match kind.as_str() {
            "user.message" => Self::Message { content: read_content(&mut fields)? },
            "user.interrupt" => {
                let thread: Option<String> = fields.optional("session_thread_id")?;
                let thread = thread.map(|id| id.parse()).transpose();
                Self::Interrupt { thread: thread.map_err(|_| fields.invalid("session_thread_id", "No such thread"))? }
            }
            "user.tool_confirmation" => {
                let tool_use_id = fields.required("tool_use_id")?;
                let verdict = match fields.required::<String>("result")?.as_str() {
                    "allow" => Verdict::Allow,
                    "deny" => Verdict::Deny,
                    _ => return Err(fields.invalid("result", "Input should be 'allow' or 'deny'")),
                };
                let deny_message: Option<String> = fields.optional("deny_message")?;
                if deny_message.is_some() && verdict == Verdict::Allow {
                    return Err(fields.invalid("deny_message", "Only allowed when result is 'deny'"));
                }
                let deny_message =
                    deny_message.map(|message| text(message, &fields.at("deny_message"), 0..=10_000)).transpose()?;
                Self::Confirmation { tool_use_id, verdict, deny_message }
            }
            "user.custom_tool_result" => Self::CustomToolResult {
                custom_tool_use_id: fields.required("custom_tool_use_id")?,
                content: fields.optional("content")?.unwrap_or_default(),
                is_error: fields.optional("is_error")?.unwrap_or(false),
            },
            "user.tool_result" => Self::ToolResult {
                tool_use_id: fields.required("tool_use_id")?,
                content: fields.optional("content")?.unwrap_or_default(),
                is_error: fields.optional("is_error")?.unwrap_or(false),
            },
            "system.message" => Self::SystemMessage { content: read_texts(&mut fields)? },
            "user.define_outcome" => return Err(unsupported(&fields.at("type"))),
            _ => return Err(fields.invalid("type", "Not an event that a client can send")),
        };
        fields.end()?;
        Ok(event)
    }
}

fn read_content(fields: &mut Fields) -> Result<Vec<Content>, Invalid> {
    let content: Vec<Content> = fields.required("content")?;
    if content.is_empty() {
        return Err(fields.invalid("content", "List should have at least 1 item"));
    }
    Ok(content)
}

/// The most items of one system message.
const MAX_TEXTS: usize = 1_000;

fn read_texts(fields: &mut Fields) -> Result<Vec<Content>, Invalid> {
    let content = read_content(fields)?;
    if content.len() > MAX_TEXTS {
        return Err(fields.invalid("content", format!("List should have at most {MAX_TEXTS} items")));
    }
    match content.iter().position(|content| !matches!(content, Content::Text { .. })) {
        Some(index) => Err(fields.invalid(&format!("content.{index}.type"), "A system message has text only")),
        None => Ok(content),
    }
}

/// The most events in one request.
pub const MAX_EVENTS: usize = 100;

/// The body of `POST /v1/sessions/{id}/events`.
#[derive(Debug)]
pub struct Send {
    pub events: Vec<ClientEvent>,
}

impl Read for Send {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        let events: Vec<ClientEvent> = fields.required("events")?;
        if events.is_empty() || events.len() > MAX_EVENTS {
            return Err(fields.invalid("events", format!("List should have 1 to {MAX_EVENTS} items")));
        }
        check_system(&events, &fields.at("events"))?;
        fields.end()?;
        Ok(Self { events })
    }
}

/// A system message ends its request, and belongs to the input right before it.
fn check_system(events: &[ClientEvent], path: &str) -> Result<(), Invalid> {
    let is_system = |event: &ClientEvent| matches!(event, ClientEvent::SystemMessage { .. });
    let Some(index) = events.iter().position(is_system) else { return Ok(()) };
    let refused = |message: &str| Err(Invalid::new(join(path, &index.to_string()), message));
    if index + 1 < events.len() {
        return refused("A request has at most one system.message, as its last event");
    }
    let leads = |event: &ClientEvent| event.is_tool_result() || matches!(event, ClientEvent::Message { .. });
    let led = index.checked_sub(1).and_then(|before| events.get(before)).is_some_and(leads);
    if !led {
        return refused(
            "A system.message must directly follow a user.message, user.tool_result or user.custom_tool_result of the \
             same request",
        );
    }
    Ok(())
}

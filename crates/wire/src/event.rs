//! Events: every step of a session, as clients see it.
//!
//! An event's own fields are here; its `id` and `processed_at` stand around them, put there by [`render`], so that one
//! stored body serves the queued and the processed appearance of the same event.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::agent::Snapshot;
use crate::content::Content;
use crate::read::{Fields, Invalid, Metadata, Read, text, unsupported};
use crate::session::Usage;
use crate::{EventId, ThreadId, Timestamp};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Event {
    #[serde(rename = "user.message")]
    UserMessage { content: Vec<Content> },
    #[serde(rename = "user.interrupt")]
    UserInterrupt {
        #[serde(skip_serializing_if = "Option::is_none")]
        session_thread_id: Option<ThreadId>,
    },
    #[serde(rename = "user.tool_confirmation")]
    UserToolConfirmation {
        tool_use_id: EventId,
        result: Verdict,
        #[serde(skip_serializing_if = "Option::is_none")]
        deny_message: Option<String>,
    },
    #[serde(rename = "user.custom_tool_result")]
    UserCustomToolResult { custom_tool_use_id: EventId, content: Vec<Content>, is_error: bool },
    #[serde(rename = "agent.message")]
    AgentMessage { content: Vec<Content> },
    #[serde(rename = "agent.thinking")]
    AgentThinking {},
    #[serde(rename = "agent.tool_use")]
    AgentToolUse {
        name: String,
        input: Map<String, Value>,
        evaluated_permission: Permission,
        #[serde(skip_serializing_if = "Option::is_none")]
        evaluation: Option<Evaluation>,
    },
    #[serde(rename = "agent.tool_result")]
    AgentToolResult { tool_use_id: EventId, content: Vec<Content>, is_error: bool },
    #[serde(rename = "agent.custom_tool_use")]
    AgentCustomToolUse { name: String, input: Map<String, Value> },
    #[serde(rename = "session.status_running")]
    SessionStatusRunning {},
    #[serde(rename = "session.status_idle")]
    SessionStatusIdle { stop_reason: StopReason, stop_details: Option<StopDetails> },
    #[serde(rename = "session.status_rescheduled")]
    SessionStatusRescheduled {},
    #[serde(rename = "session.status_terminated")]
    SessionStatusTerminated {},
    #[serde(rename = "session.thread_status_running")]
    ThreadStatusRunning { session_thread_id: ThreadId, agent_name: String },
    #[serde(rename = "session.thread_status_idle")]
    ThreadStatusIdle {
        session_thread_id: ThreadId,
        agent_name: String,
        stop_reason: StopReason,
        stop_details: Option<StopDetails>,
    },
    #[serde(rename = "session.thread_status_rescheduled")]
    ThreadStatusRescheduled { session_thread_id: ThreadId, agent_name: String },
    #[serde(rename = "session.thread_status_terminated")]
    ThreadStatusTerminated { session_thread_id: ThreadId, agent_name: String },
    #[serde(rename = "session.error")]
    SessionError { error: Failure },
    #[serde(rename = "session.updated")]
    SessionUpdated {
        /// A title that was cleared is null, and not the same as one that did not change.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
        title: Option<Option<String>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        metadata: Option<Metadata>,
        #[serde(skip_serializing_if = "Option::is_none")]
        agent: Option<Box<Snapshot>>,
    },
    #[serde(rename = "session.usage")]
    SessionUsage { usage: Usage, budget: Option<Value> },
    #[serde(rename = "session.deleted")]
    SessionDeleted {},
    #[serde(rename = "span.model_request_start")]
    SpanModelRequestStart {},
    #[serde(rename = "span.model_request_end")]
    SpanModelRequestEnd { model_request_start_id: EventId, is_error: bool, model_usage: ModelUsage },
}

/// A field that is there, null or not.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Allow,
    Deny,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    Allow,
    Ask,
    Deny,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Evaluation {
    AlwaysAllow,
    AlwaysAsk,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StopReason {
    EndTurn,
    RequiresAction { event_ids: Vec<EventId> },
    RetriesExhausted,
    Refusal,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StopDetails {
    Refusal { category: Option<String>, explanation: Option<String> },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub r#type: FailureKind,
    pub message: String,
    pub retry_status: RetryStatus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    UnknownError,
    ModelOverloadedError,
    ModelRateLimitedError,
    ModelRequestFailedError,
    BillingError,
    ToolUseLimitReachedError,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RetryStatus {
    Retrying,
    Exhausted,
    Terminal,
}

/// Tokens of one model request. `input_tokens` counts uncached ones only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelUsage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_creation_input_tokens: u64,
    pub cache_read_input_tokens: u64,
}

macro_rules! kinds {
    ($($variant:ident $name:literal),* $(,)?) => {
        impl Event {
            /// The `type` string.
            pub const fn kind(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $name,)* }
            }
        }
        /// Every `type` that an event of this version can have.
        pub const KINDS: &[&str] = &[$($name),*];
    };
}

kinds! {
    UserMessage "user.message", UserInterrupt "user.interrupt", UserToolConfirmation "user.tool_confirmation",
    UserCustomToolResult "user.custom_tool_result", AgentMessage "agent.message", AgentThinking "agent.thinking",
    AgentToolUse "agent.tool_use", AgentToolResult "agent.tool_result", AgentCustomToolUse "agent.custom_tool_use",
    SessionStatusRunning "session.status_running", SessionStatusIdle "session.status_idle",
    SessionStatusRescheduled "session.status_rescheduled", SessionStatusTerminated "session.status_terminated",
    ThreadStatusRunning "session.thread_status_running", ThreadStatusIdle "session.thread_status_idle",
    ThreadStatusRescheduled "session.thread_status_rescheduled", ThreadStatusTerminated "session.thread_status_terminated",
    SessionError "session.error", SessionUpdated "session.updated", SessionUsage "session.usage",
    SessionDeleted "session.deleted", SpanModelRequestStart "span.model_request_start",
    SpanModelRequestEnd "span.model_request_end",
}

/// The JSON that clients see: the body with `id` in front and `processed_at` behind.
///
/// `body` is an event as it is stored: a JSON object with at least its `type`.
pub fn render(id: EventId, body: &str, processed_at: Option<Timestamp>) -> String {
    let mut json = String::with_capacity(body.len() + 96);
    let fields = body.strip_prefix('{').and_then(|body| body.strip_suffix('}')).unwrap_or_default();
    // Writing to a String cannot fail.
    let _ = match processed_at {
        Some(at) => write!(json, r#"{{"id":"{id}",{fields},"processed_at":"{at}"}}"#),
        None => write!(json, r#"{{"id":"{id}",{fields},"processed_at":null}}"#),
    };
    json
}

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
    /// The path is kept: only the session's environment tells whether it may be sent.
    ToolResult {
        path: String,
    },
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
            "user.tool_result" => {
                ["tool_use_id", "content", "is_error"].into_iter().for_each(|name| fields.ignore(name));
                Self::ToolResult { path: path.to_owned() }
            }
            "user.define_outcome" | "system.message" => return Err(unsupported(&fields.at("type"))),
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
        fields.end()?;
        Ok(Self { events })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn send(event: Value) -> Result<ClientEvent, Invalid> {
        ClientEvent::read(event, "events.0")
    }

    #[test]
    fn rendering_puts_id_and_time_around_the_stored_body() {
        let body = serde_json::to_string(&Event::AgentMessage { content: vec![Content::text("hi")] }).unwrap();
        let id = EventId::from_bits(1);
        assert_eq!(
            serde_json::from_str::<Value>(&render(id, &body, Some(Timestamp::from_millis(0)))).unwrap(),
            json!({"id": id, "type": "agent.message", "content": [{"type": "text", "text": "hi"}],
                "processed_at": "1970-01-01T00:00:00.000Z"})
        );
        assert!(render(id, &body, None).ends_with(r#""processed_at":null}"#));
    }

    #[test]
    fn kinds_are_the_serialised_types() {
        let event = Event::SessionStatusIdle { stop_reason: StopReason::EndTurn, stop_details: None };
        assert_eq!(serde_json::to_value(&event).unwrap()["type"], event.kind());
        assert!(KINDS.contains(&event.kind()));
    }

    #[test]
    fn refusals_name_the_field() {
        for (event, expected) in [
            (json!({}), "events.0.type: Field required"),
            (json!({"type": "agent.message"}), "events.0.type: Not an event"),
            (json!({"type": "user.message"}), "events.0.content: Field required"),
            (json!({"type": "user.message", "content": []}), "events.0.content: List should"),
            (
                json!({"type": "user.message", "content": [{"type": "text", "text": 1}]}),
                "events.0.content.0.text: Input should",
            ),
            (json!({"type": "user.message", "content": [{"type": "redacted"}]}), "events.0.content.0: A client cannot"),
            (
                json!({"type": "user.tool_confirmation", "tool_use_id": "x", "result": "allow", "deny_message": "no"}),
                "events.0.deny_message: Only allowed",
            ),
            (json!({"type": "user.define_outcome", "description": "d"}), "events.0.type: This is not supported"),
        ] {
            let message = send(event.clone()).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{event} gave {message}");
        }
    }
}

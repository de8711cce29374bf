//! Events: every step of a session, as clients see it.
//!
//! An event's own fields are here; its `id` and `processed_at` stand around them, put there by [`render`], so that one
//! stored body serves the queued and the processed appearance of the same event.

mod sent;

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::agent::Snapshot;
use crate::content::Content;
use crate::read::Metadata;
use crate::session::{Budget, Usage};
use crate::{EventId, ThreadId, Timestamp};

pub use sent::{ClientEvent, MAX_EVENTS, Send};

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
    /// Of a built-in tool that a worker has run.
    #[serde(rename = "user.tool_result")]
    UserToolResult { tool_use_id: EventId, content: Vec<Content>, is_error: bool },
    #[serde(rename = "system.message")]
    SystemMessage { content: Vec<Content> },
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
    #[serde(rename = "agent.thread_context_compacted")]
    AgentThreadContextCompacted {},
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
        /// A budget that was removed is null.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
        budget: Option<Option<Budget>>,
    },
    #[serde(rename = "session.usage")]
    SessionUsage { usage: Usage, budget: Option<Budget> },
    #[serde(rename = "session.deleted")]
    SessionDeleted {},
    #[serde(rename = "span.model_request_start")]
    SpanModelRequestStart {},
    #[serde(rename = "span.model_request_end")]
    SpanModelRequestEnd { model_request_start_id: EventId, is_error: bool, model_usage: ModelUsage },
}

/// A field that is there, null or not.
fn present<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
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
    Auto { evaluated_permission: Auto },
}

/// What a judge made of a call, under the policy `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Auto {
    Allow,
    Ask { reason_code: ReasonCode },
    Deny { reason_code: ReasonCode },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    /// There is no judgement.
    Indeterminate,
    HighRisk,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StopReason {
    EndTurn,
    RequiresAction { event_ids: Vec<EventId> },
    RetriesExhausted,
    BudgetReached,
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
    CompactionLimitReachedError,
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
    UserCustomToolResult "user.custom_tool_result", UserToolResult "user.tool_result",
    SystemMessage "system.message", AgentMessage "agent.message", AgentThinking "agent.thinking",
    AgentToolUse "agent.tool_use", AgentToolResult "agent.tool_result",
    AgentCustomToolUse "agent.custom_tool_use", AgentThreadContextCompacted "agent.thread_context_compacted",
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

#[cfg(test)]
mod tests;

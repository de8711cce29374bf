//! How rows and actions read in a test.

use wire::event::{Event, RetryStatus, StopReason};

use super::words::label;
use crate::{Action, Entry, Row};

/// The row's kind, and what tells it apart: the call, the reason, whether it is an error.
pub(super) fn describe(row: &Row) -> String {
    let kind = row.store().kind;
    let event = match &row.entry {
        Entry::Arrival { .. } => return format!("{kind} waits"),
        Entry::Processed { .. } => return format!("{kind} processed"),
        Entry::Note(_) => return kind,
        Entry::Event { event, .. } => &**event,
    };
    let error = |is_error: bool| if is_error { " error" } else { "" };
    match event {
        Event::AgentToolUse { .. } | Event::AgentCustomToolUse { .. } => format!("{kind} {}", label(row.id)),
        Event::AgentToolResult { tool_use_id, is_error, .. } => {
            format!("{kind} {}{}", label(*tool_use_id), error(*is_error))
        }
        Event::UserToolResult { tool_use_id, is_error, .. } => {
            format!("{kind} {}{}", label(*tool_use_id), error(*is_error))
        }
        Event::UserToolConfirmation { tool_use_id, .. } => format!("{kind} {}", label(*tool_use_id)),
        Event::UserCustomToolResult { custom_tool_use_id, is_error, .. } => {
            format!("{kind} {}{}", label(*custom_tool_use_id), error(*is_error))
        }
        Event::SpanModelRequestEnd { is_error, .. } => format!("{kind}{}", error(*is_error)),
        Event::ThreadStatusIdle { stop_reason, .. } | Event::SessionStatusIdle { stop_reason, .. } => {
            format!("{kind} {}", describe_reason(stop_reason))
        }
        Event::SessionError { error } => format!("{kind} {}", describe_retry(error.retry_status)),
        _ => kind,
    }
}

fn describe_reason(reason: &StopReason) -> String {
    match reason {
        StopReason::EndTurn => "end_turn".into(),
        StopReason::RequiresAction { event_ids } => {
            let calls: Vec<String> = event_ids.iter().copied().map(label).collect();
            format!("requires_action {}", calls.join(" "))
        }
        StopReason::RetriesExhausted => "retries_exhausted".into(),
        StopReason::BudgetReached => "budget_reached".into(),
        StopReason::Refusal => "refusal".into(),
    }
}

fn describe_retry(status: RetryStatus) -> &'static str {
    match status {
        RetryStatus::Retrying => "retrying",
        RetryStatus::Exhausted => "exhausted",
        RetryStatus::Terminal => "terminal",
    }
}

pub(super) fn describe_action(action: &Action) -> String {
    match action {
        Action::Ask { .. } => "ask".into(),
        Action::Compact { .. } => "compact".into(),
        Action::Run { call, .. } => format!("run {}", label(*call)),
        Action::Recover { call, .. } => format!("recover {}", label(*call)),
        Action::Abort { .. } => "abort".into(),
        Action::Wait { .. } => "wait".into(),
        Action::Collect { .. } => "collect".into(),
    }
}

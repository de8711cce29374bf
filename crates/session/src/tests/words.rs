//! What is said in a play: ids from labels, clients' events, and the blocks of a model's answer.

use serde_json::{Map, Value, json};
use wire::agent::Snapshot;
use wire::content::Content;
use wire::event::{Auto, ClientEvent, Evaluation, Permission, ReasonCode, Verdict};
use wire::{AgentId, EventId};

use crate::{Judged, Said, Use};

/// The id of the call, or of the text, with this label of at most 16 letters.
pub(super) fn id(label: &str) -> EventId {
    let mut bytes = [0; 16];
    for (byte, letter) in bytes.iter_mut().zip(label.bytes()) {
        *byte = letter;
    }
    EventId::from_bits(u128::from_be_bytes(bytes))
}

/// What [`id`] was made from.
pub(super) fn label(id: EventId) -> String {
    String::from_utf8_lossy(&id.bits().to_be_bytes()).trim_end_matches('\0').to_owned()
}

pub(super) fn message(text: &str) -> ClientEvent {
    ClientEvent::Message { content: vec![Content::text(text)] }
}

pub(super) fn system(text: &str) -> ClientEvent {
    ClientEvent::SystemMessage { content: vec![Content::text(text)] }
}

pub(super) fn confirmation(call: EventId, verdict: Verdict, message: Option<&str>) -> ClientEvent {
    ClientEvent::Confirmation { tool_use_id: call.to_string(), verdict, deny_message: message.map(str::to_owned) }
}

pub(super) fn custom_result(call: EventId) -> ClientEvent {
    let content = vec![Content::text("sunny")];
    ClientEvent::CustomToolResult { custom_tool_use_id: call.to_string(), content, is_error: false }
}

pub(super) fn worker_result(call: EventId) -> ClientEvent {
    let content = vec![Content::text("output")];
    ClientEvent::ToolResult { tool_use_id: call.to_string(), content, is_error: false }
}

/// An agent as a session knows it.
pub(super) fn snapshot() -> Snapshot {
    let model = json!({"id": "model-1", "effort": {"type": "high"}, "speed": "standard"});
    let agent = json!({
        "type": "agent", "id": AgentId::from_bits(1), "version": 1, "name": "Agent", "description": null,
        "model": model, "system": null, "tools": [], "mcp_servers": [], "skills": [], "multiagent": null,
        "execution_identity": {"type": "service_account"},
    });
    serde_json::from_value(agent).unwrap()
}

pub(super) fn text(text: &str) -> Said {
    Said::Text { id: id(text), text: text.to_owned() }
}

pub(super) fn thought() -> Said {
    Said::Thinking { id: id("thought"), provider: "provider".into(), raw: r#"{"signature":"s"}"#.into() }
}

/// A call that runs at once.
pub(super) fn bash(label: &str) -> Said {
    Said::Use(built_in(label, Permission::Allow, Some(Evaluation::AlwaysAllow)))
}

/// A call that a client has to confirm.
pub(super) fn asks(label: &str) -> Said {
    Said::Use(built_in(label, Permission::Ask, Some(Evaluation::AlwaysAsk)))
}

/// A call that policy denies.
pub(super) fn denied(label: &str) -> Said {
    Said::Use(built_in(label, Permission::Deny, None))
}

/// A call that was judged.
pub(super) fn judged(label: &str, verdict: Permission) -> Said {
    let evaluated_permission = match verdict {
        Permission::Allow => Auto::Allow,
        Permission::Ask => Auto::Ask { reason_code: ReasonCode::Indeterminate },
        Permission::Deny => Auto::Deny { reason_code: ReasonCode::HighRisk },
    };
    Said::Use(built_in(label, verdict, Some(Evaluation::Auto { evaluated_permission })))
}

/// A call of a tool that there is not.
pub(super) fn unknown(label: &str) -> Said {
    let refusal = Some("There is no such tool.".to_owned());
    Said::Use(Use { refusal, ..built_in(label, Permission::Allow, None) })
}

/// A call that a client has to answer.
pub(super) fn custom(label: &str) -> Said {
    Said::Use(Use { name: "get_weather".into(), judged: None, ..built_in(label, Permission::Allow, None) })
}

fn built_in(label: &str, permission: Permission, evaluation: Option<Evaluation>) -> Use {
    Use {
        id: id(label),
        provider_id: format!("toolu_{label}"),
        name: "bash".into(),
        input: Map::from_iter([("command".to_owned(), Value::from("ls"))]),
        judged: Some(Judged { permission, evaluation }),
        refusal: None,
    }
}

use super::*;
use crate::read::{Invalid, Read};
use crate::session::Money;
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
    for event in [
        Event::SessionStatusIdle { stop_reason: StopReason::EndTurn, stop_details: None },
        Event::SystemMessage { content: vec![Content::text("be brief")] },
        Event::AgentThreadContextCompacted {},
    ] {
        assert_eq!(serde_json::to_value(&event).unwrap()["type"], event.kind());
        assert!(KINDS.contains(&event.kind()));
    }
}

#[test]
fn an_evaluation_tells_the_policy_and_what_came_of_it() {
    let auto = |evaluated_permission| Evaluation::Auto { evaluated_permission };
    for (evaluation, expected) in [
        (Evaluation::AlwaysAllow, json!({"type": "always_allow"})),
        (Evaluation::AlwaysAsk, json!({"type": "always_ask"})),
        (auto(Auto::Allow), json!({"type": "auto", "evaluated_permission": {"type": "allow"}})),
        (
            auto(Auto::Ask { reason_code: ReasonCode::Indeterminate }),
            json!({"type": "auto", "evaluated_permission": {"type": "ask", "reason_code": "indeterminate"}}),
        ),
        (
            auto(Auto::Deny { reason_code: ReasonCode::HighRisk }),
            json!({"type": "auto", "evaluated_permission": {"type": "deny", "reason_code": "high_risk"}}),
        ),
        (
            auto(Auto::Deny { reason_code: ReasonCode::Indeterminate }),
            json!({"type": "auto", "evaluated_permission": {"type": "deny", "reason_code": "indeterminate"}}),
        ),
    ] {
        assert_eq!(serde_json::to_value(evaluation).unwrap(), expected);
        assert_eq!(serde_json::from_value::<Evaluation>(expected).unwrap(), evaluation);
    }
}

#[test]
fn an_update_tells_a_budget_that_was_removed_from_one_that_did_not_change() {
    let money = Money { amount: "2500".into(), currency: "USD".into() };
    let limit = json!({"type": "limit", "max_list_cost": {"amount": "2500", "currency": "USD"}});
    for (budget, expected) in [
        (None, json!({"type": "session.updated"})),
        (Some(None), json!({"type": "session.updated", "budget": null})),
        (Some(Some(Budget::limit(money))), json!({"type": "session.updated", "budget": limit})),
    ] {
        let event = Event::SessionUpdated { title: None, metadata: None, agent: None, budget };
        let written = serde_json::to_value(&event).unwrap();
        assert_eq!(written, expected);
        assert_eq!(serde_json::from_value::<Event>(written).unwrap(), event);
    }
}

#[test]
fn refusals_name_the_field() {
    let media = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aaaa"}});
    let many = vec![json!({"type": "text", "text": "x"}); 1_001];
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
        (json!({"type": "user.tool_result"}), "events.0.tool_use_id: Field required"),
        (json!({"type": "user.tool_result", "tool_use_id": "x", "is_error": 1}), "events.0.is_error: Input should be"),
        (json!({"type": "system.message", "content": []}), "events.0.content: List should have at least 1"),
        (json!({"type": "system.message", "content": many}), "events.0.content: List should have at most 1000"),
        (
            json!({"type": "system.message", "content": [{"type": "text", "text": "x"}, media]}),
            "events.0.content.1.type: A system message has text only",
        ),
    ] {
        let message = send(event.clone()).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{event} gave {message}");
    }
}

#[test]
fn a_workers_result_may_be_empty_and_is_no_error_unless_it_says_so() {
    let read = send(json!({"type": "user.tool_result", "tool_use_id": "x", "session_thread_id": "sthr_1"})).unwrap();
    let expected = ClientEvent::ToolResult { tool_use_id: "x".into(), content: Vec::new(), is_error: false };
    assert_eq!(read, expected);
}

#[test]
fn a_system_message_ends_its_request_and_follows_an_input() {
    let said = json!({"type": "user.message", "content": [{"type": "text", "text": "hi"}]});
    let system = json!({"type": "system.message", "content": [{"type": "text", "text": "be brief"}]});
    let result = json!({"type": "user.custom_tool_result", "custom_tool_use_id": "x"});
    let other = json!({"type": "user.tool_result", "tool_use_id": "x"});
    let confirmed = json!({"type": "user.tool_confirmation", "tool_use_id": "x", "result": "allow"});
    let interrupt = json!({"type": "user.interrupt"});
    let read = |events: &[&Value]| Send::read(json!({"events": events}), "").map_err(|error| error.to_string());

    for lead in [&said, &result, &other] {
        assert_eq!(read(&[lead, &system]).unwrap().events.len(), 2);
    }
    for (events, expected) in [
        (vec![&system], "events.0: A system.message must directly follow"),
        (vec![&said, &interrupt, &system], "events.2: A system.message must directly follow"),
        (vec![&confirmed, &system], "events.1: A system.message must directly follow"),
        (vec![&said, &system, &said], "events.1: A request has at most one"),
        (vec![&said, &system, &system], "events.1: A request has at most one"),
    ] {
        let message = read(&events).unwrap_err();
        assert!(message.starts_with(expected), "{events:?} gave {message}");
    }
}

use serde_json::{Value, json};

use super::body;
use crate::{
    Block, Effort, Request,
    testing::{assistant, raw, request, system, text, tool_result, tool_use, user},
};

const IMAGE: &str = r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}"#;

fn sent(request: &Request) -> Value {
    serde_json::from_slice(&body(request, false).unwrap()).unwrap()
}

#[test]
fn a_question_is_plain_strings() {
    assert_eq!(
        sent(&request(vec![user(vec![text("Hello"), text("there")])])),
        json!({
            "model": "model-1",
            "stream": true,
            "stream_options": {"include_usage": true},
            "max_tokens": 1000,
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hello\n\nthere"},
            ],
            "tools": [{"type": "function", "function": {
                "name": "bash", "description": "Runs a command.", "parameters": {"type": "object"},
            }}],
        })
    );
}

#[test]
fn calls_and_results_become_their_own_messages() {
    let thinking = Block::Opaque { provider: "openai-chat", raw: raw(r#"{"type":"thinking"}"#) };
    let sent = sent(&request(vec![
        user(vec![text("Go")]),
        assistant(vec![
            thinking,
            text("I look."),
            tool_use("call_1", "bash", json!({"command": "ls"})),
            tool_use("call_2", "read", json!({})),
        ]),
        user(vec![
            tool_result("call_1", vec![text("a.png")], false),
            tool_result("call_2", vec![Block::Media(raw(IMAGE))], true),
            text("And now?"),
        ]),
    ]));
    let messages = sent["messages"].as_array().unwrap();
    assert_eq!(
        messages[2..],
        [
            json!({"role": "assistant", "content": "I look.", "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "bash", "arguments": "{\"command\":\"ls\"}"}},
                {"id": "call_2", "type": "function", "function": {"name": "read", "arguments": "{}"}},
            ]}),
            json!({"role": "tool", "tool_call_id": "call_1", "content": "a.png"}),
            json!({"role": "tool", "tool_call_id": "call_2", "content": "Error: (no text)"}),
            json!({"role": "user", "content": [
                {"type": "text", "text": "What the tool call call_2 returned besides text:"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "text", "text": "And now?"},
            ]}),
        ]
    );
}

#[test]
fn a_pdf_is_a_file_and_other_documents_are_text() {
    let pdf = r#"{"type":"document","title":"a.pdf","source":{"type":"base64","media_type":"application/pdf","data":"JVBE"}}"#;
    let plain = r#"{"type":"document","source":{"type":"text","media_type":"text/plain","data":"words"}}"#;
    let sent = sent(&request(vec![user(vec![Block::Media(raw(pdf)), Block::Media(raw(plain))])]));
    assert_eq!(
        sent["messages"][1]["content"],
        json!([
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
            {"type": "text", "text": "words"},
        ])
    );
}

#[test]
fn a_call_without_text_has_null_content_and_an_empty_message_goes() {
    let foreign = Block::Opaque { provider: "anthropic", raw: raw("{}") };
    let sent = sent(&request(vec![assistant(vec![foreign]), assistant(vec![tool_use("call_1", "bash", json!({}))])]));
    assert_eq!(sent["messages"].as_array().map(Vec::len), Some(2));
    assert_eq!(sent["messages"][1]["content"], Value::Null);
}

#[test]
fn a_system_message_stands_where_it_was_said() {
    let sent = sent(&request(vec![
        user(vec![tool_result("call_1", vec![text("a")], false), text("On")]),
        system(vec![text("Be brief."), text("In German.")]),
        system(vec![text("")]),
    ]));
    let messages = sent["messages"].as_array().unwrap();
    assert_eq!(
        messages[1..],
        [
            json!({"role": "tool", "tool_call_id": "call_1", "content": "a"}),
            json!({"role": "user", "content": "On"}),
            json!({"role": "system", "content": "Be brief.\n\nIn German."}),
        ]
    );
}

#[test]
fn limit_and_effort_have_openais_names() {
    let mut request = request(vec![user(vec![text("Go")])]);
    request.effort = Some(Effort::Max);
    let sent: Value = serde_json::from_slice(&body(&request, true).unwrap()).unwrap();
    assert_eq!(sent["max_completion_tokens"], 1000);
    assert_eq!(sent.get("max_tokens"), None);
    assert_eq!(sent["reasoning_effort"], "xhigh");
}

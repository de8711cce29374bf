use serde_json::{Value, json};

use super::body;
use crate::{
    Block, Effort, Request,
    testing::{assistant, raw, request, system, text, tool_result, tool_use, user},
};

const REASONING: &str = r#"{"id":"rs_1", "type":"reasoning","summary":[],"encrypted_content":"gAAA+/="}"#;

fn sent(request: &Request) -> Value {
    serde_json::from_slice(&body(request).unwrap()).unwrap()
}

fn reasoning() -> Block {
    Block::Opaque { provider: "openai-responses", raw: raw(REASONING) }
}

#[test]
fn nothing_is_stored_and_the_reasoning_comes_back_encrypted() {
    let mut request = request(vec![user(vec![text("Hello")])]);
    request.effort = Some(Effort::High);
    assert_eq!(
        sent(&request),
        json!({
            "model": "model-1",
            "instructions": "Be brief.",
            "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}],
            "tools": [{
                "type": "function", "name": "bash", "description": "Runs a command.",
                "parameters": {"type": "object"}, "strict": false,
            }],
            "max_output_tokens": 1000,
            "reasoning": {"effort": "high"},
            "include": ["reasoning.encrypted_content"],
            "store": false,
            "stream": true,
        })
    );
}

#[test]
fn calls_results_and_reasoning_are_items_of_their_own() {
    let image = r#"{"type":"image","source":{"type":"url","url":"https://x/y.png"}}"#;
    let request = request(vec![
        user(vec![text("Go")]),
        assistant(vec![reasoning(), text("I look."), tool_use("call_1", "bash", json!({"command": "ls"}))]),
        user(vec![tool_result("call_1", vec![text("no"), Block::Media(raw(image))], true), text("Why?")]),
    ]);
    assert!(String::from_utf8(body(&request).unwrap()).unwrap().contains(REASONING));
    let sent = sent(&request);
    let input = sent["input"].as_array().unwrap();
    assert_eq!(
        input[2..],
        [
            json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]}),
            json!({"type": "function_call", "call_id": "call_1", "name": "bash", "arguments": "{\"command\":\"ls\"}"}),
            json!({"type": "function_call_output", "call_id": "call_1", "output": [
                {"type": "input_text", "text": "Error: no"},
                {"type": "input_image", "image_url": "https://x/y.png"},
            ]}),
            json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Why?"}]}),
        ]
    );
}

#[test]
fn reasoning_that_nothing_follows_is_left_out_and_so_is_everybody_elses() {
    let foreign = Block::Opaque { provider: "anthropic", raw: raw("{}") };
    let sent = sent(&request(vec![
        assistant(vec![text("a"), reasoning()]),
        user(vec![tool_result("call_1", vec![], false)]),
        assistant(vec![foreign]),
    ]));
    assert_eq!(sent["input"].as_array().map(Vec::len), Some(2));
    assert_eq!(sent["input"][1]["output"], "(no output)");
}

#[test]
fn a_system_message_is_an_item_where_it_was_said() {
    let sent = sent(&request(vec![user(vec![text("On")]), system(vec![text("Be brief.")]), system(vec![text("")])]));
    let input = sent["input"].as_array().unwrap();
    let told = json!({"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Be brief."}]});
    assert_eq!(input[1..], [told]);
}

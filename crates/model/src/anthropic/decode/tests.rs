use super::*;
use crate::{
    Block, Kind, Usage,
    testing::{Played, frames, play},
};

const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-x-1","content":[],"stop_reason":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":30,"cache_read_input_tokens":7,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"output_tokens":1}}}"#;
const STOP: &str = r#"{"type":"message_stop"}"#;

fn played(data: &[&str]) -> Played {
    play(|| Decoder::new("asked".to_owned()), &frames(data))
}

fn ended(reason: &str) -> String {
    format!(
        r#"{{"type":"message_delta","delta":{{"stop_reason":"{reason}","stop_sequence":null}},"usage":{{"output_tokens":15}}}}"#
    )
}

#[test]
fn text_is_streamed_and_counted() {
    let played = played(&[
        START,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Grüß "}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{"type":"x"}}}"#,
        r#"{"type":"something_new","value":1}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Gott"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        &ended("end_turn"),
        STOP,
    ]);
    assert!(matches!(played.events[0], Event::BlockStart { index: 0, kind: Kind::Text }));
    assert_eq!(played.streamed(0), "Grüß Gott");
    let response = played.response();
    assert!(matches!(&response.content[..], [Block::Text(text)] if text == "Grüß Gott"));
    assert_eq!(response.stop, Stop::EndTurn);
    assert_eq!(response.model, "claude-x-1");
    assert_eq!(response.usage, Usage { input: 25, output: 15, cache_read: 7, cache_write_5m: 10, cache_write_1h: 20 });
}

#[test]
fn thinking_is_rebuilt_with_its_signature_byte_for_byte() {
    let played = played(&[
        START,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"One \"two\""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"\n3"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqQBCgIYAhIM+/a=="}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data" : "Emw+/=="}}"#,
        r#"{"type":"content_block_start","index":2,"content_block":{"type":"text","text":"Hi"}}"#,
        &ended("end_turn"),
        STOP,
    ]);
    let [
        Block::Opaque { provider: "anthropic", raw: thinking },
        Block::Opaque { raw: redacted, .. },
        Block::Text(text),
    ] = &played.response().content[..]
    else {
        panic!("{played:?}");
    };
    assert_eq!(thinking.get(), r#"{"signature":"EqQBCgIYAhIM+/a==","thinking":"One \"two\"\n3","type":"thinking"}"#);
    assert_eq!(redacted.get(), r#"{"type":"redacted_thinking","data" : "Emw+/=="}"#);
    assert_eq!((text.as_str(), played.streamed(2).as_str()), ("Hi", "Hi"));
}

#[test]
fn parallel_tool_calls_keep_their_own_input() {
    let played = played(&[
        START,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_1","name":"read","input":{}}}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_2","name":"bash","input":{}}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"command\":"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"file_path\":\"a\"}"}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":" \"ls\"}"}}"#,
        r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_3","name":"now","input":{}}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}}"#,
        &ended("tool_use"),
        STOP,
    ]);
    let response = played.response();
    let calls: Vec<_> = response
        .content
        .iter()
        .map(|block| match block {
            Block::ToolUse(call) => format!("{} {} {:?} {:?}", call.id, call.name, call.input, call.malformed),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        calls,
        [
            r#"toolu_1 read {"file_path": String("a")} None"#,
            r#"toolu_2 bash {"command": String("ls")} None"#,
            "toolu_3 now {} None",
        ]
    );
    assert_eq!(response.stop, Stop::ToolUse);
}

#[test]
fn broken_input_is_reported_and_not_run() {
    let played = played(&[
        START,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_1","name":"bash","input":{}}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"command\": \"rm"}}"#,
        &ended("max_tokens"),
        STOP,
    ]);
    let response = played.response();
    let Block::ToolUse(call) = &response.content[0] else { panic!("{response:?}") };
    assert!(call.input.is_empty());
    assert!(call.malformed.as_ref().is_some_and(|why| why.contains(r#"{"command": "rm"#)));
    assert_eq!(response.stop, Stop::MaxTokens);
}

#[test]
fn a_server_tools_block_comes_back_with_its_input() {
    let played = played(&[
        START,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{}}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"query\": \"x\"}"}}"#,
        &ended("end_turn"),
        STOP,
    ]);
    let Block::Opaque { raw, .. } = &played.response().content[0] else { panic!("{played:?}") };
    assert_eq!(raw.get(), r#"{"id":"srvtoolu_1","input":{"query": "x"},"name":"web_search","type":"server_tool_use"}"#);
}

#[test]
fn a_refusal_carries_its_details() {
    let played = played(&[
        START,
        r#"{"type":"message_delta","delta":{"stop_reason":"refusal","stop_details":{"type":"refusal","category":"cyber","explanation":null}}}"#,
        STOP,
    ]);
    assert_eq!(played.response().stop, Stop::Refusal { category: Some("cyber".to_owned()), explanation: None });
}

#[test]
fn an_error_in_the_stream_ends_it() {
    let played = played(&[
        START,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hal"}}"#,
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
    ]);
    assert_eq!(played.streamed(0), "Hal");
    assert!(matches!(played.error, Some(Error::Overloaded { .. })));
}

#[test]
fn a_conversation_that_is_too_long_can_be_refused_in_the_stream() {
    let error = r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 > 8"}}"#;
    assert!(matches!(played(&[START, error]).error, Some(Error::TooLong(message)) if message.contains("9 > 8")));
}

#[test]
fn a_stream_without_message_stop_is_a_broken_connection() {
    let played = played(&[START, &ended("end_turn")]);
    assert!(matches!(played.error, Some(Error::Connection(_))));
}

#[test]
fn what_is_no_event_is_malformed() {
    assert!(matches!(played(&["not json"]).error, Some(Error::Malformed(_))));
    let orphan = r#"{"type":"content_block_delta","index":4,"delta":{"type":"text_delta","text":"x"}}"#;
    assert!(matches!(played(&[START, orphan]).error, Some(Error::Malformed(_))));
}

#[test]
fn usage_may_be_missing() {
    let played = played(&[r#"{"type":"message_start","message":{}}"#, STOP]);
    assert_eq!(played.response().usage, Usage::default());
    assert_eq!(played.response().model, "asked");
}
